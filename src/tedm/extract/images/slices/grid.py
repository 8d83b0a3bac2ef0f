"""The squares of neighbouring slices as a volume of their own, at feature resolution and where the original lies.

What the squares show beside the slice is cut off: padding, and the part of a crop that reaches beyond the slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tedm.errors import TedmError
from tedm.extract.images.geometry import centres, to_square_mask
from tedm.extract.volumes.space import matrix_of
from tedm.store import IGNORE, Slice, Volume
from tedm.store.settings import Geometry

from .opened import cropped


@dataclass(frozen=True)
class Grid:
    """Which pixels of squares are voxels of an image's own, and where these lie.

    Parameters
    ----------
    rows, columns : slice
        Of the square: those whose centres lie in the image.
    volume : Volume or None
        A volume of these voxels, its axes along those of the original; None for a picture.
    """

    rows: slice
    columns: slice
    volume: Volume | None = None


def grid_of(
    original_size: tuple[int, int],
    size: int,
    geometry: Geometry,
    *,
    volume: Volume | None = None,
    slices: Sequence[Slice] = (),
) -> Grid:
    """Return which pixels of a square show an image, or neighbouring slices of a volume, and where those of slices lie.

    Parameters
    ----------
    original_size : (height, width)
        Of a picture; of slices that of the whole slice.
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}
        How the image had become a square.
    volume : Volume or None
        The volume of `slices`.
    slices : sequence of Slice
        Of one volume and one crop, each next to another; in any order.

    Raises
    ------
    TedmError
        If a crop shows nothing of its slice.

    Examples
    --------
    >>> grid_of((2, 4), 4, "pad").rows
    slice(1, 3, None)
    """
    at = slices[0] if slices else Slice(-1, 0)
    shown = cropped(np.zeros(original_size, np.uint8), at, np.uint8(IGNORE))
    inside = to_square_mask(shown, size, geometry) != IGNORE
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        what = f"slice {at.index} of {volume.name}" if volume else "an image"
        raise TedmError(f"{what}: at {size} x {size} pixels nothing of it is left; extract with another crop or size")
    grid = Grid(slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    if volume is None:
        return grid
    indices = sorted(each.index for each in slices)
    if indices != list(range(indices[0], indices[-1] + 1)) or len({replace(each, index=0) for each in slices}) > 1:
        raise ValueError(f"slices {indices} of {volume.name} are not neighbours of one crop")
    counts = (len(indices), len(rows), len(columns))
    places = [(float(indices[0]), 1.0)]
    for axis, (first, step), before, cells in zip(
        (1, 2), centres(shown.shape, size, geometry), (at.top, at.left), (rows, columns), strict=True
    ):
        start = before + first + step * cells[0]  # of the first voxel, as slices are shown
        if volume.flips[axis]:
            start = volume.shape[volume.axes[axis]] - 1 - (start + step * (len(cells) - 1))
        places.append((float(start), step))
    shape, into = [0, 0, 0], np.eye(4)
    for axis, count, (start, step) in zip(volume.axes, counts, places, strict=True):
        shape[axis] = count
        into[axis, axis], into[axis, 3] = step, start
    lies = matrix_of(volume.matrix @ into)
    return replace(grid, volume=replace(volume, shape=(shape[0], shape[1], shape[2]), affine=lies))
