"""Cleaning a predicted mask of what anatomy rules out: specks, and holes.

A pixel's classifier knows no shapes. Who knows that there are two lungs without holes can say so, and this is done to the class
indices after the vote. First, components of each foreground class (pixels that touch by an edge or a corner: 8 neighbours) that
are not among its `largest`, or smaller than `min_area`, become background, the first class. Then holes are filled: parts of the
background (pixels that touch by an edge: 4 neighbours) that do not reach the image's rim and border on one class only become
that class. A part between two classes is no hole, and a class inside another stays. Doing it twice changes nothing more.

Of a volume the same is done in three dimensions at once: voxels of a component touch by a face, an edge or a corner (26
neighbours), those of a hole by a face (6), the rim is the six outer faces, and `min_area` counts voxels. What is a hole in one
slice and open to the next slice's background is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError


@dataclass(frozen=True)
class Cleaning:
    """What is to be done to a mask.

    Parameters
    ----------
    largest : int or None
        Components kept of each foreground class; of equals, those that come first. None keeps all.
    fill_holes : bool
        Whether holes go to the class around them.
    min_area : float
        Pixels (or voxels) of the smallest component that is kept.

    Raises
    ------
    TedmError
        If nothing would be kept, or an area is negative.

    Examples
    --------
    >>> Cleaning(largest=1)(np.array([[1, 1, 0, 1]], np.uint8))
    array([[1, 1, 0, 0]], dtype=uint8)
    """

    largest: int | None = None
    fill_holes: bool = False
    min_area: float = 0

    def __post_init__(self) -> None:
        if self.largest is not None and self.largest < 1:
            raise TedmError(f"--largest is {self.largest}; keep at least one component, or leave it out to keep all")
        if self.min_area < 0:
            raise TedmError(f"--min-area is {self.min_area:g} pixels; it cannot be less than nothing")

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return self.largest is not None or self.fill_holes or self.min_area > 0

    def __str__(self) -> str:
        """Return its name in tables, `largest=2+fill-holes+min-area=20` say."""
        parts = [f"largest={self.largest}"] * (self.largest is not None) + ["fill-holes"] * self.fill_holes
        return "+".join(parts + [f"min-area={self.min_area:g}"] * (self.min_area > 0))

    def enlarged(self, pixels: float) -> Cleaning:
        """Return the same for a mask in which so many pixels stand for one of this one's: areas grow with it."""
        return Cleaning(self.largest, self.fill_holes, self.min_area * pixels)

    def __call__(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a cleaned copy of class indices of shape (y, x), or (z, y, x) of a volume.

        Raises
        ------
        TedmError
            If the mask is of another number of dimensions.
        """
        if mask.ndim not in (2, 3):
            raise TedmError(f"a mask to be cleaned must be of shape (y, x) or (z, y, x), got {mask.shape}")
        cleaned = np.array(mask)
        if self.largest is not None or self.min_area > 0:
            from scipy import ndimage  # a quarter of a second to import, for those who clean

            by_corner = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
            for index in np.unique(mask[mask != 0]):
                parts, count = ndimage.label(mask == index, by_corner)
                areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
                kept = np.zeros(count + 1, bool)
                kept[1 + np.argsort(-areas, kind="stable")[: self.largest]] = True
                kept[1:] &= areas >= self.min_area
                cleaned[(parts > 0) & ~kept[parts]] = 0
        if self.fill_holes:
            _fill_holes(cleaned)
        return cleaned


def _fill_holes(mask: NDArray[np.uint8]) -> None:
    """Give each hole, in place, the class around it."""
    from scipy import ndimage

    parts, count = ndimage.label(mask == 0, ndimage.generate_binary_structure(mask.ndim, 1))
    around = np.full((count + 1, 2), -1)  # lowest and highest class beside each part
    around[:, 0] = np.iinfo(np.int64).max
    padded = np.pad(parts, 1)
    classes = np.pad(mask.astype(np.int64), 1)  # beyond the rim is background: a part that reaches it meets class 0 there
    for axis in range(mask.ndim):
        for shift in (1, -1):
            beside = np.roll(classes, shift, axis)
            other = np.roll(padded, shift, axis)
            meets = (padded > 0) & (other != padded)
            np.minimum.at(around[:, 0], padded[meets], beside[meets])
            np.maximum.at(around[:, 1], padded[meets], beside[meets])
    fills = np.where((around[:, 0] == around[:, 1]) & (around[:, 0] > 0), around[:, 0], 0)
    hole = fills[parts] > 0
    mask[hole] = fills[parts[hole]]
