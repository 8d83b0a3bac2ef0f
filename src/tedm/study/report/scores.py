"""The scores of a report: tables, curves over the training size, and boxes over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from tedm.heads import DRAWS, N_COUNTS, TITLES, Cell, Grid, is_measured, summarise
from tedm.show.figures import png
from tedm.show.report import Picture, Section, Sheet
from tedm.show.scores import box_figure, five_numbers, groups_of, size_figure
from tedm.study.report.measured import Measured, Place
from tedm.study.report.words import named, number
from tedm.text import natural

DPI = 180
FURTHER = {metric: title for metric, title in TITLES.items() if metric != "dice"}
INTERVALS = (
    f"intervals are 95 % percentile bootstrap intervals of the mean: groups (patients) are drawn with replacement {DRAWS} "
    "times, all images of a group together, and so are the seeds (training subsets) where there are several; with one seed "
    "they say nothing of the choice of training images"
)


def scores_section(measured: Measured, words: Sequence[str] = ()) -> Section:
    """Return tables, curves and boxes of all evaluations together, domain by domain, below what their folders say."""
    table, classes, records, empty = measured.table, measured.classes, measured.records, measured.empty
    intervals, scores = measured.intervals, measured.scores
    further = {metric: summarise(records, metric=metric, empty=empty) for metric in FURTHER if is_measured(records, metric)}
    by_class = [] if classes is None else classes.grids()
    sizes = f"training {N_COUNTS[table.n_counts]}"
    grids = {metric: {grid.domain: grid for grid in other.grids()} for metric, other in further.items()}
    domains = []
    for grid in table.grids():
        cells = [cell for cell in table.cells if cell.domain == grid.domain]
        pictures = [*_curves(cells, intervals, sizes), _boxes(cells, scores)]
        closed = [_sheet(grids[metric][grid.domain]) for metric in further]
        closed += [_sheet(each) for each in by_class if each.domain == grid.domain]
        even = len(grid.titles) <= 5 and len(pictures) % 2 == 1  # narrow, and no place stays empty
        domains.append(Section(named(grid.domain), sheets=[_sheet(grid)], beside=even, pictures=pictures, closed=closed))
    table_notes = dict.fromkeys(
        note for each in (table, *further.values(), *([classes] if classes else [])) for note in each.notes("bold")
    )
    notes = [note[0].upper() + note[1:] + "." for note in (*table_notes, INTERVALS)]
    reading = f"Each row is a method, each column a number of {sizes} (n). How to read the numbers:"
    return Section("Scores", words=[*words, reading], notes=notes, sections=domains)


def _curves(cells: Sequence[Cell], intervals: Mapping[Place, tuple[float, float]], sizes: str) -> list[Picture]:
    """Draw means over the training size; the figures of a domain share their axis."""
    points: dict[str, list[tuple[int, float, float, float]]] = {}
    for cell in cells:
        points.setdefault(cell.method, []).append((cell.n, cell.mean, *intervals[cell.domain, cell.n, cell.method]))
    ends = [value for curve in points.values() for point in curve for value in point[1:] if not isnan(value)]
    room = 0.05 * (max(ends) - min(ends)) + 0.5 if ends else 0.0
    limits = (max(0.0, min(ends) - room), min(100.0, max(ends) + room)) if ends else None
    domain, pictures = named(cells[0].domain), []
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
            rows.append([cell.method, str(cell.n), *map(number, (cell.mean, low, high)), *map(str, counts)])
        titles = ["method", "n", "mean", "95 % from", "to", "images", "groups", "seeds"]
        pictures.append(
            Picture(
                png(size_figure({method: points[method] for method in methods}, limits=limits, xlabel=sizes), dpi=DPI),
                f"{domain}: mean Dice × 100 of {', '.join(methods)} against the number of {sizes}.{highest}",
                f"{domain}: mean Dice over the number of {sizes}, with 95 % intervals. Methods stand beside each other "
                "at each size.",
                Sheet(f"{domain}, means and intervals{which}", titles, rows),
            )
        )
    return pictures


def _boxes(cells: Sequence[Cell], scores: Mapping[Place, Mapping[str, float]]) -> Picture:
    """The spread of each method at its largest training size."""
    largest = {cell.method: max(other.n for other in cells if other.method == cell.method) for cell in cells}
    shown = {
        f"{cell.method}, n = {cell.n}": list(scores[cell.domain, cell.n, cell.method].values())
        for cell in cells
        if cell.n == largest[cell.method]
    }
    shown = {name: shown[name] for name in sorted(shown, key=natural)}
    domain = named(cells[0].domain)
    numbers = {name: five_numbers(values) for name, values in shown.items()}
    rows = [
        [name, *map(number, numbers[name]), str(sum(not isnan(value) for value in values))] for name, values in shown.items()
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


def _sheet(grid: Grid) -> Sheet:
    return Sheet(grid.caption, grid.titles, grid.rows)
