"""Strokes on an image of any size as labels of the backbone's pixels, and back.

A mask goes to the backbone's size by the class under each of its pixels' centres. A stroke is thinner than such a pixel: of 512
pixels that become 64, three quarters of a line that is two pixels wide would be passed over. So a pixel of the backbone takes
the class of most of what is painted in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tedm.extract.images import centres, to_square_mask
from tedm.store import IGNORE
from tedm.store.settings import Geometry


def to_square_strokes(strokes: NDArray[np.uint8], size: int, geometry: Geometry) -> NDArray[np.uint8]:
    """Bring strokes to the backbone's size.

    Parameters
    ----------
    strokes : array of shape (height, width)
        Class indices, 255 where nothing is painted.
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}
        How the image becomes a square.

    Returns
    -------
    array of shape (size, size)
        Class indices, 255 without a label. A pixel takes the class of most of the painted pixels in it, of two that are equal
        the first; where the image is the smaller one, that of the image's pixel under its centre.

    Examples
    --------
    >>> to_square_strokes(np.array([[255, 1, 255, 255], [255, 1, 0, 255], *[[255] * 4] * 2], np.uint8), 2, "pad")
    array([[  1,   0],
           [255, 255]], dtype=uint8)
    """
    square = to_square_mask(strokes, size, geometry)
    rows, columns = np.nonzero(strokes != IGNORE)
    if not len(rows):
        return square
    values = strokes[rows, columns]
    at = _cells(rows, columns, strokes.shape, size, geometry)
    counts = np.bincount(at * (int(values.max()) + 1) + values, minlength=size**2 * (int(values.max()) + 1))
    counts = counts.reshape(size, size, -1)
    painted = counts.any(axis=-1)
    square[painted] = counts.argmax(axis=-1)[painted]
    return square


def as_learned_from(strokes: NDArray[np.uint8], size: int, geometry: Geometry) -> NDArray[np.uint8]:
    """Return a mask of the image's own size that becomes, at the backbone's, what the strokes are there.

    The strokes as they are, and beside thin ones the pixels under the centres: whoever reads the mask as a mask, by
    `to_square_mask`, learns from the same labels.

    Parameters
    ----------
    strokes, size, geometry
        See `to_square_strokes`.

    Returns
    -------
    array of shape (height, width)
    """
    square, mask = to_square_strokes(strokes, size, geometry), strokes.copy()
    lines, across = (
        np.floor(first + step * np.arange(size) + 0.5 + NEAR).astype(np.intp)
        for first, step in centres((strokes.shape[0], strokes.shape[1]), size, geometry)
    )
    for row, line in enumerate(lines):
        if 0 <= line < strokes.shape[0]:
            painted = (square[row] != IGNORE) & (across >= 0) & (across < strokes.shape[1])
            mask[line, across[painted]] = square[row, painted]
    return mask


# A centre on a border belongs to what is behind it, and rounding is not to decide that.
NEAR = 1e-7


def _cells(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...], size: int, geometry: Geometry
) -> NDArray[np.intp]:
    """Number of the backbone's pixel in which the centre of each of some of the image's pixels lies."""
    (top, down), (left, across) = centres((shape[0], shape[1]), size, geometry)
    lines = np.floor((rows - top) / down + 0.5 + NEAR).astype(np.intp)
    places = np.floor((columns - left) / across + 0.5 + NEAR).astype(np.intp)
    cells: NDArray[np.intp] = lines * size + places
    return cells
