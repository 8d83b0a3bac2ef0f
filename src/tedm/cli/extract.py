"""tedm-extract: images in, a feature store out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.running import counted, plain_errors, progress, say


@click.command(context_settings={"show_default": True})
@click.argument("images", type=options.PATH)
@click.argument("store", type=options.STORE)
@click.option("--checkpoint", type=options.PATH, required=True, help="The pretrained DDPM.")
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
@click.option("--batch-size", type=int, default=None, show_default="8 on a CPU, 64 on CUDA", help="Images in a forward pass.")
@options.DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    help="The network's arithmetic; auto is bfloat16 on recent GPUs.",
)
@click.option("--threads", type=int, default=None, show_default="all cores of the process", help="Threads on a CPU.")
@options.CLASSES
@options.IGNORE
@click.option("--allow-other-arithmetic", is_flag=True, help="Continue a store that was made on another kind of machine.")
@options.VERSION
@plain_errors
def main(images: Path, store: Path | str, checkpoint: Path, classes: Any, ignore: int | None, **settings: Any) -> None:
    """Run the DDPM once for each image of IMAGES and timestep, and write the activations to STORE.

    IMAGES is a CSV manifest with a column `image` and optionally name, mask, split, group or patient, domain; or a folder of
    images; or a folder with images/ and masks/. Run the same command again to continue after an interruption, or to add images.
    What is known of images that are in STORE already stays as it is: tedm-label replaces masks and splits.
    """
    from tedm.extract.checkpoint import load_backbone
    from tedm.extract.manifest import read_manifest
    from tedm.extract.run import extract

    manifest = read_manifest(images, classes=classes, ignore=ignore)
    backbone = load_backbone(checkpoint)
    with progress("extracting") as show:
        done = extract(manifest, store, backbone, provenance={"checkpoint": checkpoint.name}, progress=show, **settings)
    arithmetic = done.store.arithmetic
    say(
        f"{backbone.family} backbone, level{'s' * (len(backbone.levels) > 1)} "
        + ", ".join(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in backbone.levels)
        + f"; {arithmetic.precision} on {arithmetic.device}, batches of {arithmetic.batch_size}"
    )
    click.echo(f"{store}: {counted(done.computed, 'image')} extracted, {done.reused} were there; {done.store.labels.summary()}")
