"""tedm-extract: images in, a feature store out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tedm.cli.shared import backbones, options, volumes
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.text import counted, listed

if TYPE_CHECKING:
    from tedm.extract.images import VolumeOptions
    from tedm.store import Location
    from tedm.store.settings import Geometry, Layout, NoiseMode, StorageType, Upsampling
    from tedm.store.volumes.normalisation import Normalisation
    from tedm.views import ViewChanges


@click.command(cls=Command, context_settings={"show_default": True})
@click.argument("images", type=options.PATH, nargs=-1, required=True)
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
@click.option(
    "--views",
    type=int,
    default=0,
    help="Views of each labelled image of the split train: the image again with other noise, intensities and place, for "
    "tedm-fit --views to learn from. 0: none.",
)
@click.option(
    "--view-changes",
    type=click.Choice(["none", "intensity", "full"]),
    default="full",
    help="What a view changes: nothing but the noise, intensities too, or its place in the picture as well.",
)
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
    help="Black and white in files of more than 8 bits; the others keep 0 and 255, or what is white of fewer bits.",
)
@click.option(
    "--batch-size",
    type=int,
    default=None,
    show_default="on CUDA the pixels of 64 images of 128 x 128, 8 or a multiple of the threads on a CPU",
    help="Images in a forward pass.",
)
@options.DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    help="The network's arithmetic; auto is bfloat16 on recent GPUs, on CPUs with AMX, and on AMD's with AVX512-BF16.",
)
@click.option("--threads", type=int, default=None, show_default="all cores of the process", help="Threads on a CPU.")
@volumes.CHANNELS
@volumes.volume_options
@click.option(
    "--drop-empty",
    type=click.Choice(["train"]),
    default=None,
    show_default=False,
    help="Leave out images of the split train that show no labelled structure. Default: keep all. Tests keep theirs always.",
)
@options.CLASSES
@options.IGNORE
@options.THRESHOLD
@options.STRICT
@volumes.CLASS_NAMES
@click.option("--allow-other-arithmetic", is_flag=True, help="Continue a store that was made on another kind of machine.")
@click.option("--shard", type=options.Shard(), default=None, help="Take one of n disjoint parts of the images, 0/n to n-1/n.")
@click.option("--repair", is_flag=True, help="Read again what STORE has, and extract anew what is damaged.")
@click.option("--update", is_flag=True, help="Extract anew images that changed since, and take masks and labels that did.")
@click.option("--dry-run", is_flag=True, help="Try a few images elsewhere; tell what disk, memory and time all will take.")
@options.VERSION
@plain_errors
@volumes.choices
def main(
    images: tuple[Path, ...],
    store: Location,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    levels: str | None,
    timesteps: tuple[int, ...],
    layout: Layout,
    upsampling: Upsampling,
    dtype: StorageType,
    noise: NoiseMode,
    noise_seed: int,
    draws: int,
    views: int,
    view_changes: ViewChanges,
    geometry: Geometry,
    input_range: tuple[float, float] | None,
    intensity_range: tuple[float, float] | None,
    batch_size: int | None,
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["auto", "float32", "bfloat16"],
    threads: int | None,
    classes: tuple[int, ...] | None,
    ignore: int | None,
    threshold: int | None,
    strict: bool,
    allow_other_arithmetic: bool,
    shard: tuple[int, int] | None,
    repair: bool,
    update: bool,
    dry_run: bool,
    class_names: dict[int, str] | None,
    volume_choices: VolumeOptions,
    normalisation: Normalisation | None,
) -> None:
    """Run the DDPM once for each image of IMAGES and timestep, and write the activations to STORE.

    IMAGES is a CSV manifest with a column `image` and optionally name, mask, split, group or patient, domain; or a folder of
    images; or a folder with images/ and masks/; or an image; or several of these. Run the same command again to continue after
    an interruption, or to add images.
    An image is its pixels, not its name: one that changed since STORE has read it is refused without --update. Masks and splits
    of images that are in STORE stay as they are, and what differs is said: tedm-label replaces them, or --update.
    """
    from tedm.extract import (
        as_read,
        estimate_costs,
        extract,
        extract_views,
        normalisation_of,
        read_manifest,
        require_images_as_trained,
        settled,
        whole_images,
    )
    from tedm.views import ViewKind

    if views < 0:
        raise click.UsageError(f"--views is {views}; it must be at least 0")
    if checkpoint is None and backbone is None:
        raise click.UsageError("name the backbone with --checkpoint FILE or --backbone MODULE:FUNCTION")
    if dry_run and repair:
        raise click.UsageError("--dry-run tells nothing about --repair: tedm-verify tells what is damaged")
    if dry_run and update:
        raise click.UsageError("--dry-run tells nothing about --update: tedm-verify STORE --images IMAGES tells what changed")
    if update and shard:
        raise click.UsageError("--update changes what all shards share: run it once without --shard")
    known = None if repair else whole_images(store)
    manifest = read_manifest(
        images,
        classes=classes,
        ignore=ignore,
        threshold=threshold,
        strict=strict,
        known=known,
        as_read=as_read(store),
        options=volume_choices,
        legend=volumes.legend_of(class_names),
    )
    for line in manifest.sentences():
        say(line)
    loaded = backbones.load(checkpoint, backbone, backbone_config)
    assert loaded is not None  # one of the two options is there
    tapped = loaded.choose(levels)
    extraction = functools.partial(
        extract,
        backbone=tapped,
        timesteps=timesteps,
        layout=layout,
        upsampling=upsampling,
        dtype=dtype,
        noise=noise,
        noise_seed=noise_seed,
        draws=draws,
        geometry=geometry,
        input_range=input_range,
        intensity_range=intensity_range,
        normalisation=normalisation,
        batch_size=batch_size,
        device=device,
        precision=precision,
        threads=threads,
        allow_other_arithmetic=allow_other_arithmetic,
    )
    if dry_run:
        chosen = None if normalisation is None else settled(normalisation, manifest, normalisation_of(store))
        for remark in (
            *require_images_as_trained(tapped, manifest.options.channels, chosen),
            *manifest.require_intensity_range(intensity_range, channels=tapped.image_channels, normalisation=chosen),
        ):
            say(f"note: {remark}")
        extraction = functools.partial(extraction, normalisation=chosen)
        costs = estimate_costs(manifest, store, extraction, entries=len(timesteps) * draws, shard=shard)
        costs = costs.with_more(views * sum(entry.split == "train" and entry.mask is not None for entry in manifest.entries))
        click.echo("\n".join([f"{store}: {costs.lines[0]}", *costs.lines[1:]]))
        if views and not costs.images:
            click.echo("views   not estimated: no image is left to extract, from which that could be told")
        costs.require_space(store)
        return
    made_with = {"checkpoint": checkpoint.name if checkpoint else backbone}
    extraction = functools.partial(extraction, shard=shard, repair=repair, update=update, log=say, provenance=made_with)
    with progress("extracting") as show:
        done = extraction(manifest, store, progress=show)
    arithmetic = done.store.arithmetic
    said = listed(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in tapped.levels)
    say(
        f"{tapped.family} backbone, level{'s' * (len(tapped.levels) > 1)} {said}; "
        f"{arithmetic.precision} on {arithmetic.device}, batches of {arithmetic.batch_size}"
    )
    click.echo(f"{store}: {counted(done.computed, 'image')} extracted, {done.reused} were there; {done.store.labels.summary()}")
    if views:
        with progress("extracting views") as show:
            seen = extract_views(
                done.store,
                tapped,
                views,
                kind=ViewKind(view_changes, noise_seed),
                shard=shard,
                device=device,
                threads=threads,
                allow_other_arithmetic=allow_other_arithmetic,
                repair=repair,
                progress=show,
            )
        left = seen.store.missing()
        more = f", {len(left)} still missing: run the same command again once all images are there" if left else ""
        click.echo(f"{seen.store.path}: {counted(seen.computed, 'view')} extracted, {seen.reused} were there{more}")


if __name__ == "__main__":
    main()
