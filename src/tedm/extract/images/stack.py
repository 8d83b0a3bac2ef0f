"""Many images at once as the backbone's squares: what pre-training learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.store.settings import Geometry

from .square import read_square


def read_squares(
    paths: Sequence[Path],
    size: int,
    *,
    channels: int = 1,
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Read images into one array.

    Parameters
    ----------
    paths : sequence of Path
        Image files.
    size : int
        Side of the squares, in pixels.
    channels : int
        1 for grey, 3 for RGB.
    geometry : {"pad", "stretch"}
        How an image becomes a square.
    intensity_range : tuple of two floats or None
        Black and white in the files; None is the file type's range.

    Returns
    -------
    array of shape (images, channels, size, size), in [0, 1]

    Raises
    ------
    TedmError
        If some cannot be decoded: all of them are listed.
    """
    if size < 1:
        raise TedmError(f"--image-size is {size}; it must be at least 1")
    squares = np.empty((len(paths), channels, size, size), np.float32)
    problems = []
    for number, path in enumerate(paths):
        try:
            square = read_square(path, size, channels=channels, geometry=geometry, intensity_range=intensity_range)
            squares[number] = square.transpose(2, 0, 1)
        except TedmError as error:
            problems.append(str(error))
    raise_listed(f"{len(problems)} of {len(paths)} images could not be read", problems)
    return squares
