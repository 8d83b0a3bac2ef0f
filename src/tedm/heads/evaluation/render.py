"""A table as text, CSV, Markdown and LaTeX.

The four differ in marks and rules only. Each prints the same cells, one row a method and one column a training size, domain by
domain, and closes with the same note: what was scored, on what, with how many labels, and what the mark means.
"""

from __future__ import annotations

import csv as csv_module
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import TYPE_CHECKING

from tedm.heads.metrics.summary import CONVENTIONS, images_in_words

if TYPE_CHECKING:  # the table imports its renderings
    from tedm.heads.evaluation.table import Cell, Table

ABSENT = "–"
TITLES = {"dice": "Dice", "precision": "Precision", "recall": "Recall", "iou": "IoU"}


def text(table: Table) -> str:
    """Aligned columns for a terminal; the note stands below."""
    blocks = []
    for domain, rows in _grids(table, _plain):
        rows = [[row[0], *(entry if entry.endswith(" *") else f"{entry}  " for entry in row[1:])] for row in rows]
        lines, width = laid_out(rows)
        rule = "─" * width
        blocks.append("\n".join([_caption(table, domain), rule, lines[0], rule, *lines[1:], rule]))
    return "\n\n".join(blocks) + "\n\n" + "\n".join(notes(table, "*")) + "\n"


