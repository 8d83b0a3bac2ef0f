"""tedm-evaluate: the table of methods, training sizes and domains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import options
from tedm.cli.running import command_line, plain_errors, progress, say_what_differs, say_what_is_not_applied
from tedm.errors import TedmError
from tedm.files import require_new

if TYPE_CHECKING:
    from tedm.heads.metrics.summary import EmptyTruth

RENDERINGS = {".csv": "to_csv", ".md": "to_markdown", ".tex": "to_latex", ".txt": "to_text"}


@click.command()
@click.argument("store", type=options.STORE)
@click.argument("heads", metavar="HEAD...", type=options.PATH, nargs=-1, required=True)
@click.option("--split", default="test", show_default=True, help="Images to score on.")
@options.DOMAIN
@click.option(
    "--by", type=click.Choice(["domain", "none"]), default="domain", show_default=True, help="What a table row is for."
)
@click.option(
    "--metric",
    type=click.Choice(["dice", "precision", "recall", "iou"]),
    default="dice",
    show_default=True,
    help="What it shows.",
)
@options.EMPTY_TRUTH
@options.VOTE
@options.TIMESTEPS
@options.cleaning_options
@click.option("--out", type=options.PATH, default=None, help="Write the table here: .csv, .md, .tex or .txt.")
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
    metric: Any,
    empty_truth: EmptyTruth,
    vote: Any,
    timesteps: Any,
    largest: int | None,
    fill_holes: bool,
    min_area: int | None,
    out: Path | None,
    records: Path | None,
    calibration: Path | None,
    folder: Path | None,
    device: str,
    memory: int | None,
    scheduler: str | None,
) -> None:
    """Score each HEAD on the labelled images of STORE and print the table, with paired tests against the best.

    Scores are Dice (or --metric) per image and class at feature resolution, averaged over the same images for every head. With
    --largest, --fill-holes or --min-area each head is scored twice, with its masks as they are and cleaned, side by side.
    """
    if out is not None and out.suffix not in RENDERINGS:
        raise click.BadParameter(f"{out}: the ending must be one of {', '.join(RENDERINGS)}", param_hint="--out")
    twice = sorted({str(path) for path in heads if heads.count(path) > 1})
    if twice:
        raise TedmError(f"the head {twice[0]} is named twice")
    if folder is not None:
        require_new(folder)
    from tedm.devices import choose_device
    from tedm.heads import evaluate, load_head, reliability, summarise, write_records
    from tedm.heads.evaluation.folder import write_evaluation
    from tedm.heads.runtime.workers import connect
    from tedm.heads.segmenter.postprocess import Cleaning
    from tedm.store import FeatureStore

    if calibration is not None:
        require_new(calibration)
    features = FeatureStore.open(store)
    loaded = {str(path): load_head(path, device=choose_device(device)) for path in heads}
    say_what_differs(features, loaded.values())
    say_what_is_not_applied(loaded, vote, timesteps)
    asked: dict[str, Any] = {"split": split, "domain": domain, "rule": vote, "timesteps": timesteps, "memory": memory}
    asked["cleaning"] = Cleaning(largest, fill_holes, min_area or 0)
    with connect(scheduler) as workers, progress("evaluating") as show:
        scores = evaluate(features, loaded, workers=workers, what=str(store), progress=show, **asked)
    if by == "none":
        scores = [dataclasses.replace(record, domain="all") for record in scores]
    if records is not None:
        write_records(scores, records)
    table = summarise(scores, metric=metric, empty=empty_truth)
    if folder is not None:
        asked = {"rule": vote, "timesteps": timesteps, "memory": memory}
        asked |= {"empty": empty_truth, "command": command_line("tedm-evaluate")}
        write_evaluation(folder, features, loaded, scores, what=str(store), **asked)
    if out is not None:
        out.write_text(getattr(table, RENDERINGS[out.suffix])(), encoding="utf-8")
    click.echo(table.to_text())
    if calibration is not None:
        from tedm.cli.calibration import write_calibration

        with connect(scheduler) as workers, progress("measuring calibration") as show:
            of: dict[str, Any] = {"split": split, "domain": domain, "rule": vote, "timesteps": timesteps, "memory": memory}
            found = reliability(features, loaded, workers=workers, what=str(store), progress=show, **of)
        click.echo("\n".join(write_calibration(found, calibration)))
