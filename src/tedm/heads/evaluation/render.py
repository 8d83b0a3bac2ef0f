"""A table as text, CSV, Markdown and LaTeX.

The four differ in marks and rules only. Each prints the same cells, one row a method and one column a training size, domain by
domain, and closes with the same note: what was scored, on what, with how many labels, and what the mark means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from math import ceil, isnan, log2

from tedm.files import table_text
from tedm.heads.data.subsets import N_COUNTS
from tedm.heads.evaluation.cells import Cell, Cells
from tedm.heads.metrics.measures import BY_SURFACE, SCALES, Scale
from tedm.heads.metrics.summary import CONVENTIONS, EmptyTruth
from tedm.text import called, columns, counted, listed, natural

ABSENT = "–"
Part = tuple[str, int | None]  # a domain, and a class where the table is by class


def text(table: Cells) -> str:
    """Lay out aligned columns for a terminal; the note stands below."""
    blocks = []
    for part, rows in _grids(table, _plain(table)):
        rows = [[row[0], *(entry if entry.endswith(" *") else f"{entry}  " for entry in row[1:])] for row in rows]
        titles, *lines = columns(rows)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        blocks.append("\n".join([_caption(table, part), rule, titles, rule, *lines, rule]))
    return "\n\n".join(blocks) + "\n\n" + "\n".join(notes(table, "*")) + "\n"


def csv(table: Cells) -> str:
    """Write one row a cell, all digits, with what holds for the whole table (metric, alpha, resolution ...) in every row."""
    shared = {
        "metric": table.metric,
        "alpha": table.alpha,
        "resolution": table.resolution,
        "empty_truth": table.empty,
        "n_counts": table.n_counts,
        "tolerance": table.tolerance,
        "correction": table.correction,
    }
    titles = [*(each.name for each in fields(Cell)), *shared]
    return table_text([titles, *([*astuple(cell), *shared.values()] for cell in table.cells)])


def markdown(table: Cells) -> str:
    """Write one table a domain; bold marks the best and its equals."""
    blocks = []
    for part, rows in _grids(table, _bold(table, "**{}**"), escape_markdown):
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        rule = "|---|" + "--:|" * (len(rows[0]) - 1)
        blocks.append("\n".join([escape_markdown(_caption(table, part)), "", head, rule, *body]))
    return "\n\n".join(blocks) + f"\n\n{escape_markdown('; '.join(notes(table, 'bold')))}\n"


def latex(table: Cells) -> str:
    """Write one tabular, which needs ``\\usepackage{booktabs}``; the note is a paragraph below it."""
    sizes, bold = _sizes(table.cells), _bold(table, r"\textbf{{{}}}")
    lines = [rf"\begin{{tabular}}{{l{'r' * len(sizes)}}}", r"\toprule"]
    for index, (part, rows) in enumerate(_grids(table, lambda cell: bold(cell).replace("±", r"$\pm$"), escape_latex, sizes)):
        if index == 0:
            lines.append(" & ".join(rows[0]) + r" \\")
        caption = escape_latex(_caption(table, part))
        lines += [r"\midrule", rf"\multicolumn{{{len(sizes) + 1}}}{{l}}{{\emph{{{caption}}}}} \\"]
        lines += [" & ".join(row).replace(ABSENT, "--") + r" \\" for row in rows[1:]]
    return "\n".join(
        [*lines, r"\bottomrule", r"\end{tabular}", "", rf"\noindent {escape_latex('; '.join(notes(table, 'bold')))}", ""]
    )


@dataclass(frozen=True)
class Grid:
    """The table of one domain (and class): a caption, titles of the columns, and rows of entries, each with whether marked."""

    domain: str
    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]
    class_value: int | None = None


def grids(table: Cells) -> list[Grid]:
    """Return one grid a domain (and class), for those who lay out themselves."""
    made = []
    for part, (titles, *rows) in _grids(table, _plain(table)):
        entries = [tuple((entry.removesuffix(" *"), entry.endswith(" *")) for entry in row[1:]) for row in rows]
        methods = [row[0] for row in rows]
        lines = tuple(((method, False), *entry) for method, entry in zip(methods, entries, strict=True))
        made.append(Grid(part[0], _caption(table, part), tuple(titles), lines, part[1]))
    return made


def images_in_words(
    images: int,
    left_out: int,
    without_class: int,
    unmatched: int,
    empty: EmptyTruth,
    *,
    noun: str = "image",
    scale: Scale = SCALES["dice"],
    of_class: bool = False,
) -> str:
    """Say how many images (or volumes, by the noun) a mean is over, and why the others are left out.

    Examples
    --------
    >>> images_in_words(150, 51, 51, 0, "leave-out")
    '150 of 201 images (51 show no class and are left out; the same images for every method)'
    >>> images_in_words(12, 0, 0, 0, "leave-out")
    '12 images'
    """
    said = counted(images + left_out, noun)
    remarks = []
    none = ("does not show it", "do not show it") if of_class else ("shows no class", "show no class")
    if empty == "count" and without_class:
        shown = _agreeing(without_class, f"{none[0]} and counts", f"{none[1]} and count")
        remarks.append(f"{shown} {scale.right} where nothing is predicted, {scale.wrong} otherwise")
    if left_out:
        said = f"{images} of {said}"
        absent = without_class if empty == "leave-out" else 0
        reasons = [
            (absent, *none),
            (unmatched, "lacks a score of some method", "lack a score of some method"),
            (left_out - absent - unmatched, "has no score", "have no score"),
        ]
        why = ", ".join(_agreeing(*reason) for reason in reasons if reason[0])
        remarks.append(f"{why} and {'is' if left_out == 1 else 'are'} left out; the same {noun}s for every method")
    return f"{said} ({'; '.join(remarks)})" if remarks else said


def _agreeing(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _grids(
    table: Cells,
    entry: Callable[[Cell], str],
    escape: Callable[[str], str] = str,
    sizes: Sequence[int] | None = None,
) -> Iterator[tuple[Part, list[list[str]]]]:
    """Yield each part of the table (a domain, and a class or None) with its rows of entries, the titles first."""
    for part in dict.fromkeys(cell.part for cell in table.cells):
        cells = {(cell.method, cell.n): cell for cell in table.cells if cell.part == part}
        shown = sizes or _sizes(cells.values())
        rows = [["method", *(f"n = {n}" for n in shown)]]
        for method in _methods(table):
            if any((method, n) in cells for n in shown):
                entries = [entry(cells[method, n]) if (method, n) in cells else ABSENT for n in shown]
                rows.append([escape(method), *entries])
        yield part, rows


def _methods(table: Cells) -> list[str]:
    """Return every method once, in the table's order also where no domain and n has all of them."""
    return sorted({cell.method for cell in table.cells}, key=natural)


