"""What a report says, from result folders: records to tables and figures, examples to tiles, everything else as it stands.

Evaluations are put together as if they had been one; a probe is shown as its folder describes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import isfinite, isnan
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.heads import summarise
from tedm.heads.evaluation.cells import Cell
from tedm.heads.evaluation.examples import Example
from tedm.heads.evaluation.folder import CHOICE, EMPTY_TRUTH, Evaluation, read_evaluation, told_apart
from tedm.heads.evaluation.intervals import Key, image_scores, mean_intervals
from tedm.heads.evaluation.render import Grid
from tedm.heads.metrics.bootstrap import DRAWS
from tedm.heads.metrics.measures import Metric
from tedm.heads.metrics.summary import CONVENTIONS, LEAVE_OUT, EmptyTruth
from tedm.results import MAKERS, ResultFolder, read_result
from tedm.show.figures import png
from tedm.show.report import GENERATOR, IGNORE, Picture, Section, Sheet, Tile, report_html, tile_figure
from tedm.show.scores import box_figure, five_numbers, groups_of, size_figure
from tedm.text import natural

PNG = b"\x89PNG\r\n\x1a\n"
# Rows of a table that belongs to no figure; the numbers of a figure are always shown whole.
MOST_ROWS = 200
DPI, TILE_DPI = 180, 130
FURTHER: dict[Metric, str] = {"precision": "Precision", "recall": "Recall", "iou": "IoU"}
EMPTY, NO_BREAK = "–", "\u00a0"
INTERVALS = (
    f"intervals are 95 % percentile bootstrap intervals of the mean: groups (patients) are drawn with replacement {DRAWS} "
    "times, all images of a group together, and so are the seeds (training subsets) where there are several; with one seed "
    "they say nothing of the choice of training images"
)


def require_replaceable(out: Path) -> None:
    """Refuse a place that something else than an earlier report has, before any work."""
    if out.is_dir():
        raise TedmError(f"{out} is a folder; name a file with --out, {out / 'report.html'} say")
    if out.exists() and GENERATOR.encode() not in out.read_bytes()[:1000]:
        raise TedmError(f"{out} exists and is no report of tedm-report; name another file with --out, or delete it")


def write_report(folders: Sequence[Path], out: Path, *, title: str | None = None, empty: EmptyTruth | None = None) -> int:
    """Write one HTML file from result folders; its size in bytes.

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
    sections = [_scores(evaluations, empty)] if evaluations else []
    sections += [_examples(each, several, empty) for each in evaluations if each.examples]
    sections += [_as_it_stands(result) for result in results if result.kind != "evaluation" or result.figures or result.tables]
    sections.append(Section("What was run on what", sections=[_provenance(result) for result in results]))
    counts = {kind: sum(result.kind == kind for result in results) for kind in MAKERS}
    counted = [f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in counts.items() if number]
    html = report_html(
        title or (results[0].title if len(results) == 1 else " and ".join(counted)),
        [f"Put together from {' and '.join(counted)}: {', '.join(str(folder) for folder in folders)}."],
        sections,
        made_by=version("tedm"),
    ).encode()
    write_whole(out, html, what="the report", remedy="name another place with --out")
    return len(html)


def _common_convention(evaluations: Sequence[Evaluation]) -> EmptyTruth:
    conventions = {str(evaluation.result.path): _convention(evaluation) for evaluation in evaluations}
    if len(set(conventions.values())) > 1:
        listed = ", ".join(f"{folder} ({convention})" for folder, convention in conventions.items())
        raise TedmError(
            f"the evaluations differ in what an empty truth counts: {listed}; choose one for the report with --empty-truth"
        )
    return next(iter(conventions.values()), LEAVE_OUT)


def _convention(evaluation: Evaluation) -> EmptyTruth:
    """The convention of the numbers in a folder; those of earlier versions do not say any."""
    said = dict(evaluation.result.about).get(EMPTY_TRUTH, "").split(":")[0]
    return next((convention for convention in CONVENTIONS if convention == said), LEAVE_OUT)


