"""Rows that are equal, counted instead of repeated.

A level alone, upsampled with nearest neighbours, gives all pixels of a cell the same features. A cell is then a row for each
class that its pixels show, with their number as its weight: at stride 4 a sixteenth of the rows, and the same sums to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.design import ArrayDesign, Design, timesteps_together
from tedm.store import IGNORE, Block


@dataclass(frozen=True)
class Part:
    """Some rows of an image.

    Parameters
    ----------
    design : Design
    labels : array of shape (rows,)
        Class indices; `IGNORE` where a row does not count.
    counts : array of shape (rows,) or None
        How often each row is there; None is once.
    """

    design: Design
    labels: NDArray[np.uint8]
    counts: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Tally:
    """The labelled pixels of an image by cell and class.

    Parameters
    ----------
    cells : array of shape (rows,)
        Positions in the flattened level.
    labels : array of shape (rows,)
        Class indices, none of them `IGNORE`.
    counts : array of shape (rows,)
        Pixels.
    """

    cells: NDArray[np.intp]
    labels: NDArray[np.uint8]
    counts: NDArray[np.int64]

    @classmethod
    def from_mask(cls, mask: NDArray[np.uint8], side: int) -> Tally:
        """Count the pixels of a mask of shape (size, size) in the cells of a level.

        Examples
        --------
        >>> tally = Tally.from_mask(np.array([[0, 0], [0, 1]], np.uint8), 1)
        >>> tally.labels.tolist(), tally.counts.tolist()
        ([0, 1], [3, 1])
        """
        size = len(mask)
        along = np.arange(size) * side // size
        cell = (along[:, None] * side + along).ravel()
        known = mask.ravel() != IGNORE
        pairs, counts = np.unique(cell[known] * 256 + mask.ravel()[known], return_counts=True)
        return cls(pairs // 256, (pairs % 256).astype(np.uint8), counts.astype(np.int64))

    def parts(self, block: Block, dtype: str) -> Iterator[Part]:
        """Yield the rows of a block of one level, some timesteps and draws at a time."""
        (level,) = block.cells
        flat = level.reshape(-1, level.shape[2] * level.shape[3], level.shape[4])
        together = timesteps_together(max(1, len(self.cells)) * flat.shape[2] * 8)
        labels, counts = self.labels, self.counts
        for start in range(0, len(flat), together):
            some = flat[start : start + together, self.cells]
            if len(labels) != len(some) * len(self.labels):
                labels, counts = np.tile(self.labels, len(some)), np.tile(self.counts, len(some))
            yield Part(ArrayDesign(some.reshape(-1, flat.shape[2]).astype(dtype)), labels, counts)
