"""Scores of timesteps against the number of training images: a line a timestep, methods as lines of their own.

Timesteps have an order, and so have their colours, dark for the smallest, on a scale that people with any colour vision see as
one (viridis); methods are black or red-brown, and broken. Every line has a marker of its own too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tedm.errors import TedmError

from .panels import blank, shorten

Curve = Sequence[tuple[int, float, float, float]]
WIDTH, HEIGHT, BETWEEN, IN_A_ROW = 3.3, 2.9, 0.2, 3  # inches of a panel, and panels side by side
LEFT, BOTTOM, TOP, RIGHT = 0.62, 0.55, 0.3, 1.45
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
OF_METHODS = ("#000000", "#D55E00", "#CC79A7", "#56B4E9")
ASIDE = 0.006  # of the axis, between the bars of two lines


def timestep_size_figure(
    timesteps: Mapping[str, Mapping[int, Curve]],
    methods: Mapping[str, Mapping[str, Curve]],
    *,
    ylabel: str = "Dice × 100",
    xlabel: str = "training images",
) -> Figure:
    """Draw the score of each timestep, and of methods beside them, over the number of training images.

    Parameters
    ----------
    timesteps : mapping of str to mapping of int to sequence of (int, float, float, float)
        (n, mean, low, high) by name of the panel and by timestep, n at least 1. Points without a mean (NaN) are left out, and
        bars without ends. The axis of n is logarithmic.
    methods : mapping of str to mapping of str to sequence of (int, float, float, float)
        The same by name of a method.
    ylabel, xlabel : str
        What the scores are, and what n counts.

    Raises
    ------
    TedmError
        If there is nothing to draw.

    Examples
    --------
    >>> figure = timestep_size_figure({"here": {50: [(1, 70.0, 65.0, 75.0)]}}, {"here": {"ledm": [(1, 60.0, 50.0, 70.0)]}})
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['t = 50', 'ledm']
    """
    steps = sorted({step for each in timesteps.values() for step in each})
    names = list(dict.fromkeys(name for each in methods.values() for name in each))
    curves = [curve for each in timesteps.values() for curve in each.values()]
    curves += [curve for each in methods.values() for curve in each.values()]
    points = [point for curve in curves for point in curve]
    sizes = sorted({point[0] for point in points if not isnan(point[1])})
    if not sizes:
        raise TedmError("there is no score to draw")
    rows, columns = -(-len(timesteps) // IN_A_ROW), min(len(timesteps), IN_A_ROW)
    total = (LEFT + columns * (WIDTH + BETWEEN) + RIGHT, rows * (BOTTOM + HEIGHT + TOP))
    figure = blank(*total)
    first: Axes | None = None
    for number, domain in enumerate(timesteps):
        row, column = divmod(number, columns)
        left, bottom = LEFT + column * (WIDTH + BETWEEN), (rows - 1 - row) * (BOTTOM + HEIGHT + TOP) + BOTTOM
        axes = figure.add_axes((left / total[0], bottom / total[1], WIDTH / total[0], HEIGHT / total[1]), sharey=first)
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
        lines = [(f"t = {step}", timesteps[domain].get(step, ())) for step in steps]
        lines += [(name, methods.get(domain, {}).get(name, ())) for name in names]
        for place, (label, curve) in enumerate(lines):
            aside = (sizes[-1] / sizes[0] * 2.25) ** (ASIDE * (place - (len(lines) - 1) / 2))
            _draw(axes, curve, aside, _style(place, len(steps)), label)
        axes.set_xticks(sizes, list(map(str, sizes)))
        axes.minorticks_off()
        axes.set_xlabel(xlabel, fontsize=9)
        axes.set_title(shorten(domain, WIDTH), fontsize=10, parse_math=False)
        axes.tick_params(labelleft=column == 0, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        if column == 0:
            axes.set_ylabel(ylabel, fontsize=9)
        first = first or axes
    handles = {
        line.get_label(): line for axes in figure.axes for line in axes.lines
    }  # a line that only one panel has is in the legend too
    order = [label for label in (*(f"t = {step}" for step in steps), *names) if label in handles]
    legend = figure.legend(
        [handles[label] for label in order],
        [shorten(label, 1.1).replace("_", " ", 1) if label.startswith("_") else shorten(label, 1.1) for label in order],
        loc="center right",
        frameon=False,
        fontsize=9,
        borderaxespad=0.1,
        handlelength=2.6,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _style(place: int, steps: int) -> tuple[str, str, str]:
    """Return colour, line and marker of a line; those of timesteps come first."""
    marker = MARKERS[place % len(MARKERS)]
    if place < steps:
        return to_hex(colormaps["viridis"](0.88 * place / max(steps - 1, 1))), "-", marker
    return OF_METHODS[(place - steps) % len(OF_METHODS)], ("--", "-.", ":")[(place - steps) % 3], marker


def _draw(axes: Axes, curve: Curve, aside: float, style: tuple[str, str, str], label: str) -> None:
    known = [(n * aside, mean, low, high) for n, mean, low, high in sorted(curve) if not isnan(mean)]
    if not known:
        return
    colour, line, marker = style
    bars = [point for point in known if not isnan(point[2] + point[3])]
    axes.vlines([p[0] for p in bars], [p[2] for p in bars], [p[3] for p in bars], color=colour, linewidth=1.0, alpha=0.45)
    at, means = [point[0] for point in known], [point[1] for point in known]
    axes.plot(at, means, linestyle=line, marker=marker, color=colour, markersize=4.5, linewidth=1.4, label=label)
