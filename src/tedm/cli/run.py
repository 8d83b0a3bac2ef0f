"""tedm-run: from images to masks, scores and a report in one go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tedm.cli.shared import backbones, options, volumes
from tedm.cli.shared.running import Command, command_line, plain_errors, progress, say
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.extract.images import VolumeOptions
    from tedm.store.settings import Geometry
    from tedm.store.volumes.normalisation import Normalisation


@click.command(cls=Command)
@click.argument("images", type=options.PATH)
@click.argument("out", type=options.PATH)
@backbones.backbone_options("The pretrained DDPM: a file, or the folder of a diffusers model.")
@click.option(
    "--train",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Learn from the labelled images of N patients, drawn by chance, and test on all others. Default: as IMAGES has it.",
)
@click.option(
    "--method",
    default=None,
    show_default="that of tedm-fit",
    help="How the head learns: see tedm-fit; without a GPU, jury-fast takes a quarter of the passes of jury. jury-finetune and "
    "ddpm-finetune train the diffusion model of --checkpoint further.",
)
@options.CLASSES
@options.IGNORE
@options.THRESHOLD
@click.option(
    "--geometry", type=click.Choice(["pad", "stretch"]), default="pad", show_default=True, help="How images become squares."
)
@click.option("--intensity-range", type=options.Range(), default=None, help="Black and white in files of more than 8 bits.")
@volumes.volume_options
@options.EDGES
@click.option("--threads", type=int, default=None, help="Threads on a CPU. Default: all cores of the process.")
@options.MEMORY
@options.DEVICE
@options.VERSION
@plain_errors
@volumes.choices
def main(
    images: Path,
    out: Path,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    train: int | None,
    method: str | None,
    classes: tuple[int, ...] | None,
    ignore: int | None,
    threshold: int | None,
    geometry: Geometry,
    intensity_range: tuple[float, float] | None,
    volume_choices: VolumeOptions,
    normalisation: Normalisation | None,
    edges: bool,
    threads: int | None,
    memory: int | None,
    device: Literal["auto", "cpu", "cuda"],
) -> None:
    """Learn from the labelled images of IMAGES, segment all others, and write everything to the folder OUT.

    Extracts features, fits a head on the split train, scores it on the labelled images of the split test where there are any,
    writes masks of these and of all images without one, and a report: OUT/features, OUT/head, OUT/scores, OUT/masks and
    OUT/report.html. Test volumes are also scored whole, at their own resolution (OUT/volumes.csv). A run that was stopped goes
    on when the same command is run again; images that came since are added.
    """
    if checkpoint is None and backbone is None:
        raise click.UsageError("name the diffusion model with --checkpoint FILE or --backbone MODULE:FUNCTION")
    from tedm.extract.pretrain import read_pretrained
    from tedm.heads import DEFAULT, method_named, require_start, starts_from_weights
    from tedm.study.whole.plan import Places, read_images
    from tedm.study.whole.run import run_whole

    places = Places(out)
    chosen = method_named(DEFAULT if method is None else method)
    start = None
    if starts_from_weights(chosen):
        if checkpoint is None:
            raise click.UsageError(
                f"--method {chosen.name} trains the diffusion model further: name its file with --checkpoint in place of "
                "--backbone"
            )
        start = read_pretrained(checkpoint)
        require_start(chosen, start)
    loaded = backbones.load(checkpoint, backbone, backbone_config)
    assert loaded is not None  # one of the two options is there
    manifest = read_images(
        images, places, train=train, classes=classes, ignore=ignore, threshold=threshold, options=volume_choices
    )
    for line in manifest.sentences():
        say(line)
    done = run_whole(
        manifest,
        places,
        loaded,
        chosen,
        any_method=method is None,
        start=start,
        truth=images,
        ignore=ignore,
        geometry=geometry,
        intensity_range=intensity_range,
        normalisation=normalisation,
        edges=edges,
        checkpoint_name=checkpoint.name if checkpoint else str(backbone),
        command=command_line("tedm-run"),
        device=device,
        threads=threads,
        memory=memory,
        progress=progress,
        log=say,
    )
    for table, of in ((done.table, "slices, one by one" if done.volumes else ""), (done.volumes, "whole volumes")):
        if table is not None:
            click.echo(f"{f'Scores of {of}:{chr(10)}' if of else ''}{table.to_text()}")
    look = f"open {places.report} in a browser; " if done.table is not None else ""
    click.echo(f"{out}: {look}{counted(done.masks, 'mask')} in {places.masks}, the head in {places.head}")


if __name__ == "__main__":
    main()
