"""tedm-evaluate: the table of methods, training sizes and domains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, command_line, plain_errors, progress, say
from tedm.errors import TedmError
from tedm.heads import METRICS

if TYPE_CHECKING:
    from tedm.heads import Correction, EmptyTruth, Metric, VotingRule
    from tedm.store import Features
    from tedm.study.originals import Originals


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.argument("heads", metavar="HEAD...", type=options.PATH, nargs=-1, required=True)
@click.option("--split", default="test", show_default=True, help="Images to score on.")
@options.DOMAIN
@click.option(
    "--by", type=click.Choice(["domain", "none"]), default="domain", show_default=True, help="What a table row is for."
)
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="dice",
    show_default=True,
    help="What it shows.",
)
@click.option(
    "--volumes",
    "truth",
    type=options.PATH,
    default=None,
    metavar="MANIFEST",
    show_default=False,
    help="Score whole volumes at their own resolution, against the masks that MANIFEST names. Default: slice by slice.",
)
@options.IGNORE
@click.option("--distances", is_flag=True, help="Of volumes: also measure HD95 and NSD, in millimetres, for --records.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=None,
    show_default="1",
    help="Of NSD: millimetres that a surface may be off.",
)
@click.option("--by-class", is_flag=True, help="A table for each class, in place of the mean over classes.")
@click.option(
    "--correction",
    type=click.Choice(["holm", "bonferroni"]),
    default="holm",
    show_default=True,
    help="Of the tests, for their number in a domain and n: methods, and with --by-class all classes together.",
)
@options.EMPTY_TRUTH
@options.VOTE
@options.TIMESTEPS
@options.cleaning_options
@options.EDGES
@click.option("--out", type=options.TABLE, default=None, help="Write the table here: .csv, .md, .tex or .txt.")
@click.option("--records", type=options.PATH, default=None, help="Write the scores of every image and class here, as CSV.")
@click.option(
    "--calibration",
    type=options.PATH,
    default=None,
    help="Write to this new folder how sure the heads are and how often right: reliability.csv, ece.csv, reliability.png.",
)
@click.option(
    "--folder", type=options.PATH, default=None, help="Write a new folder for tedm-report: scores, provenance, examples."
)
@click.option(
    "--originals",
    type=options.PATH,
    default=None,
    help="The images' own files (a manifest, a folder), for pictures in the folder at their size, and not as they are scored.",
)
@options.MEMORY
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    heads: tuple[Path, ...],
    split: str,
    domain: str | None,
    by: str,
    metric: Metric,
    truth: Path | None,
    ignore: int | None,
    distances: bool,
    tolerance: float | None,
    by_class: bool,
    correction: Correction,
    empty_truth: EmptyTruth,
    vote: VotingRule | None,
    timesteps: tuple[int, ...] | None,
    largest: int | None,
    fill_holes: bool,
    min_area: int | None,
    edges: bool,
    out: Path | None,
    records: Path | None,
    calibration: Path | None,
    folder: Path | None,
    originals: Path | None,
    device: str,
    memory: int | None,
    scheduler: str | None,
) -> None:
    """Score each HEAD on the labelled images of STORE and print the table, with paired tests against the best.

    Scores are Dice (or --metric) per image and class at feature resolution, averaged over the same images for every head. With
    --volumes they are per volume and class, at the volumes' own resolution against the masks' own files.

    With --largest, --fill-holes or --min-area each head is scored twice, with its masks as they are and cleaned, side by side;
    volumes are cleaned in three dimensions.

    With --volumes and --edges, masks are scored as tedm-predict --edges makes them, of the volumes that MANIFEST names.
    """
    twice = sorted({str(path) for path in heads if heads.count(path) > 1})
    if twice:
        raise TedmError(f"the head {twice[0]} is named twice")
    from tedm.devices import choose_device
    from tedm.heads import Cleaning, connect, load_head
    from tedm.store import FeatureStore
    from tedm.study import evaluate_heads
    from tedm.study.report.calibration import calibration_lines

    if device != "auto":
        choose_device(device)  # refused before anything is read
    features = FeatureStore.open(store)
    if originals is not None and folder is None:
        raise TedmError("--originals is of the pictures in a folder: add --folder FOLDER, or leave it out")
    files = None if originals is None else _files(originals, features)
    with connect(scheduler) as workers:
        evaluated = evaluate_heads(
            features,
            {str(path): load_head(path, device=device) for path in heads},
            split=split,
            domain=domain,
            by_domain=by == "domain",
            metric=metric,
            empty=empty_truth,
            truth=truth,
            ignore=ignore,
            distances=distances,
            tolerance=tolerance,
            edges=edges,
            by_class=by_class,
            correction=correction,
            rule=vote,
            timesteps=timesteps,
            cleaning=Cleaning(largest, fill_holes, min_area or 0),
            memory=memory,
            workers=workers,
            what=str(store),
            command=command_line("tedm-evaluate"),
            table_file=out,
            records_file=records,
            folder=folder,
            originals=files,
            calibration_folder=calibration,
            progress=progress,
            log=say,
        )
    click.echo(evaluated.table.to_text())
    for line in calibration_lines(evaluated.reliability):
        click.echo(line)


def _files(originals: Path, features: Features) -> Originals:
    from tedm.extract import read_manifest  # for whoever asks for it: it loads what reads images
    from tedm.study.originals import Originals

    return Originals(read_manifest(originals, known=features.labels), features)


if __name__ == "__main__":
    main()
