"""One image as the backbone's square, in little memory, with its file's name in whatever goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import TOO_LARGE
from tedm.store.settings import Geometry
from tedm.store.volumes.normalisation import Normalisation

from .entry import ManifestEntry
from .geometry import Rows, to_square_image
from .read import read_rows
from .slices.opened import open_volume


def read_square(
    entry: ManifestEntry,
    size: int,
    *,
    channels: int,
    geometry: Geometry,
    intensity_range: tuple[float, float] | None,
    normalisation: Normalisation | None = None,
) -> NDArray[np.float32]:
    """Read an image and bring it to the backbone's square.

    Parameters
    ----------
    entry : ManifestEntry
        An image.
    size : int
        Side of the square, in pixels.
    channels, intensity_range, normalisation
        See `rows_of`.
    geometry : {"pad", "stretch"}
        See `tedm.extract.images.geometry.to_square_image`.

    Returns
    -------
    array of shape (size, size, channels)
        Intensities in [0, 1].

    Raises
    ------
    TedmError
        If a file cannot be read, or is too large for this machine's memory.
    """
    with naming(*entry.files):
        rows = rows_of(entry, channels=channels, intensity_range=intensity_range, normalisation=normalisation)
        return to_square_image(rows, size, geometry)


def rows_of(
    entry: ManifestEntry,
    *,
    channels: int,
    intensity_range: tuple[float, float] | None,
    normalisation: Normalisation | None = None,
) -> Rows:
    """Return an image whose rows are read when they are asked for, in [0, 1].

    Parameters
    ----------
    entry : ManifestEntry
        A picture or a slice of a volume, whose channels may be files of their own.
    channels : int
        Of the backbone. One grey file is repeated for three channels; otherwise there is a file, or a volume of a file, for
        each channel.
    intensity_range : tuple of two floats or None
        See `tedm.extract.images.read.read_image`; for volumes without a normalisation, too.
    normalisation : Normalisation or None
        Of volumes; see `tedm.extract.images.slices.opened.open_volume`.

    Raises
    ------
    TedmError
        If a file cannot be read, or there are more or fewer channels.
    """
    if entry.volume is not None:
        opened = open_volume(entry, intensity_range=intensity_range, normalisation=normalisation)
        plane = opened.slice(entry.volume, entry.slice)
        if plane.shape[2] == 1 and channels == 3:
            plane = np.repeat(plane, 3, axis=2)
        _require_channels(entry, plane.shape[2], channels)
        return plane
    if not entry.more:
        return read_rows(entry.image, channels=channels, intensity_range=intensity_range)
    _require_channels(entry, len(entry.files), channels)
    return _Together([read_rows(path, channels=1, intensity_range=intensity_range) for path in entry.files])


@contextlib.contextmanager
def naming(path: Path, *others: Path) -> Iterator[None]:
    """Put a file's name before a refusal that names neither it nor another of the image's, and make one of a lack of memory."""
    try:
        yield
    except TedmError as error:
        if any(str(each) in str(error) for each in (path, *others)):
            raise
        raise TedmError(f"{path}: {error}") from error
    except MemoryError as error:
        raise TedmError(f"{path}: {TOO_LARGE}") from error


class _Together:
    """Pictures of one channel as one image of several."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return (*self._parts[0].shape[:2], len(self._parts))

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        return np.concatenate([part[rows] for part in self._parts], axis=2)


def _require_channels(entry: ManifestEntry, there: int, channels: int) -> None:
    if there != channels:
        files = ", ".join(str(path) for path in entry.files)
        raise TedmError(
            f"{files}: {there} channel{'s' * (there != 1)}, and the backbone takes {channels}; name "
            + ("as many with --channels" if there > channels else "a column for each with --channels")
            + ", or use a backbone of as many channels as there are"
        )
