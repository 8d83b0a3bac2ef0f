"""One image as several methods see it: a column a method, a row a training size.

The image and its truth stand on the left. Every mask is outlined and lies under the outline of the truth in white; a method
without a mask is "not run".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tedm.errors import TedmError

from .panels import (
    CAPTION,
    GAP,
    HEAD,
    LINE,
    PANEL,
    below,
    beside,
    blank,
    draw_mask,
    foreground_edges,
    legend_entries,
    outline,
    panel,
    shorten,
)

IGNORE = 255


def example_figure(
    image: NDArray[Any],
    truth: NDArray[np.uint8],
    masks: Mapping[tuple[str, int], NDArray[np.uint8]],
    methods: Sequence[str],
    class_values: Sequence[int | str],
    *,
    dice: Mapping[tuple[str, int], float],
) -> Figure:
    """Draw an image, its truth, and what each method made of it at each training size.

    Parameters
    ----------
    image : array of shape (y, x) or (y, x, 3)
        In [0, 1].
    truth : array of shape (y, x), uint8
        Class indices, the first the background; 255 is striped.
    masks : mapping of (str, int) to array of shape (y, x), uint8
        Class indices by method and n.
    methods : sequence of str
        The columns, in this order.
    class_values : sequence of int or str
        What the legend calls the classes.
    dice : mapping of (str, int) to float
        In points, below each mask; NaN where there is none.

    Raises
    ------
    TedmError
        If there is no mask.

    Examples
    --------
    >>> mask = np.eye(8, dtype=np.uint8)
    >>> figure = example_figure(mask / 2, mask, {("tedm", 1): mask}, ["tedm"], [0, 255], dice={("tedm", 1): 100.0})
    >>> [text.get_text() for text in figure.texts]
    ['image', 'truth', 'n = 1', 'tedm']
    """
    sizes = sorted({n for _, n in masks})
    if not sizes or not methods:
        raise TedmError("there is no mask to draw")
    left = 2 if len(sizes) == 1 else 1  # with several sizes the truth stands below the image
    height = PANEL * image.shape[0] / image.shape[1]
    step = height + CAPTION + GAP
    entries = legend_entries(class_values, bool((truth == IGNORE).any()), True)
    aside = GAP + left * (PANEL + GAP)
    width = aside + HEAD + len(methods) * (PANEL + GAP)
    in_a_row = max(1, int(width / 1.9))
    lines = -(-len(entries) // in_a_row)
    total = (width, HEAD + max(len(sizes), 3 - left) * step + LINE * lines + GAP)
    figure = blank(*total)
    classes = len(class_values)

    def titled(text: str, left: float, bottom: float) -> None:
        place = ((left + PANEL / 2) / total[0], (bottom + height + 0.12) / total[1])
        figure.text(*place, shorten(text, PANEL), fontsize=9, ha="center", va="center", parse_math=False)

    top = total[1] - HEAD - height
    titled("image", GAP, top)
    panel(figure, image, GAP, top, PANEL, height)
    place = (GAP, top - step) if left == 1 else (GAP + PANEL + GAP, top)
    axes = panel(figure, image, *place, PANEL, height)
    draw_mask(axes, truth, classes, IGNORE)
    if left == 1:
        below(axes, "truth")
    else:
        titled("truth", *place)
    for row, n in enumerate(sizes):
        bottom = top - row * step
        beside(figure, f"n = {n}", bottom + height / 2, height, left=aside)
        for column, method in enumerate(methods):
            at = aside + HEAD + column * (PANEL + GAP)
            if row == 0:
                titled(method, at, bottom)
            mask = masks.get((method, n))
            if mask is None:
                middle = ((at + PANEL / 2) / total[0], (bottom + height / 2) / total[1])
                figure.text(*middle, "not run", ha="center", va="center", fontsize=9, color="0.4")
                continue
            axes = panel(figure, image, at, bottom, PANEL, height)
            draw_mask(axes, mask, classes, IGNORE)
            outline(axes, foreground_edges(truth, classes), "white", 0.7)
            value = dice.get((method, n), float("nan"))
            below(axes, f"Dice {'–' if isnan(value) else f'{value:.1f}'}")
    if entries:
        figure.legend(handles=entries, loc="lower center", ncols=in_a_row, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure
