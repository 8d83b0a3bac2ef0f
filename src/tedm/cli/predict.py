"""tedm-predict: masks from a head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import backbones, options, volumes
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.errors import TedmError
from tedm.files import place_of, require_new
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.heads import VotingRule
    from tedm.store.volumes.normalisation import Brain
    from tedm.study.predict import Device
    from tedm.study.volume_output import VolumeFormat


@click.command(cls=Command)
@click.argument("places", metavar="STORE_OR_IMAGES... HEAD OUT_FOLDER", type=options.STORE, nargs=-1)
@backbones.backbone_options("The DDPM, where images and not a store are given.")
@options.VOTE
@options.TIMESTEPS
@options.cleaning_options
@options.EDGES
@click.option("--split", default=None, help='Which images. Default: "test" if there are any, else all.')
@options.DOMAIN
@click.option("--probabilities", is_flag=True, help="Also write the class probabilities as NumPy arrays, of volumes as NIfTI.")
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Also write how unsure the vote is and how far the voters are apart, as pictures, of volumes as NIfTI.",
)
@click.option(
    "--overlay",
    is_flag=True,
    help="Also write pictures of the images with their masks and the classes' names, and a sheet of all of them.",
)
@click.option(
    "--format",
    "volume_format",
    type=click.Choice(["auto", "nifti", "nrrd", "dicom-seg"]),
    default="auto",
    show_default=True,
    help="Of the masks of volumes: auto is NRRD for NRRD and NIfTI for all else.",
)
@volumes.BRAIN
@click.option(
    "--intensity-range",
    type=options.Range(),
    default=None,
    help="Black and white in images of more than 8 bits. Default: those that the head learned with.",
)
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    places: tuple[Path | str, ...],
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    vote: VotingRule | None,
    timesteps: tuple[int, ...] | None,
    largest: int | None,
    fill_holes: bool,
    min_area: int | None,
    edges: bool,
    split: str | None,
    domain: str | None,
    probabilities: bool,
    uncertainty: bool,
    overlay: bool,
    volume_format: VolumeFormat,
    brain: Brain | None,
    intensity_range: tuple[float, float] | None,
    device: Device,
    scheduler: str | None,
) -> None:
    """Segment the images of a feature store, or images, with HEAD, and write masks to OUT_FOLDER.

    Images are named by a CSV manifest, a folder, a picture, a volume's file or the folder of its DICOM series, or by several of
    these. Run the same command again to continue after an interruption. HEAD may come first, too.

    Masks of pictures are PNG files at the pictures' own size, masks of volumes NIfTI (or NRRD) files in the volume's own
    geometry, with the values of the masks that the head was trained on. From images, the backbone runs for the head's timesteps
    only, with the settings that the head has recorded.

    --largest, --fill-holes and --min-area clean the masks, at the images' own size and of volumes in three dimensions; a pixel
    of --min-area is one at feature resolution, so that it means the same for images of all sizes and in tedm-evaluate.
    Probabilities stay as they are.

    With --edges, borders of masks follow the edges of the images at their own size, which is before the cleaning; without, they
    are as smooth as the backbone's pixels are large.

    Masks of pictures are seen in colour, and their pixels are the values; classes.csv says which value is which class, and
    prediction.json what the masks were made from.

    With --overlay, the folder overlays gets NAME.png, each picture at its own size with its mask drawn over it and the names of
    the classes, of a volume up to twelve slices; and contact-sheet.png with all of them, small.

    With --uncertainty, the folder uncertainty gets NAME-entropy.png, the entropy of the vote (black: sure, white: a guess), and
    NAME-disagreement.png, the Jensen-Shannon divergence of the voters (black: alike), of volumes NAME-entropy.nii.gz and so on,
    and uncertainty.csv has the mean of both over each image or volume.
    """
    from tedm.devices import choose_device
    from tedm.heads import Cleaning, connect, load_head
    from tedm.study import predict_folder
    from tedm.study.masks.folder import ABOUT

    sources, head, out_folder = arranged(places)
    if not (place_of(out_folder) / ABOUT).is_file():
        require_new(out_folder)
    cleaning = Cleaning(largest, fill_holes, min_area or 0)
    segmenter = load_head(head, device=choose_device(device))
    with connect(scheduler) as workers:
        names = predict_folder(
            out_folder,
            segmenter,
            sources,
            backbone=backbones.load(checkpoint, backbone, backbone_config),
            rule=vote,
            timesteps=timesteps,
            split=split,
            domain=domain,
            cleaning=cleaning,
            edges=edges,
            probabilities=probabilities,
            uncertainty=uncertainty,
            overlay=overlay,
            volume_format=volume_format,
            brain=brain,
            intensity_range=intensity_range,
            device=device,
            workers=workers,
            head_name=str(head),
            backbone_name=str(checkpoint or backbone),
            progress=progress,
            log=say,
        )
    click.echo(
        f"{out_folder}: {counted(len(names), 'mask')} by {segmenter.method.name} ({vote or segmenter.method.vote} vote)"
        + (f", cleaned: {cleaning}" if cleaning else "")
    )


def arranged(places: Sequence[Path | str]) -> tuple[Path | str | list[Path], Path, Path]:
    """Tell which of the places on the command line is the head: it stands before the folder, or before everything else.

    Returns
    -------
    sources, head, out_folder
        A store or images, alone or several; the folder of the head; what is written.

    Raises
    ------
    click.UsageError
        If there are fewer than three places, two heads, or the last one is what is read.
    TedmError
        If no place is a head.
    """
    from tedm.store import FeatureStore

    *read, out = places or ("",)
    if len(read) < 2:
        raise click.UsageError("name what is segmented, the head and the folder for the masks: STORE_OR_IMAGES HEAD OUT_FOLDER")
    if is_head(out) or FeatureStore.is_store(out):
        kind = "head" if is_head(out) else "feature store"
        raise click.UsageError(f"{out} is a {kind}, and masks are written to the last place: STORE_OR_IMAGES HEAD OUT_FOLDER")
    at = [position for position in range(len(read)) if is_head(read[position])]
    if len(at) > 1:
        raise click.UsageError(f"{read[at[0]]} and {read[at[1]]} are heads; one of them segments")
    if not at:
        missing = read[0] if len(read) == 2 and not Path(read[0]).exists() else read[-1]
        what = "is no head (it has no head.json)" if Path(missing).exists() else "does not exist"
        raise TedmError(f"{missing} {what}; name what is segmented, the head and the folder for the masks, in this order")
    head = Path(read.pop(at[0]))
    sources = read[0] if len(read) == 1 else [Path(place) for place in read]
    return sources, head, Path(out)


def is_head(place: Path | str) -> bool:
    """Whether a place is the folder of a head."""
    return (Path(place) / "head.json").is_file()


if __name__ == "__main__":
    main()
