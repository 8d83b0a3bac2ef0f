"""tedm-predict: masks from a head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import backbones, options, volumes
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.files import require_new
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.heads import VotingRule
    from tedm.store.volumes.normalisation import Brain
    from tedm.study.predict import Device
    from tedm.study.volume_output import VolumeFormat


@click.command(cls=Command)
@click.argument("head", type=options.PATH)
@click.argument("source", metavar="STORE_OR_IMAGES", type=options.STORE)
@click.argument("out_folder", type=options.PATH)
@backbones.backbone_options("The DDPM, where images and not a store are given.")
@options.VOTE
@options.TIMESTEPS
@options.cleaning_options
@click.option("--split", default=None, help='Which images. Default: "test" if there are any, else all.')
@options.DOMAIN
@click.option("--probabilities", is_flag=True, help="Also write the class probabilities as NumPy arrays, of volumes as NIfTI.")
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Also write how unsure the vote is and how far the voters are apart, as pictures, of volumes as NIfTI.",
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
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    head: Path,
    source: Path | str,
    out_folder: Path,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    vote: VotingRule | None,
    timesteps: tuple[int, ...] | None,
    largest: int | None,
    fill_holes: bool,
    min_area: int | None,
    split: str | None,
    domain: str | None,
    probabilities: bool,
    uncertainty: bool,
    volume_format: VolumeFormat,
    brain: Brain | None,
    device: Device,
    scheduler: str | None,
) -> None:
    """Segment with HEAD the images of a feature store, or of a manifest, a folder or a file, and write masks to OUT_FOLDER.

    Masks of pictures are PNG files at the pictures' own size, masks of volumes NIfTI (or NRRD) files in the volume's own
    geometry, with the values of the masks that the head was trained on. From images, the backbone runs for the head's timesteps
    only, with the settings that the head has recorded.

    --largest, --fill-holes and --min-area clean the masks, at the images' own size and of volumes in three dimensions; a pixel
    of --min-area is one at feature resolution, so that it means the same for images of all sizes and in tedm-evaluate.
    Probabilities stay as they are.

    With --uncertainty, NAME-entropy.png is the entropy of the vote (black: sure, white: a guess), NAME-disagreement.png the
    Jensen-Shannon divergence of the voters (black: alike), of volumes NAME-entropy.nii.gz and so on, and uncertainty.csv has
    the mean of both over each image or volume.
    """
    from tedm.devices import choose_device
    from tedm.heads import Cleaning, connect, load_head
    from tedm.study import predict_folder

    require_new(out_folder)
    cleaning = Cleaning(largest, fill_holes, min_area or 0)
    segmenter = load_head(head, device=choose_device(device))
    with connect(scheduler) as workers:
        names = predict_folder(
            out_folder,
            segmenter,
            source,
            backbone=backbones.load(checkpoint, backbone, backbone_config),
            rule=vote,
            timesteps=timesteps,
            split=split,
            domain=domain,
            cleaning=cleaning,
            probabilities=probabilities,
            uncertainty=uncertainty,
            volume_format=volume_format,
            brain=brain,
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


if __name__ == "__main__":
    main()
