"""Pictures of activations, side by side: a row a level or a draw, a column a timestep.

Levels have fewer cells than the image has pixels; each picture is drawn as large as the others, its cells as squares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tedm.errors import TedmError

from .panels import GAP, HEAD, LETTER, beside, blank, draw_mask, foreground_edges, legend_entries, outline, panel, shorten

SMALL = 1.15  # inches
# Black where a committee is sure; the map tells grey values apart in any colour vision (van der Walt and Smith 2015).
SURE_TO_UNSURE = "magma"


def picture_grid(
    rows: Mapping[str, Sequence[NDArray[Any]]], columns: Sequence[str], *, first: tuple[str, NDArray[Any]] | None = None
) -> Figure:
    """Draw pictures in rows and columns.

    Parameters
    ----------
    rows : mapping of str to sequence of arrays of shape (y, x), (y, x, 1) or (y, x, 3)
        Grey or RGB in [0, 1], what is outside is clipped; each row one picture a column. Squares of any size.
    columns : sequence of str
        Titles.
    first : (str, array) or None
        A title and a picture to compare with, in front of the first row.

    Raises
    ------
    TedmError
        If there is no row, or a row has not one picture a column.

    Examples
    --------
    >>> figure = picture_grid({"level0": [np.eye(2), np.eye(4)]}, ["t = 1", "t = 50"])
    >>> [axes.get_title() for axes in figure.axes]
    ['t = 1', 't = 50']
    """
    wrong = [f"{len(pictures)} in {name}" for name, pictures in rows.items() if len(pictures) != len(columns)]
    if not rows or wrong:
        raise TedmError(
            f"a grid of {len(columns)} columns needs one picture for each in every row; there are "
            + (", ".join(wrong) or "no rows")
        )
    step = SMALL + GAP
    left = 2 * GAP + (step + 2 * GAP) * (first is not None)
    height = HEAD + len(rows) * step
    figure = blank(left + HEAD + len(columns) * step, height)
    if first is not None:
        _titled(figure, first[1], first[0], 2 * GAP, height - HEAD - SMALL)
    for row, (name, pictures) in enumerate(rows.items()):
        bottom = height - HEAD - row * step - SMALL
        beside(figure, name, bottom + SMALL / 2, SMALL, left=left)
        for column, picture in enumerate(pictures):
            _titled(figure, picture, columns[column] if row == 0 else "", left + HEAD + column * step, bottom)
    return figure


def uncertainty_figure(
    images: Sequence[NDArray[Any]],
    truths: Sequence[NDArray[np.uint8]],
    predictions: Sequence[NDArray[np.uint8]],
    uncertainties: Mapping[str, Sequence[NDArray[np.floating]]],
    names: Sequence[str],
    class_values: Sequence[int | str],
    *,
    ignore: int = 255,
) -> Figure:
    """Draw one row an image: the image, the prediction with the outline of the truth, and how unsure each pixel is.

    Parameters
    ----------
    images : sequence of arrays of shape (size, size) or (size, size, channels)
        In [0, 1].
    truths, predictions : sequence of arrays of shape (size, size)
        Class indices; a truth may be `ignore` all over.
    uncertainties : mapping of str to sequence of arrays of shape (size, size)
        In [0, 1]; entropy and disagreement, say. Colours run from 0 to the largest value of all, and the bars say so.
    names : sequence of str
        Beside the rows.
    class_values : sequence of int or str
        What the legend calls the classes.

    Raises
    ------
    TedmError
        If there is no image, or not one of everything for each.

    Examples
    --------
    >>> mask = np.eye(8, dtype=np.uint8)
    >>> figure = uncertainty_figure([mask], [mask], [mask], {"entropy": [mask / 2]}, ["a"], [0, 1])
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['image', 'prediction', 'entropy']
    """
    counts = {len(each) for each in (truths, predictions, names, *uncertainties.values())}
    if not images or counts != {len(images)}:
        raise TedmError(f"{len(images)} images need one truth, prediction, name and uncertainty each, and there must be one")
    side, bar = 1.5, 0.42
    step = side + GAP
    entries = legend_entries(class_values, any((truth == ignore).any() for truth in truths), True)
    height = HEAD + len(images) * step + bar
    figure = blank(HEAD + (2 + len(uncertainties)) * step, height)
    for row, image in enumerate(images):
        bottom = height - HEAD - row * step - side
        beside(figure, names[row], bottom + side / 2, side)
        axes = [panel(figure, image, HEAD + column * step, bottom, side, side) for column in range(2 + len(uncertainties))]
        draw_mask(axes[1], predictions[row], len(class_values), ignore)
        outline(axes[1], foreground_edges(truths[row], len(class_values)), "white", 0.7)
        for at, values in zip(axes[2:], uncertainties.values(), strict=True):
            most = max(float(np.max(each)) for each in values) or 1.0
            at.images[0].set(data=values[row], cmap=SURE_TO_UNSURE, clim=(0, most))
        if row == 0:
            for at, title in zip(axes, ("image", "prediction", *uncertainties), strict=True):
                at.set_title(shorten(title, side), fontsize=9, pad=4, parse_math=False)
    for column, values in enumerate(uncertainties.values(), 2):
        most = max(float(np.max(each)) for each in values) or 1.0
        _bar(figure, HEAD + column * step, bar, side, most)
    figure.legend(handles=entries, loc="lower left", ncols=2, frameon=False, fontsize=8, borderaxespad=0.2, columnspacing=1)
    return figure


def similarity_figure(matrices: Mapping[str, NDArray[np.floating]], names: Sequence[str]) -> Figure:
    """Draw similarities of the same things as one square a matrix, with the numbers in it.

    Parameters
    ----------
    matrices : mapping of str to arrays of shape (things, things)
        In [0, 1], under their titles; NaN is left grey.
    names : sequence of str
        What is compared: `t = 1` and so on.

    Raises
    ------
    TedmError
        If there is no matrix, or one is not (names, names).

    Examples
    --------
    >>> figure = similarity_figure({"level0": np.array([[1.0, 0.5], [0.5, 1.0]])}, ["t = 1", "t = 50"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['100', '50', '50', '100']
    """
    count = len(names)
    if not matrices or any(matrix.shape != (count, count) for matrix in matrices.values()):
        raise TedmError(
            f"similarities of {count} things are matrices of {count} x {count}; there is none, or one of another shape"
        )
    cell, words = 0.34, LETTER * max(map(len, names)) + 0.15
    side = cell * count
    in_a_row = max(1, min(len(matrices), int(9.5 / (side + GAP))))
    down = -(-len(matrices) // in_a_row)
    height = down * (HEAD + side) + words
    figure = blank(words + in_a_row * (side + 2 * GAP), height)
    colours = ListedColormap([str(1 - 0.75 * level / 255) for level in range(256)])
    total = figure.get_size_inches()
    for index, (title, matrix) in enumerate(matrices.items()):
        row, column = divmod(index, in_a_row)
        left, bottom = words + column * (side + 2 * GAP), height - (row + 1) * (HEAD + side)
        axes = figure.add_axes((left / total[0], bottom / total[1], side / total[0], side / total[1]))
        axes.set_facecolor("#F0E442")
        axes.imshow(matrix, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(shorten(title, side), fontsize=9, pad=4, parse_math=False)
        lowest = index + in_a_row >= len(matrices)
        axes.set_xticks(range(count), names if lowest else [""] * count, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(count), names if column == 0 else [""] * count, fontsize=8, parse_math=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (y, x), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                axes.text(
                    x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 0.6 else "black"
                )
    return figure


def _titled(figure: Figure, picture: NDArray[Any], title: str, left: float, bottom: float) -> None:
    axes = panel(figure, picture, left, bottom, SMALL, SMALL)
    if title:
        axes.set_title(shorten(title, SMALL), fontsize=9, pad=4, parse_math=False)


def _bar(figure: Figure, left: float, top: float, width: float, most: float) -> None:
    """The scale of an uncertainty, below its column."""
    total = figure.get_size_inches()
    axes = figure.add_axes(((left + 0.1) / total[0], (top - 0.13) / total[1], (width - 0.2) / total[0], 0.08 / total[1]))
    bar = figure.colorbar(ScalarMappable(Normalize(0, most), SURE_TO_UNSURE), cax=axes, orientation="horizontal")
    bar.set_ticks([0, most], labels=["0", f"{most:.2g}"])
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=8, length=0, pad=2)
