"""What a report says, from result folders: records to tables and figures, examples to tiles, everything else as it stands.

Evaluations are put together as if they had been one; a probe is shown as its folder describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.results import MAKERS, ResultFolder, read_result
from tedm.show.report import GENERATOR, Picture, Section, Sheet, Tile, report_html

if TYPE_CHECKING:
    from tedm.heads.evaluation import Evaluation
    from tedm.heads.examples import Example
    from tedm.heads.intervals import Key
    from tedm.heads.records import Record
    from tedm.heads.render import Grid

PNG = b"\x89PNG\r\n\x1a\n"
# Rows of a table that belongs to no figure; the numbers of a figure are always shown whole.
MOST_ROWS = 200
DPI = 200
TILE_DPI = 130
FURTHER = {"precision": "Precision", "recall": "Recall", "iou": "IoU"}
EMPTY = "–"


def write_report(folders: Sequence[Path], out: Path, *, title: str | None = None) -> None:
    """Write one HTML file from result folders.

    Parameters
    ----------
    folders : sequence of Path
        What tedm-evaluate --folder and tedm-probe wrote.
    out : Path
        The file; an earlier report is replaced, anything else is not.
    title : str or None
        None takes the title of the only folder, or says how many there are.

    Raises
    ------
    TedmError
        If a folder is no result, is damaged, or holds no scores; if evaluations cannot be put together; if `out` is taken or cannot be written.
    """
    out = Path(out)
    require_replaceable(out)
    twice = [str(folder) for folder in folders if [other.resolve() for other in folders].count(folder.resolve()) > 1]
    if twice:
        raise TedmError(f"the folder {twice[0]} is named twice; name each result once")
    results = [read_result(folder) for folder in folders]
    evaluations = _evaluations(results)
    sections = []
    if evaluations:
        sections.append(_scores(evaluations))
        sections += [_examples(evaluation, several=len(evaluations) > 1) for evaluation in evaluations if evaluation.examples]
    sections += [_generic(result) for result in results if result.kind != "evaluation" or result.figures or result.tables]
    sections.append(Section("What was run on what", sections=[_provenance(result) for result in results]))
    kinds = [f"{sum(result.kind == kind for result in results)} {kind}(s)" for kind in MAKERS]
    html = report_html(
        title or (results[0].title if len(results) == 1 else f"{len(results)} results"),
        [f"Put together from {' and '.join(kind for kind in kinds if kind[0] != '0').replace('(s)', '')}."],
        sections,
        made_by=version("tedm"),
    )
    write_whole(out, html.encode(), what="the report", remedy="name another place with --out")
