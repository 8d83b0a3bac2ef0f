"""Reliability diagrams: how often pixels are right, against how sure the committee was of them.

Bars are accuracies of bins of confidence, points their mean confidence; the vertical distance of the two is what the expected
calibration error averages. Below each diagram is how many pixels each bin has: most are in the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from tedm.errors import TedmError

from .panels import COLOURS, blank, shorten

BLUE, ORANGE = COLOURS[1], COLOURS[5]
SIDE, BELOW, GAP, LEFT, RIGHT, TOP, BOTTOM, LEGEND = 2.0, 0.6, 0.18, 0.62, 0.12, 0.5, 0.55, 0.4  # inches
MOST_PANELS = 4  # in a line

Bins = Sequence[tuple[float, float, int, float, float]]


def reliability_figure(diagrams: Mapping[str, Mapping[str, Bins]]) -> Figure:
    """Draw reliability diagrams, the stages of each beside one another.

    Parameters
    ----------
    diagrams : mapping of str to mapping of str to bins
        For each title (a head and a domain) its stages ("before", "after, T = 1.7"), and of each the bins: lower and upper
        edge, number of pixels, mean confidence and accuracy (NaN where there are no pixels), as
        `tedm.heads.metrics.reliability.Bin`.

    Raises
    ------
    TedmError
        If there is no diagram, or one without a pixel.

    Examples
    --------
    >>> bins = [(0.0, 0.5, 0, float("nan"), float("nan")), (0.5, 1.0, 4, 0.75, 0.5)]
    >>> figure = reliability_figure({"tedm, here": {"before": bins}})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['ECE 0.250']
    """
    if not diagrams or not all(diagrams.values()):
        raise TedmError("there is no reliability diagram to draw; give at least one title with a stage")
    for title, stages in diagrams.items():
        for stage, bins in stages.items():
            if sum(each[2] for each in bins) == 0:
                raise TedmError(f"the reliability diagram of {title}, {stage}, has no pixel")
    together = max(map(len, diagrams.values()))
    in_a_line = max(1, min(len(diagrams), MOST_PANELS // together))
    lines = -(-len(diagrams) // in_a_line)
    step = (LEFT + SIDE + RIGHT, TOP + SIDE + BELOW + BOTTOM)
    figure = blank(in_a_line * together * step[0], lines * step[1] + LEGEND)
    width, height = figure.get_size_inches()
    for number, (title, stages) in enumerate(diagrams.items()):
        line, column = divmod(number, in_a_line)
        top = height - line * step[1]
        left = column * together * step[0]
        text = shorten(title, len(stages) * step[0] - LEFT)
        figure.text((left + LEFT) / width, (top - 0.1) / height, text, va="top", fontsize=10, parse_math=False)
        for place, (stage, bins) in enumerate(stages.items()):
            x, y = left + place * step[0] + LEFT, top - TOP - SIDE
            above = figure.add_axes((x / width, y / height, SIDE / width, SIDE / height))
            below = figure.add_axes((x / width, (y - BELOW) / height, SIDE / width, (BELOW - GAP) / height))
            _draw(above, below, bins, first=place == 0)
            above.set_title(stage, fontsize=9, pad=3, loc="left", parse_math=False)
    entries = [
        Patch(facecolor=BLUE, edgecolor="white", label="accuracy of the bin"),
        Line2D([], [], color=ORANGE, marker="D", markersize=5, linestyle="none", label="its mean confidence"),
        Line2D([], [], color="0.3", linestyle="--", linewidth=1, label="as sure as right"),
    ]
    columns = 3 if width > 5 else 1
    figure.legend(handles=entries, loc="lower center", ncols=columns, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure


def _draw(above: Axes, below: Axes, bins: Bins, *, first: bool) -> None:
    """One diagram, and the pixels of its bins below it; the axes are named beside the first of a row."""
    filled = [each for each in bins if each[2]]
    left, widths = [each[0] for each in filled], [each[1] - each[0] for each in filled]
    style = {"align": "edge", "edgecolor": "white", "linewidth": 0.8}
    above.bar(left, [each[4] for each in filled], widths, color=BLUE, **style)  # type: ignore[arg-type]
    above.plot([0, 1], [0, 1], "--", color="0.3", linewidth=1)
    middles = [(each[0] + each[1]) / 2 for each in filled]
    above.plot(middles, [each[3] for each in filled], "D", color=ORANGE, markersize=4.5, markeredgecolor="white", zorder=3)
    pixels = sum(each[2] for each in filled)
    error = sum(each[2] * abs(each[4] - each[3]) for each in filled if not isnan(each[3])) / pixels
    above.text(0.05, 0.94, f"ECE {error:.3f}", transform=above.transAxes, va="top", fontsize=9)
    above.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0, 0.25, 0.5, 0.75, 1])
    above.tick_params(labelbottom=False)
    below.bar(left, [each[2] for each in filled], widths, color="0.55", **style)  # type: ignore[arg-type]
    below.set(xlim=(0, 1), yscale="log", ylim=(0.5, 3 * max(each[2] for each in filled)), xticks=[0, 0.25, 0.5, 0.75, 1])
    below.set_xlabel("confidence", fontsize=9)
    below.yaxis.set_major_locator(LogLocator(numticks=3))
    below.yaxis.set_minor_locator(NullLocator())
    if first:
        above.set_ylabel("accuracy", fontsize=9)
        below.set_ylabel("pixels", fontsize=9)
    for axes in (above, below):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