def _sizes(cells: Iterable[Cell]) -> list[int]:
    return sorted({cell.n for cell in cells})


def _numbers(cell: Cell, digits: int) -> str:
    if isnan(cell.mean):
        return ABSENT
    return f"{cell.mean:.{digits}f}" if isnan(cell.deviation) else f"{cell.mean:.{digits}f} ± {cell.deviation:.{digits}f}"


def _plain(table: Cells) -> Callable[[Cell], str]:
    return _bold(table, "{} *")


def _bold(table: Cells, pattern: str) -> Callable[[Cell], str]:
    """Return what writes a cell, by the pattern if it is marked."""
    digits = SCALES[table.metric].digits
    return lambda cell: pattern.format(_numbers(cell, digits)) if cell.marked else _numbers(cell, digits)


def noun_of(table: Cells) -> str:
    """Return what a score is of."""
    return "volume" if table.resolution == "volume" else "image"


def _caption(table: Cells, part: Part) -> str:
    domain, value = part
    cells = [cell for cell in table.cells if cell.part == part]
    where = f"{domain or '(no domain)'}{'' if value is None else f', {called(value, cells[0].class_name)}'}"
    cells = [cell for cell in cells if cell.images] or cells
    counts = {(cell.images, cell.left_out, cell.without_class, cell.unmatched) for cell in cells}
    noun, scale = noun_of(table), SCALES[table.metric]
    if len(counts) == 1:
        images = images_in_words(*counts.pop(), table.empty, noun=noun, scale=scale, of_class=value is not None)
    else:
        averaged, all_images = _range(cell.images for cell in cells), _range(cell.images + cell.left_out for cell in cells)
        images = f"{averaged} {noun}s" if averaged == all_images else f"{averaged} of {all_images} {noun}s"
    title = scale.title + f" at {table.tolerance:g} mm" * (not isnan(table.tolerance)) + scale.unit
    return f"{where}: {title}, mean ± standard deviation over {images}"