def _scores(evaluations: Sequence[Evaluation], empty: EmptyTruth) -> Section:
    """Tables, curves and boxes of all evaluations together, domain by domain."""
    records = [record for evaluation in evaluations for record in evaluation.records]
    try:
        table = summarise(records, empty=empty)
        further = {metric: summarise(records, metric=metric, empty=empty) for metric in FURTHER}
    except TedmError as error:
        if len(evaluations) == 1:
            raise
        folders = ", ".join(str(evaluation.result.path) for evaluation in evaluations)
        raise TedmError(f"the evaluations {folders} cannot be put together: {error}") from error
    intervals, scores = mean_intervals(records, empty=empty), image_scores(records, empty=empty)
    of_metric = {metric: {grid.domain: grid for grid in other.grids()} for metric, other in further.items()}
    domains = []
    for grid in table.grids():
        cells = [cell for cell in table.cells if cell.domain == grid.domain]
        pictures = [*_curves(cells, intervals), _boxes(cells, scores)]
        closed = [_sheet(of_metric[metric][grid.domain]) for metric in FURTHER]
        even = len(grid.titles) <= 5 and len(pictures) % 2 == 1  # narrow, and no place stays empty
        domains.append(Section(_named(grid.domain), sheets=[_sheet(grid)], beside=even, pictures=pictures, closed=closed))
    of_tables = dict.fromkeys(note for each in (table, *further.values()) for note in each.notes("bold"))
    notes = [note[0].upper() + note[1:] + "." for note in (*of_tables, INTERVALS)]
    words = list(dict.fromkeys(text for evaluation in evaluations for text in evaluation.result.words))
    words.append("Each row is a method, each column a number of training images (n). How to read the numbers:")
    return Section("Scores", words=words, notes=notes, sections=domains)


def _curves(cells: Sequence[Cell], intervals: Mapping[Key, tuple[float, float]]) -> list[Picture]:
    """Means over the training size; the figures of a domain share their axis."""
    points: dict[str, list[tuple[int, float, float, float]]] = {}
    for cell in cells:
        points.setdefault(cell.method, []).append((cell.n, cell.mean, *intervals[cell.domain, cell.n, cell.method]))
    ends = [value for of_method in points.values() for point in of_method for value in point[1:] if not isnan(value)]
    room = 0.05 * (max(ends) - min(ends)) + 0.5 if ends else 0.0
    limits = (max(0.0, min(ends) - room), min(100.0, max(ends) + room)) if ends else None
    domain, pictures = _named(cells[0].domain), []
    groups = groups_of(list(points))
    for methods in groups:
        which = f", {methods[0]} to {methods[-1]}" if len(groups) > 1 else ""
        shown = [cell for cell in cells if cell.method in methods]
        known = [cell for cell in shown if not isnan(cell.mean)]
        best = max(known, key=lambda cell: cell.mean, default=None)
        highest = f" The highest is {best.method} at n = {best.n} with {best.mean:.1f}." if best else ""
        rows = []
        for cell in sorted(shown, key=lambda cell: (methods.index(cell.method), cell.n)):
            low, high = intervals[cell.domain, cell.n, cell.method]
            counts = (cell.images, cell.groups, cell.seeds)
            rows.append([cell.method, str(cell.n), *map(_number, (cell.mean, low, high)), *map(str, counts)])
        titles = ["method", "n", "mean", "95 % from", "to", "images", "groups", "seeds"]
        pictures.append(
            Picture(
                png(size_figure({method: points[method] for method in methods}, limits=limits), dpi=DPI),
                f"{domain}: mean Dice × 100 of {', '.join(methods)} against the number of training images.{highest}",
                f"{domain}: mean Dice over the number of training images, with 95 % intervals. Methods stand beside each other "
                "at each size.",
                Sheet(f"{domain}, means and intervals{which}", titles, rows),
            )
        )
    return pictures


def _boxes(cells: Sequence[Cell], scores: Mapping[Key, Mapping[str, float]]) -> Picture:
    """The spread of each method at its largest training size."""
    largest = {cell.method: max(other.n for other in cells if other.method == cell.method) for cell in cells}
    shown = {
        f"{cell.method}, n = {cell.n}": list(scores[cell.domain, cell.n, cell.method].values())
        for cell in cells
        if cell.n == largest[cell.method]
    }
    shown = {name: shown[name] for name in sorted(shown, key=natural)}
    domain = _named(cells[0].domain)
    numbers = {name: five_numbers(values) for name, values in shown.items()}
    rows = [
        [name, *map(_number, numbers[name]), str(sum(not isnan(value) for value in values))] for name, values in shown.items()
    ]
    titles = ["method", "worst", "lower quartile", "median", "upper quartile", "best", "images"]
    medians = {name: found[2] for name, found in numbers.items() if not isnan(found[2])}
    first = max(medians, key=lambda name: medians[name], default="")
    highest = f" The highest median is that of {first}, {medians[first]:.1f}." if first else ""
    return Picture(
        png(box_figure(shown), dpi=DPI),
        f"{domain}: a box plot of Dice × 100 over images, a row a method.{highest}",
        f"{domain}: Dice of the images, each method at its largest training size. The box holds the middle half of the images, "
        "the thick line is the median, the whiskers reach the worst and the best image.",
        Sheet(f"{domain}, the spread of the images", titles, rows),
    )


