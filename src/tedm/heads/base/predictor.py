"""Predicting a block by a classifier that needs rows: these exist some pixels at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.rows import RowLayout, rows_at
from tedm.store import Block

# Bytes of the rows that are asked about at once, as float32. Predicting takes a few times that.
PART_BYTES = 2**25
PREDICTING_BYTES = 4 * PART_BYTES


def opinions_in_parts(
    block: Block,
    rows: RowLayout,
    classes: int,
    probabilities: Callable[[NDArray[np.float32]], NDArray[np.floating]],
) -> NDArray[np.floating]:
    """Return a block's opinions by a classifier that needs rows.

    Parameters
    ----------
    block : Block
    rows : {"share", "concatenate"}
    classes : int
    probabilities : callable
        From rows of shape (rows, features) to an array of shape (rows, classes).

    Returns
    -------
    array of shape (1, rows, classes)
        In the order of `tedm.heads.data.rows.dense_rows`.
    """
    timesteps, pixels = len(block.timesteps), block.size**2
    voters = block.draws * (timesteps if rows == "share" else 1)
    pixel_bytes = 4 * block.draws * timesteps * sum(level.shape[-1] for level in block.cells)
    at_once = max(1, PART_BYTES // pixel_bytes)
    opinions: NDArray[np.floating] | None = None
    for start in range(0, pixels, at_once):
        some = np.arange(start, min(start + at_once, pixels))
        part = probabilities(rows_at(block, some, rows))
        if opinions is None:
            opinions = np.empty((voters, pixels, classes), part.dtype)
        # A pixel's rows come as neighbours; in a block's order they are whole images apart.
        opinions[:, some] = part.reshape(len(some), voters, classes).swapaxes(0, 1)
    assert opinions is not None  # an image has pixels
    return opinions.reshape(1, voters * pixels, classes)
