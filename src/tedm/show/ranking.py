"""The images that are to be annotated next, as one picture.

Each has two panels: the image with the outlines of its prediction, and the entropy of the vote, so that it can be seen what the
head is unsure of before anybody starts to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tedm.errors import TedmError

from .panels import CAPTION, GAP, HEAD, LETTER, LINE, PANEL, blank, draw_mask, legend_entries, panel, shorten

COLOURS_OF_ENTROPY = "magma"  # lightness rises evenly: it can be read without colours
PAIRS = 3  # in a row


def ranking_sheet(
    images: Sequence[NDArray[Any]],
    predictions: Sequence[NDArray[np.uint8]],
    entropies: Sequence[NDArray[np.floating]],
    names: Sequence[str],
    class_values: Sequence[int | str],
    *,
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draw images in the order of their ranks, each with its prediction outlined and the entropy of the vote beside it.

    Parameters
    ----------
    images : sequence of arrays of shape (y, x) or (y, x, 3)
        Grey or RGB in [0, 1], squares.
    predictions : sequence of arrays of shape (y, x), uint8
        Class indices; the first class is the background and not drawn.
    entropies : sequence of arrays of shape (y, x)
        In [0, 1].
    names : sequence of str
        Above the panels, after the rank.
    class_values : sequence of int or str
        What the legend calls the classes.
    captions : sequence of str, optional
        A line below each image, such as its scores.

    Raises
    ------
    TedmError
        If there is no image, or not one of everything for each.

    Examples
    --------
    >>> mask = np.eye(8, dtype=np.uint8)
    >>> figure = ranking_sheet([mask / 2], [mask], [mask / 3], ["a"], [0, 255], captions=["entropy 0.04"])
    >>> figure.axes[0].get_title(loc="left")
    '1  a'
    """
    counts = {len(each) for each in (images, predictions, entropies, names, *([] if captions is None else [captions]))}
    if len(counts) != 1 or not images:
        raise TedmError(f"a sheet needs one prediction, entropy, name and caption for each of its {len(images)} images")
    pairs = min(PAIRS, len(images))
    rows = -(-len(images) // pairs)
    wide, high = 2 * PANEL + GAP, PANEL + HEAD + (CAPTION if captions is not None else 0) + GAP
    width = 3 * GAP + pairs * (wide + 2 * GAP)
    entries = legend_entries(class_values, ignored=False, predicted=False)
    in_a_row = max(1, int(width / max((LETTER * (len(str(entry.get_label())) + 7) for entry in entries), default=width)))
    foot = LINE * (1 - (-len(entries) // in_a_row)) + 2 * GAP
    figure = blank(width, rows * high + foot)
    for index, image in enumerate(images):
        row, column = divmod(index, pairs)
        left = 2 * GAP + column * (wide + 2 * GAP)
        bottom = foot + (rows - row) * high - HEAD - PANEL
        axes = panel(figure, image, left, bottom, PANEL, PANEL)
        draw_mask(axes, predictions[index], len(class_values), 255)
        axes.set_title(shorten(f"{index + 1}  {names[index]}", wide), fontsize=9, pad=3, loc="left", parse_math=False)
        beside = panel(
            figure, colormaps[COLOURS_OF_ENTROPY](entropies[index])[..., :3], left + PANEL + GAP, bottom, PANEL, PANEL
        )
        if captions is not None:
            line = beside.annotate(
                shorten(captions[index], wide),
                (-GAP / PANEL / 2, 0),
                (0, -3),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="center",
                va="top",
            )
            line.set(fontsize=9, parse_math=False)
    if entries:
        place = (GAP / width, LINE / figure.get_size_inches()[1])

        figure.legend(
            handles=entries,
            loc="lower left",
            bbox_to_anchor=place,
            ncols=in_a_row,
            fontsize=9,
            frameon=False,
            borderaxespad=0.1,
        )
    _scale(figure)
    return figure


def _scale(figure: Figure) -> None:
    """What the colours of the entropy mean."""
    scale = panel(figure, colormaps[COLOURS_OF_ENTROPY](np.linspace(0, 1, 256))[None, :, :3], 0.5, 0.1, 1.2, 0.12)
    scale.set_aspect("auto")
    for place, text, side in ((0, "sure", "right"), (1, "a guess (entropy 1)", "left")):
        line = scale.annotate(
            text,
            (place, 0.5),
            (-4 if side == "right" else 4, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            ha=side,
            va="center",
        )
        line.set(fontsize=9)