def laid_out(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """Rows as lines of aligned columns, the first to the left and the others to the right, and the width of all.

    Examples
    --------
    >>> laid_out([["a", "10"], ["bc", "1"]])
    (['a   10', 'bc   1'], 6)
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return lines, sum(widths) + 2 * (len(widths) - 1)


def csv(table: Table) -> str:
    """One row a cell, all digits, with the metric, alpha, resolution and convention for empty truths in every row."""
    out = io.StringIO()
    shared = {"metric": table.metric, "alpha": table.alpha, "resolution": table.resolution, "empty_truth": table.empty}
    writer = csv_module.DictWriter(out, [*asdict(table.cells[0]), *shared], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(cell) | shared for cell in table.cells)
    return out.getvalue()


def markdown(table: Table) -> str:
    """One table a domain; bold marks."""
    blocks = []
    for domain, rows in _grids(table, lambda cell: _bold(cell, "**{}**"), _escape_markdown):
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        rule = "|---|" + "--:|" * (len(rows[0]) - 1)
        blocks.append("\n".join([_escape_markdown(_caption(table, domain)), "", head, rule, *body]))
    return "\n\n".join(blocks) + f"\n\n{_escape_markdown('; '.join(notes(table, 'bold')))}\n"


def latex(table: Table) -> str:
    """One tabular; needs ``\\usepackage{booktabs}``. The note is a paragraph below it."""
    sizes = _sizes(table.cells)
    lines = [rf"\begin{{tabular}}{{l{'r' * len(sizes)}}}", r"\toprule"]
    for index, (domain, rows) in enumerate(
        _grids(table, lambda cell: _bold(cell, r"\textbf{{{}}}").replace("±", r"$\pm$"), _escape_latex, sizes)
    ):
        if index == 0:
            lines.append(" & ".join(rows[0]) + r" \\")
        caption = _escape_latex(_caption(table, domain))
        lines += [r"\midrule", rf"\multicolumn{{{len(sizes) + 1}}}{{l}}{{\emph{{{caption}}}}} \\"]
        lines += [" & ".join(row).replace(ABSENT, "--") + r" \\" for row in rows[1:]]
    return "\n".join(
        [*lines, r"\bottomrule", r"\end{tabular}", "", rf"\noindent {_escape_latex('; '.join(notes(table, 'bold')))}", ""]
    )


@dataclass(frozen=True)
class Grid:
    """The table of one domain: a caption, titles of the columns, and rows of entries, each with whether it is marked."""

    domain: str
    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]


def grids(table: Table) -> list[Grid]:
    """For those who lay out themselves: one grid a domain."""
    found = []
    for domain, (titles, *rows) in _grids(table, _plain):
        entries = [tuple((entry.removesuffix(" *"), entry.endswith(" *")) for entry in row[1:]) for row in rows]
        methods = [row[0] for row in rows]
        lines = tuple(((method, False), *entry) for method, entry in zip(methods, entries, strict=True))
        found.append(Grid(domain, _caption(table, domain), tuple(titles), lines))
    return found


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which timestep:2 comes before timestep:10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _grids(
    table: Table,
    entry: Callable[[Cell], str],
    escape: Callable[[str], str] = str,
    sizes: Sequence[int] | None = None,
) -> Iterable[tuple[str, list[list[str]]]]:
    """For each domain, its name and its rows of entries, the head first."""
    for domain in dict.fromkeys(cell.domain for cell in table.cells):
        cells = {(cell.method, cell.n): cell for cell in table.cells if cell.domain == domain}
        columns = sizes or _sizes(cells.values())
        rows = [["method", *(f"n = {n}" for n in columns)]]
        for method in _methods(table):
            if any((method, n) in cells for n in columns):
                entries = [entry(cells[method, n]) if (method, n) in cells else ABSENT for n in columns]
                rows.append([escape(method), *entries])
        yield domain, rows


def _methods(table: Table) -> list[str]:
    """Every method once, in the table's order also where no domain and n has all of them."""
    return sorted({cell.method for cell in table.cells}, key=natural)


def _sizes(cells: Iterable[Cell]) -> list[int]:
    return sorted({cell.n for cell in cells})


def _numbers(cell: Cell) -> str:
    if isnan(cell.mean):
        return ABSENT
    return f"{cell.mean:.1f}" if isnan(cell.deviation) else f"{cell.mean:.1f} ± {cell.deviation:.1f}"


def _plain(cell: Cell) -> str:
    return f"{_numbers(cell)} *" if cell.marked else _numbers(cell)


def _bold(cell: Cell, pattern: str) -> str:
    return pattern.format(_numbers(cell)) if cell.marked else _numbers(cell)


def _caption(table: Table, domain: str) -> str:
    cells = [cell for cell in table.cells if cell.domain == domain]
    cells = [cell for cell in cells if cell.images] or cells
    counts = {(cell.images, cell.left_out, cell.without_class, cell.unmatched) for cell in cells}
    if len(counts) == 1:
        images = images_in_words(*counts.pop(), table.empty)
    else:
        averaged, all_images = _range(cell.images for cell in cells), _range(cell.images + cell.left_out for cell in cells)
        images = f"{averaged} images" if averaged == all_images else f"{averaged} of {all_images} images"
    return f"{domain or '(no domain)'}: {TITLES[table.metric]} × 100, mean ± standard deviation over {images}"


def notes(table: Table, mark: str) -> list[str]:
    """All that a reader must know before believing a number; `mark` is what marked entries carry, "bold" say."""
    cells = table.cells
    seeds = sorted({cell.seeds for cell in cells})
    notes = [
        f"{mark}: the best of its domain and n, or not significantly different from it (paired Wilcoxon signed-rank test over "
        f"images, Holm-corrected, alpha = {table.alpha:g})",
        f"labels used, val included: {_by_size(cells, lambda cell: cell.labels_used)}",
        f"scored at {table.resolution} resolution",
        f"each image averaged over {_count(seeds[0], 'seed') if len(seeds) == 1 else f'{seeds[0]} to {seeds[-1]} seeds'}",
        f"{CONVENTIONS[table.empty]} (empty truth: {table.empty})",
        "all methods of a domain and n are averaged and tested over the same images",
    ]
    if table.metric == "precision":
        notes.append("precision where nothing was predicted of a class that the truth shows is 0")
    for domain in dict.fromkeys(cell.domain for cell in cells):
        here = [cell for cell in cells if cell.domain == domain]
        if len({cell.images for cell in here}) > 1:
            averaged = _by_size(here, lambda cell: cell.images)
            notes.append(f"images averaged, {domain or '(no domain)'}: {averaged}")
    if len(table.class_values) > 1:
        notes.append(f"mean over the classes {', '.join(map(str, table.class_values))}")
    if any(cell.groups < cell.images for cell in cells):
        notes.append("images of one group are tested as if they were independent")
    if any(cell.images < 6 and not isnan(cell.p_value) for cell in cells):
        notes.append("fewer than 6 images cannot show a difference at 0.05")
    return notes


def _by_size(cells: Sequence[Cell], count: Callable[[Cell], int]) -> str:
    """A number of each training size, or of each method where the methods of a size differ."""
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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escape_markdown(name: str) -> str:
    return "".join("\\" + letter if letter in r"\`*_{}[]<>#|" else letter for letter in name)


def _escape_latex(name: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    special |= {">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "×": r"$\times$"}
    special |= {letter: "\\" + letter for letter in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in name)
