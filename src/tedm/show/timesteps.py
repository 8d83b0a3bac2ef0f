"""What probes found, as pictures: scores along timesteps, along the voters of a path, and on each level at each timestep.

One panel a domain, all on one scale. Training sizes differ by colour, marker and line, so that they can be told apart in print
and with any colour vision; upright bars are intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tedm.errors import TedmError

from .panels import COLOURS, blank

# Those of the Okabe-Ito colours that stand out on white, the lightest for the smallest size.
OF_SIZES = (COLOURS[1], COLOURS[0], COLOURS[2], COLOURS[5], COLOURS[6], COLOURS[3])
MARKERS = ("o", "s", "^", "D", "v", "P")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
PANEL_WIDTH, PANEL_HEIGHT = 3.1, 2.7  # inches
LEFT, BOTTOM, TOP, BETWEEN, RIGHT = 0.62, 0.55, 0.32, 0.16, 1.1
ASIDE = 0.11  # of the distance between two timesteps

Curve = Sequence[tuple[int, float, float, float]]


def timestep_figure(domains: Mapping[str, Mapping[int, Curve]], *, ylabel: str = "Dice × 100") -> Figure:
    """Draw scores against the timestep, a line for each training size.

    Timesteps stand at equal distances: small ones, which lie close together, are those that matter.

    Parameters
    ----------
    domains : mapping of str to mapping of int to sequence of (timestep, mean, low, high)
        By name of the panel, then by number of training images.
    ylabel : str
        What the scores are.

    Raises
    ------
    TedmError
        If there is nothing to draw.

    Examples
    --------
    >>> figure = timestep_figure({"here": {1: [(1, 80.0, 75.0, 85.0), (50, 90.0, 88.0, 92.0)]}})
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['1', '50']
    """
    return _panels(domains, "timestep", ylabel, {})


def voting_figure(
    domains: Mapping[str, Mapping[int, Curve]], chosen: Mapping[int, int], *, ylabel: str = "Dice × 100"
) -> Figure:
    """Draw scores against the number of timesteps that vote, a line for each training size.

    Parameters
    ----------
    domains : mapping of str to mapping of int to sequence of (voters, mean, low, high)
        By name of the panel, then by number of training images.
    chosen : mapping of int to int
        For each training size the number of voters that was chosen: it gets a ring.
    ylabel : str
        What the scores are.

    Examples
    --------
    >>> figure = voting_figure({"here": {6: [(1, 80.0, 75.0, 85.0), (2, 90.0, 88.0, 92.0)]}}, {6: 2})
    >>> figure.axes[0].get_xlabel()
    'timesteps that vote'
    """
    return _panels(domains, "timesteps that vote", ylabel, chosen)


def level_figure(
    grids: Mapping[str, NDArray[np.float64]], levels: Sequence[str], timesteps: Sequence[str], *, label: str = "Dice × 100"
) -> Figure:
    """Draw a score for each level at each timestep as colour and as number, the best of each panel framed.

    Parameters
    ----------
    grids : mapping of str to array of shape (levels, timesteps)
        By name of the panel; NaN stays empty.
    levels, timesteps : sequence of str
        What the rows and the columns are called.
    label : str
        What the scores are.

    Examples
    --------
    >>> figure = level_figure({"here": np.array([[80.0, 70.0]])}, ["level0"], ["1", "50"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['80.0', '70.0']
    """
    if not grids or not all(np.isfinite(grid).any() for grid in grids.values()):
        raise TedmError("there is no score to draw")
    cell_width, cell_height = 0.52, 0.34
    width, height = cell_width * len(timesteps), cell_height * len(levels)
    left = 0.3 + 0.075 * max(map(len, levels))
    total = (left + width + 0.15, 0.5 + len(grids) * (height + 0.36) + 0.1)
    figure = blank(*total)
    low = min(np.nanmin(grid) for grid in grids.values())
    high = max(np.nanmax(grid) for grid in grids.values())
    for number, (name, grid) in enumerate(grids.items()):
        bottom = 0.5 + (len(grids) - 1 - number) * (height + 0.36)
        axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
        axes.imshow(grid, cmap="cividis", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        best = np.unravel_index(np.nanargmax(grid), grid.shape)
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                dark = value < low + 0.5 * (high - low)
                colour, weight = ("white" if dark else "black"), ("bold" if (row, column) == best else "normal")
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8, weight=weight)
        corner = (float(best[1]) - 0.46, float(best[0]) - 0.46)
        axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="black", linewidth=1.6))
        axes.set_xticks(range(len(timesteps)), timesteps if number == len(grids) - 1 else [], fontsize=9)
        axes.set_yticks(range(len(levels)), levels, fontsize=9)
        for tick in axes.get_xticklabels():
            tick.set_verticalalignment("baseline")  # "all" has no more above the line than a number
        axes.tick_params(axis="x", pad=12)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=10, loc="left", pad=3, parse_math=False)
    figure.axes[-1].set_xlabel(f"timestep ({label})", fontsize=9)
    return figure


def _panels(domains: Mapping[str, Mapping[int, Curve]], xlabel: str, ylabel: str, ringed: Mapping[int, int]) -> Figure:
    sizes = sorted({n for curves in domains.values() for n in curves})
    places = sorted({point[0] for curves in domains.values() for curve in curves.values() for point in curve})
    if not places:
        raise TedmError("there is no score to draw")
    count = len(domains)
    total = (LEFT + count * PANEL_WIDTH + (count - 1) * BETWEEN + RIGHT, BOTTOM + PANEL_HEIGHT + TOP)
    figure = blank(*total)
    first: Axes | None = None
    for number, (domain, curves) in enumerate(domains.items()):
        left = LEFT + number * (PANEL_WIDTH + BETWEEN)
        box = (left / total[0], BOTTOM / total[1], PANEL_WIDTH / total[0], PANEL_HEIGHT / total[1])
        axes = figure.add_axes(box, sharey=first)
        for n, curve in curves.items():
            aside = ASIDE * (sizes.index(n) - (len(sizes) - 1) / 2)  # intervals of several sizes stand beside each other
            _draw(axes, [places.index(point[0]) + aside for point in curve], curve, sizes.index(n), f"n = {n}")
            for point in curve:
                if ringed.get(n) == point[0]:
                    at = (places.index(point[0]) + aside, point[1])
                    axes.plot(*at, marker="o", markersize=12, fillstyle="none", color=OF_SIZES[sizes.index(n) % len(OF_SIZES)])
        axes.set_xticks(range(len(places)), list(map(str, places)), fontsize=9)
        axes.set_xlabel(xlabel, fontsize=9)
        axes.set_title(domain, fontsize=10, parse_math=False)
        axes.tick_params(labelleft=number == 0, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        first = first or axes
    figure.axes[0].set_ylabel(ylabel, fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    for axes in figure.axes[1:]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles, labels = [*handles, handle], [*labels, label]
    figure.legend(handles, labels, loc="center right", frameon=False, fontsize=9, borderaxespad=0.1, handlelength=2.2)
    return figure


def _draw(axes: Axes, at: Sequence[float], curve: Curve, number: int, label: str) -> None:
    colour = OF_SIZES[number % len(OF_SIZES)]
    _, means, lows, highs = zip(*curve, strict=True)
    axes.vlines(at, lows, highs, color=colour, linewidth=1.6, alpha=0.5)
    style, marker = STYLES[number % len(STYLES)], MARKERS[number % len(MARKERS)]
    axes.plot(at, means, linestyle=style, marker=marker, color=colour, markersize=4.5, linewidth=1.4, label=label)
