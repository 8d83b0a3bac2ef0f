"""tedm-pretrain: a DDPM from unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import options
from tedm.cli.running import counted, plain_errors, progress, say
from tedm.errors import TedmError

if TYPE_CHECKING:
    from tedm.extract.images import Manifest, ManifestEntry
    from tedm.extract.pretrain import TrainingReport


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
@click.option("--accumulate", type=int, default=1, help="Parts that a batch is computed in, to save memory.")
@click.option("--learning-rate", type=float, default=1e-4, help="Adam's.")
@click.option("--clip-gradient", type=float, default=None, show_default="never", help="Shorten gradients to this length.")
@click.option("--ema-decay", type=float, default=0.9995, help="Of the moving average of the weights; 0 is no average.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help="Of the network's passes.")
@click.option("--flip", is_flag=True, help="Turn images left to right by chance. Anatomy is not symmetric.")
@click.option("--seed", type=int, default=0, help="Of the weights and of everything that is drawn.")
@options.DEVICE
@click.option("--held-out", type=int, default=64, help="Images for the validation loss, of whole groups, a tenth at most.")
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
def main(
    images: Path,
    checkpoint: Path,
    image_size: int,
    channels: str,
    geometry: Any,
    intensity_range: Any,
    device: Any,
    held_out: int,
    pictures: Path | None,
    **settings: Any,
) -> None:
    """Train TEDM's UNet to predict the noise in IMAGES (a folder or a manifest; masks are not looked at).

    CHECKPOINT is a safetensors file with its settings inside. After an interruption, run the same command with --resume.
    Images of the manifest's split `test` are left out; those of `val`, if there are any, are the ones held out.
    """
    from tedm.devices import choose_device
    from tedm.extract import read_manifest
    from tedm.extract.images import read_squares
    from tedm.extract.pretrain import pretrain_diffusion

    manifest = read_manifest(images)
    manifest.require_intensity_range(intensity_range)
    learned, validated = _parts(manifest, held_out, settings["seed"])
    squares, validation = (
        read_squares(
            [entry.image for entry in entries],
            image_size,
            channels=int(channels),
            geometry=geometry,
            intensity_range=intensity_range,
        )
        for entries in (learned, validated)
    )
    folder = checkpoint.with_name(f"{checkpoint.stem}-pictures") if pictures is None else pictures
    with progress("pre-training") as show:
        backbone = pretrain_diffusion(
            squares,
            checkpoint,
            held_out=validation if validated else None,
            device=choose_device(device),
            report=lambda report: _draw(report, folder),
            progress=show,
            log=say,
            **settings,
        )
    click.echo(
        f"{checkpoint}: {backbone.parameters} parameters, {checkpoint.stat().st_size} bytes, "
        f"{backbone.step} iterations on {counted(len(learned), 'image')} of {image_size} x {image_size}; pictures in {folder}"
    )


def _parts(manifest: Manifest, held_out: int, seed: int) -> tuple[list[ManifestEntry], list[ManifestEntry]]:
    """Images to learn from, and images held out."""
    from tedm.extract.live import labels_of
    from tedm.extract.pretrain import choose_held_out
    from tedm.store.splits import held_back

    if held_out < 0:
        raise click.BadParameter(f"{held_out} images cannot be held out; use 0 for none", param_hint="--held-out")
    labels = labels_of(manifest)
    for_tests, for_validation = held_back(labels, ["test"]), held_back(labels, ["val"])
    usable = [entry for entry in manifest.entries if entry.name not in for_tests]
    tested = len(manifest.entries) - len(usable)
    if not usable:
        raise TedmError(f"no images to train on: all {tested} are of the split test, which is for testing")
    if tested:
        say(f"{counted(tested, 'image')} of the split test left out")
    chosen = [entry for entry in usable if entry.name in for_validation] if held_out else []
    if held_out and not chosen:
        indices = choose_held_out([entry.group for entry in usable], held_out, seed=seed)
        chosen = [usable[index] for index in indices]
    names = {entry.name for entry in chosen}
    learned = [entry for entry in usable if entry.name not in names]
    if not learned:
        raise TedmError(
            f"no images to train on: all {len(chosen)} are of the split val and held out; --held-out 0 learns from them"
        )
    say(f"learning from {counted(len(learned), 'image')}, {len(chosen)} held out")
    return learned, chosen


def _draw(report: TrainingReport, folder: Path) -> None:
    """The loss as a table and a picture, and what the DDPM makes of noise."""
    from tedm.extract.pretrain import write_curve
    from tedm.show import contact_sheet, loss_figure, save

    folder.mkdir(parents=True, exist_ok=True)
    write_curve(report.points, folder / "loss.csv")
    curves = {
        "training": [(point.iteration, point.training) for point in report.points if point.training is not None],
        "held out": [(point.iteration, point.validation) for point in report.points if point.validation is not None],
    }
    save(loss_figure(curves), folder / "loss.png")
    if len(report.samples):
        samples = [sample.transpose(1, 2, 0).squeeze() for sample in report.samples]
        names = [f"sample {number}" for number in range(1, len(samples) + 1)]
        save(contact_sheet(samples, names, columns=4), folder / f"samples-{report.iteration}.png", dpi=100)
