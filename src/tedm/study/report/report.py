"""A report from result folders: records become tables and figures, examples tiles, everything else stands as it is.

Evaluations are put together as if they had been one; a probe is shown as its folder describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import require_writable, write_whole
from tedm.heads import LEAVE_OUT, EmptyTruth
from tedm.show.report import GENERATOR, Section, report_html
from tedm.study.report.evaluation import Evaluation, convention_of_numbers, read_evaluation, told_apart
from tedm.study.report.folders import as_it_stands, provenance
from tedm.study.report.images import examples_section
from tedm.study.report.result import MAKERS, read_result
from tedm.study.report.scores import scores_section
from tedm.text import counted, listed

REMEDY = "name another place with --out"


def require_replaceable(out: Path) -> None:
    """Refuse a place that something else than an earlier report has, before any work."""
    if out.is_dir():
        raise TedmError(f"{out} is a folder; name a file with --out, {out / 'report.html'} say")
    if out.is_file() and GENERATOR.encode() not in out.read_bytes()[:1000]:
        raise TedmError(f"{out} exists and is no report of tedm-report; name another file with --out, or delete it")
    require_writable(out, what="the report", remedy=REMEDY)


def write_report(folders: Sequence[Path], out: Path, *, title: str | None = None, empty: EmptyTruth | None = None) -> int:
    """Write one HTML file from result folders and return its size in bytes.

    Parameters
    ----------
    folders : sequence of Path
        What tedm-evaluate --folder and tedm-probe wrote.
    out : Path
        The file; an earlier report is replaced, anything else is not.
    title : str or None
        None takes the title of the only folder, or says how many there are.
    empty : {"leave-out", "count"} or None
        What an image counts whose truth does not show a class; see `tedm.heads.summarise`. None takes the convention of the
        evaluations. Probes are shown as they are.

    Raises
    ------
    TedmError
        If a folder is no result, is damaged or holds no scores, if evaluations cannot be put together or follow different
        conventions and `empty` is None, or if `out` is taken or cannot be written.
    """
    require_replaceable(out)
    places = [folder.resolve() for folder in folders]
    twice = [str(folder) for folder, place in zip(folders, places, strict=True) if places.count(place) > 1]
    if twice:
        raise TedmError(f"the folder {twice[0]} is named twice; name each result once")
    results = [read_result(folder) for folder in folders]
    evaluations = told_apart([read_evaluation(result.path) for result in results if result.kind == "evaluation"])
    renamed = {evaluation.result.path: evaluation.result for evaluation in evaluations}
    results = [renamed.get(result.path, result) for result in results]
    several = len(evaluations) > 1
    empty = empty or _common_convention(evaluations)
    sections = [scores_section(evaluations, empty)] if evaluations else []
    sections += [examples_section(each, several, empty) for each in evaluations if each.examples]
    sections += [as_it_stands(result) for result in results if result.kind != "evaluation" or result.figures or result.tables]
    sections.append(Section("What was run on what", sections=[provenance(result) for result in results]))
    counts = {kind: sum(result.kind == kind for result in results) for kind in MAKERS}
    named = [counted(number, kind) for kind, number in counts.items() if number]
    html = report_html(
        title or (results[0].title if len(results) == 1 else " and ".join(named)),
        [f"Put together from {' and '.join(named)}: {listed(folders)}."],
        sections,
        made_by=version("tedm"),
    ).encode("utf-8", "backslashreplace")  # names need not be UTF-8, a page must be
    write_whole(out, html, what="the report", remedy=REMEDY)
    return len(html)


def _common_convention(evaluations: Sequence[Evaluation]) -> EmptyTruth:
    conventions = {str(evaluation.result.path): convention_of_numbers(evaluation) for evaluation in evaluations}
    if len(set(conventions.values())) > 1:
        each = listed(f"{folder} ({convention})" for folder, convention in conventions.items())
        raise TedmError(
            f"the evaluations differ in what an empty truth counts: {each}; choose one for the report with --empty-truth"
        )
    return next(iter(conventions.values()), LEAVE_OUT)
