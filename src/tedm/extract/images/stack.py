"""Many images at once as the backbone's squares: what pre-training learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.store.settings import Geometry
from tedm.store.volumes.normalisation import Normalisation

from .entry import ManifestEntry
from .square import read_square


def read_squares(
    entries: Sequence[ManifestEntry],
    size: int,
    *,
    channels: int = 1,
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
    normalisation: Normalisation | None = None,
) -> NDArray[np.float32]:
    """Read images into one array.

    Parameters
    ----------
    entries : sequence of ManifestEntry
        Images.
    size : int
        Side of the squares, in pixels.
    channels : int
        1 for grey, 3 for RGB, the number of modalities.
    geometry : {"pad", "stretch"}
        How an image becomes a square.
    intensity_range : tuple of two floats or None
        Black and white in the files; None is the file type's range.
    normalisation : Normalisation or None
        Of volumes.

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
    squares = np.empty((len(entries), channels, size, size), np.float32)
    problems = []
    for number, entry in enumerate(entries):
        try:
            square = read_square(
                entry,
                size,
                channels=channels,
                geometry=geometry,
                intensity_range=intensity_range,
                normalisation=normalisation,
            )
            squares[number] = square.transpose(2, 0, 1)
        except TedmError as error:
            problems.append(str(error))
    raise_listed(f"{len(problems)} of {len(entries)} images could not be read", problems)
    return squares
