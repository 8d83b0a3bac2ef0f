"""tedm-extract: images in, a feature store out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import backbones, options
from tedm.cli.running import counted, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.extract import Backbone, Manifest
    from tedm.store import Location


@click.command(context_settings={"show_default": True})
@click.argument("images", type=options.PATH)
@click.argument("store", type=options.STORE)
@backbones.backbone_options("The pretrained DDPM: a file, or the folder of a diffusers model.")
@click.option(
    "--levels",
    default=None,
    show_default="the backbone's first preset",
    help="Decoder levels: a preset (tedm, ledm), or indices or names with commas between; tedm-inspect CHECKPOINT lists them.",
)
@click.option("--timesteps", type=options.IntegerList(), default="1,10,25,50,200,400,600,800", help="Timesteps to extract.")
@click.option("--layout", type=click.Choice(["upsampled", "native"]), default="upsampled", help="One array, or one a level.")
@click.option("--upsampling", type=click.Choice(["nearest", "bilinear"]), default="nearest", help="How levels become pixels.")
@click.option("--dtype", type=click.Choice(["float16", "float32"]), default="float16", help="Type on disk.")
@click.option("--noise", type=click.Choice(["per-image", "shared", "none"]), default="per-image", help="Whose noise.")
@click.option("--noise-seed", type=int, default=0, help="Seed of the noise.")
@click.option("--draws", type=int, default=1, help="Draws of noise at each timestep.")
@click.option("--geometry", type=click.Choice(["pad", "stretch"]), default="pad", help="How images become squares.")
@click.option(
    "--input-range",
    type=options.Range(),
    default=None,
    show_default="the backbone's own",
    help="Black and white for the backbone: --input-range=0,1 matches the published numbers.",
)
@click.option(
    "--intensity-range",
    type=options.Range(),
    default=None,
    show_default="the file type's",
    help="Black and white in the files, for 16-bit and float images.",
)
@click.option(
    "--batch-size",
    type=int,
    default=None,
    show_default="64 on CUDA, 8 or a multiple of the threads on a CPU",
    help="Images in a forward pass.",
)
@options.DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    help="The network's arithmetic; auto is bfloat16 on recent GPUs and on CPUs with AMX.",
)
@click.option("--threads", type=int, default=None, show_default="all cores of the process", help="Threads on a CPU.")
@options.CLASSES
@options.IGNORE
@click.option("--allow-other-arithmetic", is_flag=True, help="Continue a store that was made on another kind of machine.")
@click.option("--shard", type=options.Shard(), default=None, help="Take one of n disjoint parts of the images, 0/n to n-1/n.")
@click.option("--repair", is_flag=True, help="Read again what STORE has, and extract anew what is damaged.")
@click.option("--dry-run", is_flag=True, help="Try a few images elsewhere; tell what disk, memory and time all will take.")
@options.VERSION
@plain_errors
def main(
    images: Path,
    store: Location,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    levels: str | None,
    classes: Any,
    ignore: int | None,
    dry_run: bool,
    **settings: Any,
) -> None:
    """Run the DDPM once for each image of IMAGES and timestep, and write the activations to STORE.

    IMAGES is a CSV manifest with a column `image` and optionally name, mask, split, group or patient, domain; or a folder of
    images; or a folder with images/ and masks/. Run the same command again to continue after an interruption, or to add images.
    What is known of images that are in STORE already stays as it is: tedm-label replaces masks and splits.
    """
    from tedm.extract import read_manifest
    from tedm.extract.run import extract, whole_images

    if checkpoint is None and backbone is None:
        raise click.UsageError("name the backbone with --checkpoint FILE or --backbone MODULE:FUNCTION")
    known = None if settings["repair"] else whole_images(store)
    manifest = read_manifest(images, classes=classes, ignore=ignore, known=known)
    loaded = backbones.load(checkpoint, backbone, backbone_config)
    assert loaded is not None  # one of the two options is there
    tapped = loaded.choose(levels)
    if dry_run:
        _say_estimate(manifest, store, tapped, **settings)
        return
    with progress("extracting") as show:
        done = extract(
            manifest,
            store,
            tapped,
            provenance={"checkpoint": checkpoint.name if checkpoint else backbone},
            progress=show,
            **settings,
        )
    arithmetic = done.store.arithmetic
    say(
        f"{tapped.family} backbone, level{'s' * (len(tapped.levels) > 1)} "
        + ", ".join(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in tapped.levels)
        + f"; {arithmetic.precision} on {arithmetic.device}, batches of {arithmetic.batch_size}"
    )
    click.echo(f"{store}: {counted(done.computed, 'image')} extracted, {done.reused} were there; {done.store.labels.summary()}")


def _say_estimate(
    manifest: Manifest, store: Location, backbone: Backbone, *, shard: Any, repair: bool, **settings: Any
) -> None:
    from tedm.extract import extract
    from tedm.extract.estimate import estimate
    from tedm.text import duration

    if repair:
        raise click.UsageError("--dry-run tells nothing about --repair: tedm-verify tells what is damaged")
    entries = len(settings["timesteps"]) * settings["draws"]
    trial = functools.partial(extract, backbone=backbone, **settings)
    costs = estimate(manifest, store, trial, entries=entries, shard=shard)
    free = "" if costs.free is None else f", {_size(costs.free)} free"
    click.echo(
        f"{store}: {counted(costs.images, 'image')} to extract (tried {costs.tried})\n"
        f"disk    {_size(costs.disk)}{free}\n"
        f"memory  {_size(costs.memory)}" + (f", {_size(costs.device_memory)} on the GPU" if costs.device_memory else "") + "\n"
        f"time    {duration(costs.seconds)}"
    )
    costs.require_space(store)


def _size(number: int) -> str:
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{number / 1e6:.3g} MB"
