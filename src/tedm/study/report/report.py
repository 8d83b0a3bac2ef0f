"""A report from result folders: records become tables and figures, examples tiles, everything else stands as it is.

Evaluations are put together as if they had been one; a probe is shown as its folder describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import require_writable, write_whole
from tedm.heads import LEAVE_OUT, EmptyTruth, read_records
from tedm.show.report import GENERATOR, Section, report_html
from tedm.study.report.evaluation import Evaluation, convention_of_numbers, read_evaluation, told_apart
from tedm.study.report.explained import explained
from tedm.study.report.folders import as_it_stands, provenance
from tedm.study.report.images import examples_section
from tedm.study.report.measured import Measured, measured
from tedm.study.report.opening import opening
from tedm.study.report.patients import patients_section
from tedm.study.report.result import MAKERS, ResultFolder, read_result
from tedm.study.report.scores import scores_section
from tedm.text import counted, listed, natural

RECORDS = "records.csv"  # as a study's folder has them
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
    first, sections = _first(results, evaluations, empty)
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
        opening=first,
    ).encode("utf-8", "backslashreplace")  # names need not be UTF-8, a page must be
    write_whole(out, html, what="the report", remedy=REMEDY)
    return len(html)


def _first(
    results: Sequence[ResultFolder], evaluations: Sequence[Evaluation], empty: EmptyTruth
) -> tuple[list[tuple[str, str]], list[Section]]:
    """Return what stands first, in words, and the methods, scores and patients: of all evaluations, or of the only study."""
    if evaluations:
        records = [record for evaluation in evaluations for record in evaluation.records]
        words = list(dict.fromkeys(text for evaluation in evaluations for text in evaluation.result.words))
        try:
            found = measured(records, empty)
            scores = [scores_section(found, words)]
        except TedmError as error:
            if len(evaluations) == 1:
                raise
            folders = ", ".join(str(evaluation.result.path) for evaluation in evaluations)
            raise TedmError(f"the evaluations {folders} cannot be put together: {error}") from error
    else:
        studies = [result for result in results if result.kind == "study" and RECORDS in result.files.values()]
        if len(studies) != 1 or not (records := read_records(studies[0].path / RECORDS)):
            return [], []
        found, scores = measured(records, empty), []
    identities = {name: one for evaluation in evaluations for name, one in evaluation.methods.items()}
    calibrated = {one.values.get("calibrated") for one in identities.values()}
    first = opening(found, calibrated=None if not calibrated else "yes" in calibrated)
    methods = Section("The methods", about=explained(_methods(found), identities))
    return first, [methods, *scores, patients_section(found)]


def _methods(found: Measured) -> list[str]:
    return sorted({cell.method for cell in found.table.cells}, key=natural)


def _common_convention(evaluations: Sequence[Evaluation]) -> EmptyTruth:
    conventions = {str(evaluation.result.path): convention_of_numbers(evaluation) for evaluation in evaluations}
    if len(set(conventions.values())) > 1:
        each = listed(f"{folder} ({convention})" for folder, convention in conventions.items())
        raise TedmError(
            f"the evaluations differ in what an empty truth counts: {each}; choose one for the report with --empty-truth"
        )
    return next(iter(conventions.values()), LEAVE_OUT)