def _examples(evaluation: Evaluation, several: bool, empty: EmptyTruth) -> Section:
    """The best, the median and the worst image of each domain."""
    sections: dict[str, list[Section]] = {}
    for example in evaluation.examples:
        at = example.place
        heading = f"{at.rank.capitalize()} ({at.place}): {at.image}"
        strip = Section(heading, tiles=_tiles(example, len(evaluation.classes)))
        sections.setdefault(at.domain, []).append(strip)
    words = [text for label, text in evaluation.result.about if label == CHOICE]
    own = _convention(evaluation)
    if own != empty:
        words.append(f"The Dice below are as the folder has them: {CONVENTIONS[own]} (empty truth: {own}).")
    return Section(
        f"Images: {evaluation.result.title}" if several else "Images",
        words=words,
        legend=[f"class {value}" for value in evaluation.classes],
        striped=any((example.truth == IGNORE).any() for example in evaluation.examples),
        sections=[Section(_named(domain), sections=strips) for domain, strips in sections.items()],
    )


def _tiles(example: Example, classes: int) -> list[Tile]:
    name = example.place.image
    tiles = [
        Tile(png(tile_figure(example.picture), dpi=TILE_DPI), f"{name}, the image", "image"),
        Tile(
            png(tile_figure(example.picture, example.truth, classes=classes), dpi=TILE_DPI),
            f"{name} with the truth outlined",
            "truth",
        ),
    ]
    for head, mask in example.predictions.items():
        figure = tile_figure(example.picture, mask, truth=example.truth, classes=classes)
        dice = f"Dice {_number(example.dice[head])}"
        alt = f"{name} with the prediction of {head} and the outline of the truth: {dice}"
        tiles.append(Tile(png(figure, dpi=TILE_DPI), alt, f"{head}: {dice.replace(' ', NO_BREAK)}"))
    return tiles


def _as_it_stands(result: ResultFolder) -> Section:
    """What a folder says and shows, whatever made it."""
    pictures = []
    for figure in result.figures:
        picture = result.bytes_of(figure.file)
        if not picture.startswith(PNG):
            raise TedmError(f"{result.path / figure.file} is no PNG; write it again with {MAKERS[result.kind]}")
        titles, *rows = result.rows_of(figure.table)
        sheet = Sheet(f"{figure.table}, rounded to 4 digits", titles, [list(map(_rounded, row)) for row in rows])
        pictures.append(Picture(picture, figure.alt, figure.caption, sheet))
    short: list[Sheet] = []
    long: list[Sheet] = []
    for table in result.tables:
        titles, *rows = result.rows_of(table.file)
        rest = f"; the first {MOST_ROWS} of {len(rows)} rows, all are in {table.file}" if len(rows) > MOST_ROWS else ""
        shown = [list(map(_rounded, row)) for row in rows[:MOST_ROWS]]
        (long if len(rows) > 30 else short).append(Sheet(f"{table.caption} (rounded to 4 digits{rest})", titles, shown))
    words = () if result.kind == "evaluation" else result.words  # an evaluation's stand above its scores
    return Section(result.title, words=words, pictures=pictures, sheets=short, closed=long)


def _provenance(result: ResultFolder) -> Section:
    about = [("folder", str(result.path)), ("kind", result.kind), *result.about, ("made by", result.made_by)]
    return Section(result.title, about=about)


def _sheet(grid: Grid) -> Sheet:
    return Sheet(grid.caption, grid.titles, grid.rows)


def _named(domain: str) -> str:
    return domain or "(no domain)"


def _number(value: float) -> str:
    return EMPTY if isnan(value) else f"{value:.1f}"


def _rounded(text: str) -> str:
    """A number with too many digits to be read, with four; everything else as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    if isnan(value):
        return EMPTY
    return f"{value:.4g}" if isfinite(value) and len(text.lstrip("-").replace(".", "")) > 4 and not text.isdecimal() else text
