"""tedm-report: results as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, plain_errors
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.heads import EmptyTruth


@click.command(cls=Command)
@click.argument("folders", metavar="FOLDER...", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--out", type=options.PATH, default="report.html", show_default=True, help="The file; an earlier report is replaced."
)
@click.option("--title", default=None, help="The heading. Default: that of the only folder.")
@click.option(
    "--empty-truth",
    type=click.Choice(["leave-out", "count"]),
    default=None,
    help="What an image counts in means whose truth does not show a class, see tedm-evaluate. Default: as each FOLDER has it. "
    "Probes stay as they are.",
)
@options.VERSION
@plain_errors
def main(folders: tuple[Path, ...], out: Path, title: str | None, empty_truth: EmptyTruth | None) -> None:
    """Show what tedm-evaluate --folder and tedm-probe wrote to each FOLDER, as one HTML file that opens offline.

    Scores of several evaluations stand in one table and are tested against each other; they must be of the same images.
    """
    from tedm.study import write_report

    size = write_report(folders, out, title=title, empty=empty_truth)
    click.echo(f"{out}: {counted(len(folders), 'result')}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
