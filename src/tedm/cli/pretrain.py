"""tedm-pretrain: a DDPM from unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.running import plain_errors, progress, say


@click.command(context_settings={"show_default": True})
@click.argument("images", type=options.PATH)
@click.argument("checkpoint", type=options.PATH)
@click.option("--image-size", type=int, default=128, help="Side of the squares that the DDPM sees, in pixels.")
@click.option("--channels", type=click.Choice(["1", "3"]), default="1", help="Grey or RGB.")
@click.option("--geometry", type=click.Choice(["pad", "stretch"]), default="pad", help="How images become squares.")
@click.option("--intensity-range", type=options.Range(), default=None, show_default="the file type's", help="Black and white.")
@click.option("--width", type=int, default=64, help="Channels of the finest level.")
@click.option("--multipliers", type=options.Multipliers(), default="1,2,4,8", help="Channels of each level, times the width.")
@click.option("--schedule", type=click.Choice(["cosine", "linear"]), default="cosine", help="Of the noise.")
@click.option("--timesteps-total", type=int, default=1000, help="T, the schedule's length.")
@click.option("--iterations", type=int, default=100_000, help="Optimiser steps.")
@click.option("--batch-size", type=int, default=4, help="Images in each.")
@click.option("--learning-rate", type=float, default=1e-4, help="Adam's.")
@click.option("--seed", type=int, default=0, help="Of the weights and of everything that is drawn.")
@options.DEVICE
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@options.VERSION
@plain_errors
def main(
    images: Path,
    checkpoint: Path,
    image_size: int,
    channels: str,
    geometry: Any,
    intensity_range: Any,
    device: Any,
    **settings: Any,
) -> None:
    """Train TEDM's UNet to predict the noise in IMAGES (a folder or a manifest; masks are not looked at).

    CHECKPOINT is a safetensors file with its settings inside. After an interruption, run the same command with --resume.
    """
    from tedm.devices import choose_device
    from tedm.extract.manifest import read_manifest
    from tedm.extract.pretrain import pretrain
    from tedm.extract.squares import read_squares

    manifest = read_manifest(images)
    manifest.require_intensity_range(intensity_range)
    paths = [entry.image for entry in manifest.entries]
    squares = read_squares(paths, image_size, channels=int(channels), geometry=geometry, intensity_range=intensity_range)
    with progress("pre-training") as show:
        backbone = pretrain(squares, checkpoint, device=choose_device(device), progress=show, log=say, **settings)
    click.echo(
        f"{checkpoint}: {backbone.parameters} parameters, {checkpoint.stat().st_size} bytes, "
        f"{backbone.step} iterations on {len(paths)} images of {image_size} x {image_size}"
    )
