"""A volume in the three planes that radiologists look at, true to scale.

All planes cross in one voxel, and a millimetre is as long in every panel and direction, whatever the spacing of the voxels.
Each plane is turned as such pictures are: the head up, the face up or to the left, the patient's right hand at the left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.text import listed

from .panels import GAP, HEAD, LETTER, LINE, beside, blank, draw_mask, foreground_edges, legend_entries, outline, panel, shorten

WIDTH = 6.6  # inches of the three panels of a row
LENGTHS = (100, 50, 20, 10, 5, 2, 1)  # millimetres that a bar may be long
# A plane's name, which axes of the volume it crosses in rows and columns, and what lies at its left, right, top and bottom.
PLANES = (("axial", 1, 2, "RLAP"), ("coronal", 0, 2, "RLSI"), ("sagittal", 0, 1, "APSI"))


def three_planes(
    image: NDArray[Any],
    truth: NDArray[np.uint8] | None,
    predictions: Mapping[str, NDArray[np.uint8]],
    spacing: Sequence[float],
    class_values: Sequence[int | str],
    *,
    at: Sequence[int] | None = None,
    ignore: int = 255,
) -> Figure:
    """Draw a volume in three planes: a row for the image, one for the truth, and one for each prediction.

    Parameters
    ----------
    image : array of shape (slices, rows, columns)
        Grey, in [0, 1], what is outside is clipped. Slices are counted towards the head, rows towards the back and columns
        towards the patient's left, as `tedm.store.Volume.to_slices` gives a volume that is cut axially.
    truth : array of shape (slices, rows, columns), or None
        Class indices; the first class is the background and not drawn.
    predictions : mapping of str to array of shape (slices, rows, columns)
        Class indices of each method. They carry the outline of the truth in white.
    spacing : sequence of three float
        Millimetres between slices, rows and columns.
    class_values : sequence of int or str
        What the legend calls the classes.
    at : sequence of three int, optional
        The slice, row and column that are shown. Default: those that show most of the foreground of the truth, or of the first
        prediction; the middle ones if there is none.
    ignore : int
        Voxels of this value in a mask are striped.

    Raises
    ------
    TedmError
        If shapes disagree, a mask holds something that is no class, or spacing and place are none of this volume.

    Examples
    --------
    >>> mask = np.zeros((4, 5, 6), np.uint8)
    >>> mask[2, 3, 4] = 1
    >>> figure = three_planes(mask / 2, mask, {}, (3.0, 1.0, 1.0), ["background", "lesion"])
    >>> [axes.get_title() for axes in figure.axes]
    ['axial', 'coronal', 'sagittal', '', '', '']
    """
    masks = ({} if truth is None else {"truth": truth}) | dict(predictions)
    _check(image, masks, spacing, len(class_values), ignore)
    place = _place(image.shape, list(masks.values()), ignore) if at is None else tuple(at)
    if len(place) != 3 or not all(0 <= index < length for index, length in zip(place, image.shape, strict=True)):
        raise TedmError(f"{place} lies outside of a volume of {image.shape}; give a slice, a row and a column of it")
    lengths = [count * step for count, step in zip(image.shape, spacing, strict=True)]
    scale = WIDTH / sum(lengths[across] for _, _, across, _ in PLANES)
    sizes = [(lengths[across] * scale, lengths[down] * scale) for _, down, across, _ in PLANES]
    tall = max(height for _, height in sizes)
    entries = legend_entries(
        class_values, any((mask == ignore).any() for mask in masks.values()), bool(predictions) and truth is not None
    )
    width = HEAD + WIDTH + 3 * GAP
    in_a_row = max(1, int(width / max(LETTER * (len(str(entry.get_label())) + 7) for entry in entries))) if entries else 1
    rows = {"image": None, **masks}
    height = HEAD + len(rows) * (tall + GAP) + (LINE * -(-len(entries) // in_a_row) + GAP if masks else 0.0)
    figure = blank(width, height)
    top = height - HEAD
    for number, (name, mask) in enumerate(rows.items()):
        left = HEAD
        for plane, ((title, *_), (across, down)) in enumerate(zip(PLANES, sizes, strict=True)):
            axes = panel(figure, _cut(image, plane, place), left, top - (tall + down) / 2, across, down)
            if mask is not None:
                draw_mask(axes, _cut(mask, plane, place), len(class_values), ignore)
            if mask is not None and truth is not None and mask is not truth:
                outline(axes, foreground_edges(_cut(truth, plane, place), len(class_values)), "white", 0.7)
            if number == 0:
                axes.set_title(shorten(title, across), fontsize=9, pad=4, parse_math=False)
                _letters(axes, PLANES[plane][3])
            axes.set_aspect("auto")  # the panel has the plane's proportions in millimetres
            left += across + GAP
        beside(figure, name, top - tall / 2, tall)
        top -= tall + GAP
    _bar(figure.axes[0], lengths[2], spacing[2])
    if masks and entries:
        figure.legend(handles=entries, loc="lower center", ncols=in_a_row, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure


def _cut(voxels: NDArray[Any], plane: int, place: Sequence[int]) -> NDArray[Any]:
    """Return a plane through a voxel, of shape (rows, columns), the head up."""
    cut: NDArray[Any] = np.take(voxels, place[plane], axis=plane)
    return cut if plane == 0 else cut[::-1]


def _place(shape: Sequence[int], masks: Sequence[NDArray[np.uint8]], ignore: int) -> tuple[int, ...]:
    """Return the slice, the row and the column that show most foreground of the first mask."""
    inside = (masks[0] != 0) & (masks[0] != ignore) if masks else np.zeros(tuple(shape), np.bool_)
    if not inside.any():
        return tuple(length // 2 for length in shape)
    others = ((1, 2), (0, 2), (0, 1))
    return tuple(int(inside.sum(axis=axes).argmax()) for axes in others)


def _letters(axes: Axes, sides: str) -> None:
    """Write at the rims of a panel which side of the patient is there."""
    places = (
        (0.02, 0.5, "left", "center"),
        (0.98, 0.5, "right", "center"),
        (0.5, 0.98, "center", "top"),
        (0.5, 0.02, "center", "bottom"),
    )
    for letter, (x, y, across, down) in zip(sides, places, strict=True):
        text = axes.text(x, y, letter, ha=across, va=down, transform=axes.transAxes, color="white", fontsize=8)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="black")])


def _bar(axes: Axes, width: float, step: float) -> None:
    """Draw a bar of a round number of millimetres in a panel that is `width` millimetres wide."""
    length = next((each for each in LENGTHS if each <= width / 4), None)
    if length is None:
        return
    rows, columns = axes.images[0].get_array().shape[:2]  # type: ignore[union-attr]
    left, bottom = 0.04 * columns - 0.5, 0.95 * rows - 0.5
    dark = [withStroke(linewidth=3, foreground="black")]
    axes.plot([left, left + length / step], [bottom, bottom], color="white", linewidth=1.5, path_effects=dark)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    text = axes.text(left, bottom - 0.02 * rows, f"{length} mm", ha="left", va="bottom", color="white", fontsize=8)
    text.set_path_effects([withStroke(linewidth=1.5, foreground="black")])


def _check(
    image: NDArray[Any], masks: Mapping[str, NDArray[np.uint8]], spacing: Sequence[float], classes: int, ignore: int
) -> None:
    if image.ndim != 3 or not image.size:
        what = f"of shape {image.shape}" if image.size else "without a voxel"
        raise TedmError(f"an image {what} cannot be drawn in three planes; give slices, rows and columns of one modality")
    if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise TedmError(f"spacing {tuple(spacing)}; give three numbers above 0: millimetres between slices, rows and columns")
    for name, mask in masks.items():
        if mask.shape != image.shape:
            raise TedmError(f"{name} is of shape {mask.shape}, and the image of {image.shape}; give masks of the same voxels")
        if strange := sorted(set(np.unique(mask).tolist()) - {*range(classes), ignore}):
            raise TedmError(f"{name}: {listed(strange)} are no indices of the {classes} classes; give indices, not values")
