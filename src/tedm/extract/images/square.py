"""One file as the backbone's square, in little memory, with its name in whatever goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import TOO_LARGE
from tedm.store.settings import Geometry

from .geometry import to_square_image
from .read import read_rows


def read_square(
    path: Path, size: int, *, channels: int, geometry: Geometry, intensity_range: tuple[float, float] | None
) -> NDArray[np.float32]:
    """Read an image and bring it to the backbone's square.

    Parameters
    ----------
    path : Path
        An image file.
    size : int
        Side of the square, in pixels.
    channels, intensity_range
        See `tedm.extract.images.read.read_image`.
    geometry : {"pad", "stretch"}
        See `tedm.extract.images.geometry.to_square_image`.

    Returns
    -------
    array of shape (size, size, channels)
        Intensities in [0, 1].

    Raises
    ------
    TedmError
        If the file cannot be read, or is too large for this machine's memory.
    """
    with naming(path):
        return to_square_image(read_rows(path, channels=channels, intensity_range=intensity_range), size, geometry)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's name before a refusal that does not name it, and make one of a lack of memory."""
    try:
        yield
    except TedmError as error:
        if str(path) in str(error):
            raise
        raise TedmError(f"{path}: {error}") from error
    except MemoryError as error:
        raise TedmError(f"{path}: {TOO_LARGE}") from error
