"""tedm-pretrain: a DDPM from unlabelled images, or an encoder by contrast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tedm.cli.shared import options, volumes
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.errors import TedmError
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.extract.images import VolumeOptions
    from tedm.extract.pretrain import Format
    from tedm.networks.pretrained import Objective
    from tedm.store.settings import Geometry, Precision
    from tedm.store.volumes.normalisation import Normalisation


@click.command(cls=Command, context_settings={"show_default": True})
@click.argument("images", type=options.PATH)
@click.argument("checkpoint", type=options.PATH)
@click.option(
    "--objective",
    type=click.Choice(["diffusion", "global-cl", "global-local-cl"]),
    default="diffusion",
    help="What is learned: to predict noise, for features; or by contrast, to be fine-tuned (tedm-fit --method global-cl).",
)
@click.option(
    "--start",
    type=options.PATH,
    default=None,
    show_default="random weights",
    help="Of global-local-cl: the checkpoint of global-cl whose encoder it takes.",
)
@click.option("--as-published", is_flag=True, help="Of global-cl: do not pool before the projection, as the paper's code.")
@click.option("--image-size", type=int, default=128, help="Side of the squares that the network sees, in pixels.")
@click.option(
    "--channels",
    type=volumes.NumberOrNames(),
    default="1",
    help="1 for grey, 3 for RGB, the number of modalities; or the columns that are modalities: flair,t1gd.",
)
@click.option("--geometry", type=click.Choice(["pad", "stretch"]), default="pad", help="How images become squares.")
@click.option(
    "--intensity-range",
    type=options.Range(),
    default=None,
    show_default="the file type's",
    help="Black and white in files of more than 8 bits.",
)
@volumes.volume_options
@click.option("--width", type=int, default=64, help="Channels of the finest level.")
@click.option("--multipliers", type=options.Multipliers(), default="1,2,4,8", help="Channels of each level, times the width.")
@click.option("--schedule", type=click.Choice(["cosine", "linear"]), default="cosine", help="Of the noise.")
@click.option("--timesteps-total", type=int, default=1000, help="T, the schedule's length.")
@click.option("--iterations", type=int, default=100_000, help="Optimiser steps.")
@click.option("--batch-size", type=int, default=None, show_default="4; by contrast 32", help="Images in each.")
@click.option("--accumulate", type=int, default=1, help="Parts that a batch is computed in, to save memory.")
@click.option("--learning-rate", type=float, default=1e-4, help="Adam's.")
@click.option("--clip-gradient", type=float, default=None, show_default="never", help="Shorten gradients to this length.")
@click.option(
    "--ema-decay",
    type=float,
    default=None,
    show_default="0.9995; by contrast 0",
    help="Of the moving average of the weights; 0 is no average.",
)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help="Of the network's passes.")
@click.option("--flip", is_flag=True, help="Turn images left to right by chance. Anatomy is not symmetric.")
@click.option("--threads", type=click.IntRange(min=1), default=None, help="Threads on a CPU. Default: all cores.")
@click.option("--seed", type=int, default=0, help="Of the weights and of everything that is drawn.")
@options.DEVICE
@click.option(
    "--held-out",
    type=click.IntRange(min=0),
    default=None,
    show_default="the split val, else 64",
    help="Images for the validation loss, of whole groups, a tenth at most. A split val is held out instead, unless this is 0.",
)
@click.option("--report-every", type=int, default=1000, help="Iterations between losses, and pictures of them.")
@click.option("--samples", type=int, default=16, help="Images that the DDPM makes for each picture.")
@click.option("--pictures", type=options.PATH, default=None, show_default="beside CHECKPOINT", help="Folder for the pictures.")
@click.option("--state-every", type=int, default=1000, help="Iterations between states to --resume from.")
@click.option("--checkpoint-every", type=int, default=0, show_default="never", help="Iterations between checkpoints that stay.")
@click.option(
    "--format",
    type=click.Choice(["safetensors", "published"]),
    default="safetensors",
    help="Ours, or the published TEDM's (.pt).",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--keep-state", is_flag=True, help="When finished, keep the state: more --iterations can follow.")
@options.VERSION
@plain_errors
@volumes.choices
def main(
    images: Path,
    checkpoint: Path,
    objective: Objective,
    start: Path | None,
    as_published: bool,
    image_size: int,
    channels: int | tuple[str, ...],
    geometry: Geometry,
    intensity_range: tuple[float, float] | None,
    volume_choices: VolumeOptions,
    normalisation: Normalisation | None,
    width: int,
    multipliers: tuple[int, ...],
    schedule: str,
    timesteps_total: int,
    iterations: int,
    batch_size: int | None,
    accumulate: int,
    learning_rate: float,
    clip_gradient: float | None,
    ema_decay: float | None,
    precision: Precision,
    flip: bool,
    threads: int | None,
    seed: int,
    device: str,
    held_out: int | None,
    report_every: int,
    samples: int,
    pictures: Path | None,
    state_every: int,
    checkpoint_every: int,
    format: Format,
    resume: bool,
    keep_state: bool,
) -> None:
    """Train TEDM's UNet to predict the noise in IMAGES (a folder or a manifest; masks are not looked at).

    CHECKPOINT is a safetensors file with its settings inside. After an interruption, run the same command with --resume.
    Images of the manifest's split `test` are left out; those of `val`, if there are any, are the ones held out.
    By contrast, --objective global-cl (SimCLR) trains the encoder and global-local-cl two decoder stages, to be fine-tuned.
    """
    from tedm.devices import choose_device
    from tedm.extract.pretrain import (
        pretrain_contrast,
        pretrain_diffusion,
        require_clear_way,
        require_contrast,
        require_ending,
        require_numbers,
        require_same,
    )
    from tedm.study import read_training_images, write_pictures
    from tedm.threads import torch_threads

    asked = _require_of_objective(objective, start, as_published)
    batch_size = batch_size if batch_size is not None else 4 if objective == "diffusion" else 32
    ema_decay = ema_decay if ema_decay is not None else 0.9995 if objective == "diffusion" else 0.0
    require_clear_way(checkpoint, resume=resume)
    require_ending(checkpoint, format, resume=resume)
    require_numbers(
        iterations=iterations,
        batch_size=batch_size,
        accumulate=accumulate,
        state_every=state_every,
        report_every=report_every,
        samples=samples,
        checkpoint_every=checkpoint_every,
        learning_rate=learning_rate,
        clip_gradient=clip_gradient,
        ema_decay=ema_decay,
    )
    if isinstance(channels, tuple):
        volume_choices, channels = replace(volume_choices, channels=channels), len(channels)
    if objective != "diffusion":
        begun = require_contrast(
            objective, start=start, as_published=as_published, batch_size=batch_size, accumulate=accumulate
        )
        if begun is not None:
            require_same(
                begun,
                start,
                width=width if "width" in asked else None,
                multipliers=multipliers if "multipliers" in asked else None,
                image_size=image_size if "image_size" in asked else None,
                image_channels=channels if "channels" in asked else None,
            )
            width, multipliers = begun.width, begun.multipliers
            image_size, channels = begun.image_size, begun.image_channels
    where = choose_device(device)
    squares = read_training_images(
        images,
        image_size,
        channels=channels,
        geometry=geometry,
        intensity_range=intensity_range,
        volumes=volume_choices,
        normalisation=normalisation,
        held_out=held_out,
        seed=seed,
        log=say,
    )
    folder = checkpoint.with_name(f"{checkpoint.stem}-pictures") if pictures is None else pictures
    with torch_threads(threads), progress("pre-training") as show:
        if objective == "diffusion":
            parameters = pretrain_diffusion(
                squares.learned_from,
                checkpoint,
                width=width,
                multipliers=multipliers,
                schedule=schedule,
                timesteps_total=timesteps_total,
                iterations=iterations,
                batch_size=batch_size,
                accumulate=accumulate,
                learning_rate=learning_rate,
                clip_gradient=clip_gradient,
                ema_decay=ema_decay,
                precision=precision,
                flip=flip,
                seed=seed,
                device=where,
                channel_names=volume_choices.channels,
                intensities="" if normalisation is None else normalisation.method,
                held_out=squares.held_out,
                resume=resume,
                keep_state=keep_state,
                state_every=state_every,
                checkpoint_every=checkpoint_every,
                report_every=report_every,
                samples=samples,
                format=format,
                report=lambda report: write_pictures(report, folder),
                progress=show,
                log=say,
            ).parameters
        else:
            trained = pretrain_contrast(
                squares.learned_from,
                checkpoint,
                objective=objective,
                start=start,
                as_published=as_published,
                width=width,
                multipliers=multipliers,
                iterations=iterations,
                batch_size=batch_size,
                accumulate=accumulate,
                learning_rate=learning_rate,
                clip_gradient=clip_gradient,
                ema_decay=ema_decay,
                precision=precision,
                flip=flip,
                seed=seed,
                device=where,
                held_out=squares.held_out,
                resume=resume,
                keep_state=keep_state,
                state_every=state_every,
                checkpoint_every=checkpoint_every,
                report_every=report_every,
                report=lambda report: write_pictures(report, folder),
                progress=show,
                log=say,
            )
            parameters = sum(tensor.numel() for tensor in trained.tensors.values())
    click.echo(
        f"{checkpoint}: {parameters} parameters, {checkpoint.stat().st_size} bytes, {iterations} iterations on "
        f"{counted(len(squares.learned_from), 'image')} of {image_size} x {image_size}; pictures in {folder}"
    )


def _require_of_objective(objective: str, start: Path | None, as_published: bool) -> set[str]:
    """Refuse options of another objective; what was asked for on the command line, by the names of the parameters."""
    context = click.get_current_context()
    asked = {name for name in context.params if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if objective == "diffusion" and (start is not None or as_published):
        strange, of = ("--start", "global-local-cl") if start is not None else ("--as-published", "global-cl")
        raise TedmError(f"{strange} is of another objective; leave it out, or ask for --objective {of}")
    if objective != "diffusion":
        strange = ", ".join(
            f"--{name.replace('_', '-')}"
            for name, value in sorted(context.params.items(), key=lambda each: each[0])
            if name in asked & {"schedule", "timesteps_total", "samples"} or (name == "format" and value != "safetensors")
        )
        if strange:
            raise TedmError(f"{strange}: of a diffusion model alone; leave out, or ask for --objective diffusion")
    return asked


if __name__ == "__main__":
    main()
