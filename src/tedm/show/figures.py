"""Masks over their images, to be looked at before any number is believed.

One row an image, one column a method; predictions carry the outline of the truth in white as well as their own. Panels are
placed by the inch, without pyplot or any global state, so that spacing and letters are the same for any number of images.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.files import write_whole

from .panels import (
    CAPTION,
    GAP,
    HEAD,
    LETTER,
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


def overlay_figure(
    images: Sequence[NDArray[Any]],
    truths: Sequence[NDArray[np.uint8]],
    predictions: Mapping[str, Sequence[NDArray[np.uint8]]],
    names: Sequence[str],
    class_values: Sequence[int | str],
    *,
    ignore: int = 255,
    dice: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw one row an image: the image, the truth, and each method's prediction.

    Parameters
    ----------
    images : sequence of arrays of shape (y, x) or (y, x, 3)
        Grey or RGB in [0, 1].
    truths : sequence of arrays of shape (y, x), uint8
        Class indices; the first class is the background and not drawn.
    predictions : mapping of str to sequence of arrays of shape (y, x)
        Class indices of each method, one mask an image.
    names : sequence of str
        Names of the images, beside the rows.
    class_values : sequence of int or str
        What the legend calls the classes.
    ignore : int
        Pixels of this value in a mask are striped.
    dice : mapping of str to sequence of float, optional
        In [0, 1], printed in points under each panel of the method.

    Raises
    ------
    TedmError
        If numbers or shapes disagree, or a mask holds something that is no class.

    Examples
    --------
    >>> mask = np.eye(8, dtype=np.uint8)
    >>> figure = overlay_figure([mask / 2], [mask], {"TEDM": [mask]}, ["a"], [0, 255], dice={"TEDM": [1.0]})
    >>> [text.get_text() for text in figure.axes[2].texts]
    ['Dice 100.0']
    """
    _check(images, truths, predictions, names, class_values, ignore, dice or {})
    columns = ["image", "truth", *predictions]
    caption = CAPTION if dice else 0.0
    heights = [PANEL * image.shape[0] / image.shape[1] for image in images]
    width = HEAD + len(columns) * (PANEL + GAP)
    entries = legend_entries(class_values, any((truth == ignore).any() for truth in truths), bool(predictions))
    in_a_row = max(1, int(width / max(LETTER * (len(str(entry.get_label())) + 7) for entry in entries))) if entries else 1
    height = HEAD + sum(heights) + len(images) * (caption + GAP) + LINE * -(-len(entries) // in_a_row) + GAP
    figure = blank(width, height)
    top = height - HEAD
    for row, image in enumerate(images):
        for column, title in enumerate(columns):
            left = HEAD + column * (PANEL + GAP)
            axes = panel(figure, image, left, top - heights[row], PANEL, heights[row])
            if row == 0:
                axes.set_title(shorten(title, PANEL), fontsize=9, pad=4, parse_math=False)
            if column == 0:
                beside(figure, names[row], top - heights[row] / 2, heights[row])
            elif column == 1:
                draw_mask(axes, truths[row], len(class_values), ignore)
            else:
                draw_mask(axes, predictions[title][row], len(class_values), ignore)
                outline(axes, foreground_edges(truths[row], len(class_values)), "white", 0.7)
                if dice and title in dice:
                    below(axes, f"Dice {_points(dice[title][row])}")
        top -= heights[row] + caption + GAP
    if entries:
        figure.legend(handles=entries, loc="lower center", ncols=in_a_row, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure


def contact_sheet(
    images: Sequence[NDArray[Any]], names: Sequence[str], *, captions: Sequence[str] | None = None, columns: int = 6
) -> Figure:
    """Draw many images in a grid, in the given order, each with its name and caption.

    Parameters
    ----------
    images : sequence of arrays of shape (y, x) or (y, x, 3)
        Grey or RGB in [0, 1]; any sizes, each is fitted into a square.
    names : sequence of str
        Their names, above the panels.
    captions : sequence of str, optional
        A line below each panel, such as a score.
    columns : int
        Panels in a row, at least one.

    Examples
    --------
    >>> len(contact_sheet([np.eye(4)] * 5, list("abcde"), columns=2).axes)
    5
    """
    if not images or columns < 1:
        raise TedmError(f"a contact sheet needs at least one image and one column, got {len(images)} and {columns}")
    if len(names) != len(images) or (captions is not None and len(captions) != len(images)):
        raise TedmError(f"each of the {len(images)} images needs one name and, if there are any, one caption")
    caption = CAPTION if captions is not None else 0.0
    rows, columns = -(-len(images) // columns), min(columns, len(images))
    step = PANEL + HEAD + caption + GAP
    figure = blank(2 * GAP + columns * PANEL + (columns - 1) * GAP, rows * step + GAP)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        bottom = (rows - row) * step + GAP - HEAD - PANEL
        axes = panel(figure, image, GAP + column * (PANEL + GAP), bottom, PANEL, PANEL)
        axes.set_facecolor("0.92")
        long, aspect = max(image.shape[:2]), image.shape[:2]
        axes.set_xlim(aspect[1] / 2 - 0.5 - long / 2, aspect[1] / 2 - 0.5 + long / 2)
        axes.set_ylim(aspect[0] / 2 - 0.5 + long / 2, aspect[0] / 2 - 0.5 - long / 2)
        axes.set_title(shorten(names[index], PANEL), fontsize=9, pad=3, parse_math=False)
        if captions is not None:
            below(axes, shorten(captions[index], PANEL))
    return figure


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure, whole or not at all, without the time in it; the suffix chooses the format.

    Raises
    ------
    TedmError
        If matplotlib has no such format or the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    formats = sorted(figure.canvas.get_supported_filetypes())
    if kind not in formats:
        raise TedmError(f"cannot draw {path}: no format {path.suffix!r}; end the name in one of {', '.join(formats)}")
    undated: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=dpi, metadata=undated.get(kind))
    write_whole(path, content.getvalue(), what="the figure", remedy="name another place")


def png(figure: Figure, *, dpi: float = 150) -> bytes:
    """A figure as the bytes of a PNG; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()


def _points(value: float) -> str:
    return "–" if isnan(value) else f"{100 * value:.1f}"


def _check(
    images: Sequence[NDArray[Any]],
    truths: Sequence[NDArray[np.uint8]],
    predictions: Mapping[str, Sequence[NDArray[np.uint8]]],
    names: Sequence[str],
    class_values: Sequence[int | str],
    ignore: int,
    dice: Mapping[str, Sequence[float]],
) -> None:
    if not images:
        raise TedmError("there is no image to draw")
    lengths: dict[str, Sequence[Any]] = {"truths": truths, "names": names} | {
        f"predictions of {name}": masks for name, masks in predictions.items()
    }
    lengths |= {f"Dice of {name}": values for name, values in dice.items()}
    wrong = {what: len(values) for what, values in lengths.items() if len(values) != len(images)}
    raise_listed(
        f"cannot draw {len(images)} images", [f"there are {count} {what}; give one an image" for what, count in wrong.items()]
    )
    strangers = sorted(set(dice) - set(predictions))
    if strangers:
        raise TedmError(f"Dice is given for {', '.join(strangers)}, of which there are no predictions")
    problems = []
    for what, masks in {"truth": truths, **predictions}.items():
        for name, image, mask in zip(names, images, masks, strict=True):
            if mask.shape != image.shape[:2]:
                problems.append(f"{name}, {what}: the mask is {mask.shape}, the image {image.shape[:2]}")
            elif strange := sorted(set(np.unique(mask).tolist()) - {*range(len(class_values)), ignore}):
                problems.append(f"{name}, {what}: {strange} are no indices of the {len(class_values)} classes")
    raise_listed("cannot draw these masks", problems)