def notes(table: Cells, mark: str) -> list[str]:
    """Say all that a reader must know before believing a number; `mark` is what marked entries carry, "bold" say."""
    cells = table.cells
    seeds, noun, scale = sorted({cell.seeds for cell in cells}), noun_of(table), SCALES[table.metric]
    notes = [
        f"{mark}: the best of its domain{', class' * table.by_class} and n, or not significantly different from it (paired "
        f"Wilcoxon signed-rank test over {noun}s, {_correction(table)}, alpha = {table.alpha:g})",
        f"labels used, val included: {_by_size(cells, lambda cell: cell.labels_used)}",
        *([f"n counts {N_COUNTS[table.n_counts]}"] if table.n_counts != "images" else []),
        f"scored at {table.resolution} resolution",
        f"each {noun} averaged over {counted(seeds[0], 'seed') if len(seeds) == 1 else f'{seeds[0]} to {seeds[-1]} seeds'}",
        f"{_convention(table)} (empty truth: {table.empty})",
        f"all methods of a domain{', class' * table.by_class} and n are averaged and tested over the same {noun}s",
    ]
    if table.metric == "precision":
        notes.append("precision where nothing was predicted of a class that the truth shows is 0")
    if table.metric in BY_SURFACE:
        value = f"0, not within {table.tolerance:g} mm of anything" if table.metric == "nsd" else f"the diagonal of the {noun}"
        missed: dict[str, int] = defaultdict(int)
        for cell in cells:
            missed[cell.method] += cell.missed
        times = listed(f"{count} by {method}" for method, count in missed.items() if count) or "never so here"
        notes.append(f"{scale.title} where nothing was predicted of a class that the truth shows is {value} ({times})")
    for domain in dict.fromkeys(cell.domain for cell in cells):
        here = [cell for cell in cells if cell.domain == domain]
        if len({cell.images for cell in here}) > 1 and not table.by_class:
            averaged = _by_size(here, lambda cell: cell.images)
            notes.append(f"{noun}s averaged, {domain or '(no domain)'}: {averaged}")
    if len(table.class_values) > 1:
        names = table.class_names or ("",) * len(table.class_values)
        classes = listed(name or value for value, name in zip(table.class_values, names, strict=True))
        notes.append(f"{'by class' if table.by_class else 'mean'} over the classes {classes}")
        for domain in dict.fromkeys(cell.domain for cell in cells if cell.absent and not table.by_class):
            absent, pairs = max((cell.absent, cell.classes) for cell in cells if cell.domain == domain)
            where = domain or "(no domain)"
            notes.append(f"{where}: {absent} of {pairs} pairs of {noun} and class do not show the class")
    if any(cell.groups < cell.images for cell in cells):
        notes.append(f"{noun}s of one group are tested as if they were independent")
    if table.by_class:
        # the smallest p-value of k pairs is 2 ** (1 - k), before the correction
        needed = max(6, *(ceil(log2(2 * max(cell.family, 1) / table.alpha)) for cell in cells))
        if any(cell.images < needed and not isnan(cell.p_value) for cell in cells):
            notes.append(f"fewer than {needed} {noun}s cannot show a difference at {table.alpha:g} after this correction")
    elif any(cell.images < 6 and not isnan(cell.p_value) for cell in cells):
        notes.append(f"fewer than 6 {noun}s cannot show a difference at 0.05")
    return notes


def _correction(table: Cells) -> str:
    """Return how tests are corrected, and for which comparisons where these are of several classes."""
    named = "uncorrected" if table.correction == "none" else f"{table.correction.capitalize()}-corrected"
    sizes = {cell.family for cell in table.cells}
    if not table.by_class or sizes == {0}:  # one method is compared with nobody
        return named
    family = counted(min(sizes), "comparison") if len(sizes) == 1 else f"{_range(sizes)} comparisons"
    return f"{named} over the {family} of a domain and n, all classes and methods together"


def _convention(table: Cells) -> str:
    """Return the convention for empty truths in the words of this table."""
    scale, words = SCALES[table.metric], CONVENTIONS[table.empty]
    words = words.replace("counts 1 where", f"counts {scale.right} where").replace(
        "and 0 otherwise", f"and {scale.wrong} otherwise"
    )
    return words.replace("an image", f"a {noun_of(table)}") if noun_of(table) != "image" else words


def _by_size(cells: Sequence[Cell], count: Callable[[Cell], int]) -> str:
    """Write a number for each training size, or for each method where the methods of a size differ."""
    parts = []
    for n in _sizes(cells):
        counts = {cell.method: count(cell) for cell in cells if cell.n == n}
        if len(set(counts.values())) == 1:
            parts.append(f"{next(iter(counts.values()))} (n = {n})")
        else:
            parts.append(f"{', '.join(f'{number} by {method}' for method, number in counts.items())} (n = {n})")
    return ", ".join(parts)


def _range(numbers: Iterable[int]) -> str:
    ascending = sorted(numbers)
    lowest, highest = ascending[0], ascending[-1]
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def escape_markdown(name: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join("\\" + letter if letter in r"\`*_{}[]<>#|" else letter for letter in name)


def escape_latex(name: str) -> str:
    """Return text that LaTeX prints as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    special |= {">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "×": r"$\times$"}
    special |= {letter: "\\" + letter for letter in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in name)
