"""Scores as figures: means over the training size, and how the images of a domain spread around them.

Methods differ in colour (Okabe and Ito 2008), line and marker together, so that any one of the three is enough to tell them
apart. Every number that is drawn is one that the caller has and can put into a table beside the figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from .panels import blank, shorten

WIDTH = 5.4  # inches; on a phone's 360 pixels a letter of 10 points is still 9 high
LETTER_HEIGHT = 0.24
# As many as are told apart in one figure.
MOST_METHODS = 8
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7F00")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def size_figure(
    curves: Mapping[str, Sequence[tuple[int, float, float, float]]],
    *,
    ylabel: str = "Dice × 100",
    xlabel: str = "training images",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw the mean score of each method over the number of training images.

    Parameters
    ----------
    curves : mapping of str to sequence of (int, float, float, float)
        (n, mean, low, high) of each method, at most `MOST_METHODS`; intervals are drawn as bars. Points without a mean
        (NaN) are left out. Sizes are spaced equally, and methods stand beside each other at each.
    ylabel, xlabel : str
        What the scores are, and what n counts.
    limits : tuple of (float, float), optional
        Of the vertical axis, so that several figures can be compared.

    Examples
    --------
    >>> figure = size_figure({"tedm": [(1, 70.0, 65.0, 75.0), (6, 80.0, 77.0, 83.0)], "ledm": [(1, 60.0, 50.0, 70.0)]})
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['1', '6']
    """
    sizes = sorted({n for points in curves.values() for n, *_ in points})
    columns, rows = _legend_shape(list(curves))
    height = 3.3 + LETTER_HEIGHT * rows
    figure = blank(WIDTH, height)
    bottom = 0.6 + LETTER_HEIGHT * rows
    axes = figure.add_axes((0.72 / WIDTH, bottom / height, (WIDTH - 0.87) / WIDTH, (height - bottom - 0.12) / height))
    entries = []
    for number, (method, points) in enumerate(curves.items()):
        known = [(sizes.index(n), *values) for n, *values in sorted(points) if not np.isnan(values).any()]
        shift = (number - (len(curves) - 1) / 2) * min(0.07, 0.6 / len(curves))
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": LINES[number % len(LINES)],
            "marker": MARKERS[number % 8],
        }
        entries.append(Line2D([], [], **style, markersize=5, label=method))  # type: ignore[arg-type]
        if known:
            at, mean, low, high = np.array(known).T
            at = at + shift
            axes.vlines(at, low, high, colors=str(style["color"]), linewidth=1.1)
            axes.plot(at, mean, **style, markersize=5, linewidth=1.5)  # type: ignore[arg-type]
    axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    axes.set_xlim(-0.5, max(len(sizes), 1) - 0.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if limits is not None:
        axes.set_ylim(limits)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    if entries:
        names = [_label(method) for method in curves]
        _plain(figure.legend(entries, names, loc="lower center", ncols=columns, frameon=False, fontsize=9, borderaxespad=0.2))
    return figure


def five_numbers(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Minimum, lower quartile, median, upper quartile and maximum, NaN left out; NaN of no value.

    Quartiles are interpolated linearly.

    Examples
    --------
    >>> five_numbers([3.0, 1.0, 2.0, float("nan"), 5.0, 4.0])
    (1.0, 2.0, 3.0, 4.0, 5.0)
    """
    known = [value for value in values if not np.isnan(value)]
    low, lower, middle, upper, high = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]) if known else [float("nan")] * 5
    return float(low), float(lower), float(middle), float(upper), float(high)


def box_figure(boxes: Mapping[str, Sequence[float]], *, xlabel: str = "Dice × 100") -> Figure:
    """Draw how the scores of images spread: from the worst to the best, the middle half as a box, the median as its line.

    Parameters
    ----------
    boxes : mapping of str to sequence of float
        Scores of each row; NaN is left out. The whiskers reach the worst and the best image, so that no image is hidden.
    xlabel : str
        What the scores are.

    Examples
    --------
    >>> figure = box_figure({"tedm": [60.0, 70.0, 80.0], "ledm": [50.0, 55.0, 90.0]})
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['tedm', 'ledm']
    """
    labels = [shorten(name, 1.9) for name in boxes]
    left = 0.25 + 0.083 * max((len(label) for label in labels), default=0)
    height = 0.75 + 0.34 * max(len(boxes), 1)
    figure = blank(WIDTH, height)
    axes = figure.add_axes((left / WIDTH, 0.6 / height, (WIDTH - left - 0.2) / WIDTH, (height - 0.75) / height))
    keys = ("whislo", "q1", "med", "q3", "whishi")
    found = [dict(zip(keys, five_numbers(values), strict=True)) for values in boxes.values()]
    rows = [row for row, numbers in enumerate(found) if not np.isnan(numbers["med"])]
    if rows:
        axes.bxp(
            [found[row] for row in rows],
            positions=rows,
            orientation="horizontal",
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": "#CDE4F3", "edgecolor": "#0072B2", "linewidth": 1.1},
            medianprops={"color": "#D55E00", "linewidth": 2.2},
            whiskerprops={"color": "#0072B2"},
            capprops={"color": "#0072B2"},
        )
    axes.set_yticks(range(len(labels)), labels)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(max(len(boxes), 1) - 0.5, -0.5)  # the first on top
    axes.set(xlabel=xlabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    return figure


def groups_of(methods: Sequence[str]) -> list[list[str]]:
    """Methods in as few figures as can be read: those of one kind, such as timestep:1 and timestep:50, stay together.

    Examples
    --------
    >>> groups_of(["ledm", "tedm", *(f"timestep:{t}" for t in range(8))])[0]
    ['ledm', 'tedm']
    """
    if len(methods) <= MOST_METHODS:
        return [list(methods)] if methods else []
    kinds: dict[str, list[str]] = {}
    for method in methods:
        kind, colon, _ = method.partition(":")
        kinds.setdefault(kind if colon else "", []).append(method)
    groups = []
    for members in kinds.values():
        count = -(-len(members) // MOST_METHODS)
        ends = [round(part * len(members) / count) for part in range(count + 1)]
        groups += [members[start:end] for start, end in pairwise(ends)]
    return groups


def _legend_shape(names: Sequence[str]) -> tuple[int, int]:
    """Columns and rows of a legend below the axes."""
    if not names:
        return 1, 0
    columns = max(1, min(len(names), int(WIDTH / (0.085 * max(len(_label(name)) for name in names) + 0.62))))
    rows = -(-len(names) // columns)
    return -(-len(names) // rows), rows  # as even as they come


def _label(name: str) -> str:
    short = shorten(name, 3.0)
    return f" {short}" if short.startswith("_") else short  # matplotlib hides what starts with an underscore


def _plain(legend: Legend) -> None:
    for text in legend.get_texts():
        text.set_parse_math(False)
