"""A panel: an image, masks drawn over it, and words around it, placed by the inch.

Each class has an outline in a colour that people with any colour vision can tell apart (Okabe and Ito 2008) and a faint fill of
the same colour. Outlines run along the edges of pixels, so that what is drawn is what was scored.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from tedm.text import called

from .colours import COLOURS as COLOURS
from .colours import colour_of as colour_of

PANEL, GAP, CAPTION, HEAD, LINE = 1.75, 0.08, 0.2, 0.26, 0.22  # inches
SHOWN = 100  # dots an inch, on a screen
LETTER = 0.078  # inches of an average letter at 9 points


class Picture(Figure):
    """A figure that notebooks show by themselves: no pyplot, no magic word, the same bytes each time."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=SHOWN)
        return out.getvalue()


def blank(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    figure = Picture(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, image: NDArray[Any], left: float, bottom: float, width: float, height: float) -> Axes:
    """Place an image at a position in inches."""
    total = figure.get_size_inches()
    axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
    axes.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def draw_mask(axes: Axes, mask: NDArray[np.uint8], classes: int, ignore: int) -> None:
    """Fill and outline each class of a mask but the first; stripe what is ignored."""
    fill = np.zeros((*mask.shape, 4))
    for index in range(1, classes):
        fill[mask == index] = to_rgba(colour_of(index), 0.3)
    stripes = np.add.outer(*map(np.arange, mask.shape)) % 4 < 2
    fill[(mask == ignore) & stripes] = to_rgba("white", 0.7)
    fill[(mask == ignore) & ~stripes] = to_rgba("black", 0.7)  # both, so that they show on any image
    axes.imshow(fill, interpolation="nearest")
    for index in range(1, classes):
        outline(axes, edges(mask == index), colour_of(index), 1.4)


def outline(axes: Axes, segments: NDArray[np.float64], colour: str, width: float) -> None:
    """Draw segments of shape (segments, 2, 2)."""
    axes.add_collection(LineCollection(list(segments), colors=colour, linewidths=width, capstyle="projecting"), autolim=False)


def foreground_edges(mask: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """Edges of all foreground classes of a mask together."""
    return np.concatenate([np.zeros((0, 2, 2)), *(edges(mask == index) for index in range(1, classes))])


def edges(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Edges between a region and the rest, the border of the image included; shape (segments, 2, 2), (x, y) of both ends."""
    padded = np.pad(inside, 1)
    y, x = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = np.stack([np.stack([x, y], axis=1), np.stack([x, y + 1], axis=1)], axis=1)
    y, x = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = np.stack([np.stack([x, y], axis=1), np.stack([x + 1, y], axis=1)], axis=1)
    return np.concatenate([upright, level]) - 0.5


def legend_entries(class_values: Sequence[int | str], ignored: bool, predicted: bool) -> list[Artist]:
    """One entry a foreground class, then those that the panels need."""
    entries: list[Artist] = []
    for index, value in enumerate(class_values[1:], start=1):
        label = value if isinstance(value, str) else called(value)
        entries.append(Patch(facecolor=to_rgba(colour_of(index), 0.4), edgecolor=colour_of(index), linewidth=1.4, label=label))
    if predicted and entries:
        on_grey = [withStroke(linewidth=7, foreground="0.45")]  # white alone would not show on paper
        entries.append(Line2D([], [], color="white", linewidth=1.4, path_effects=on_grey, label="outline of the truth"))
    if ignored:
        entries.append(Patch(facecolor="0.3", edgecolor="white", hatch="/////", linewidth=0, label="ignored"))
    return entries


def below(axes: Axes, text: str) -> None:
    """Write a line under a panel."""
    line = axes.annotate(text, (0.5, 0), (0, -3), xycoords="axes fraction", textcoords="offset points", ha="center", va="top")
    line.set(fontsize=9, parse_math=False)


def beside(figure: Figure, name: str, middle: float, height: float, *, left: float = 0.0) -> None:
    """Write a name upwards, beside a row, its middle and height and the left edge in inches."""
    total = figure.get_size_inches()
    place = ((left + HEAD / 2) / total[0], middle / total[1])
    figure.text(*place, shorten(name, height), rotation=90, ha="center", va="center", fontsize=9, parse_math=False)


def shorten(text: str, inches: float) -> str:
    """Leave out the middle of what is too long: names differ at their ends."""
    most = max(3, int(inches / LETTER))
    keep = most - 1
    return text if len(text) <= most else f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
