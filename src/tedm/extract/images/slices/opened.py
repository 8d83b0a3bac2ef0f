"""A volume that is decoded once and gives its slices as intensities.

The volumes that were asked for last stay decoded: slices are asked for one after the other, and a few threads may be in two
volumes at a time. Memory does not grow with the number of slices or of patients.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images.entry import ManifestEntry
from tedm.extract.images.read import black_and_white as picture_range
from tedm.extract.images.read import intensity_problem
from tedm.extract.images.reader import Header
from tedm.extract.volumes.header import VolumeHeader
from tedm.store.sources import Stamp
from tedm.store.volumes.normalisation import Normalisation
from tedm.store.volumes.volume import Slice, Volume

from .decoded import brain_of, labels_in, modalities_of, volume_of
from .scaling import black_and_white

KEPT = 2  # volumes that stay decoded

T = TypeVar("T")


@dataclass(frozen=True)
class OpenVolume:
    """The decoded modalities of a volume.

    Parameters
    ----------
    voxels : tuple of arrays of shape (x, y, z)
        The files' numbers in the files' axes, one for each modality.
    scales : tuple of (float, float)
        Black and white of each.
    brain : array of shape (x, y, z), or None
        Outside of it everything is black; None is everywhere inside.
    """

    voxels: tuple[NDArray[Any], ...]
    scales: tuple[tuple[float, float], ...]
    brain: NDArray[np.bool_] | None

    def slice(self, volume: Volume, at: Slice) -> NDArray[np.float32]:
        """Return a slice as intensities in [0, 1], of shape (height, width, modalities); black beyond the slice's border."""
        planes = []
        inside = None if self.brain is None else volume.slice_of(self.brain, at.index)
        for voxels, (black, white) in zip(self.voxels, self.scales, strict=True):
            numbers = volume.slice_of(voxels, at.index).astype(np.float64)
            plane = ((numbers - black) / (white - black)).clip(0.0, 1.0)
            if voxels.dtype.kind == "f":
                plane[~np.isfinite(numbers)] = 0.0
            if inside is not None:
                plane[~inside] = 0.0
            planes.append(plane.astype(np.float32))
        return cropped(np.stack(planes, axis=-1), at, np.float32(0.0))


def open_volume(
    entry: ManifestEntry, *, intensity_range: tuple[float, float] | None, normalisation: Normalisation | None
) -> OpenVolume:
    """Return the volume of which an image is a slice, decoded at most once while its slices are asked for.

    Parameters
    ----------
    entry : ManifestEntry
        A slice of a volume.
    intensity_range : tuple of two floats or None
        Black and white in the files' numbers, without a normalisation; None is the file type's range, which files of 8 bits
        always have.
    normalisation : Normalisation or None
        Where black and white are taken from the voxels.

    Raises
    ------
    TedmError
        If a file can no longer be read, changed its shape, or has no range.
    """
    files = (*entry.files, *([entry.brain] if entry.brain else []))
    volume = volume_of(entry)
    key = (files, Stamp.of(*files), volume.shape, volume.affine, intensity_range, normalisation)
    return _OPEN.get(key, lambda: _opened(entry, intensity_range, normalisation))


def label_slice(entry: ManifestEntry) -> NDArray[np.int32]:
    """Return the mask of a slice as its file has it: class values of shape (height, width), not cropped."""
    volume, mask = entry.volume, entry.mask
    if volume is None or mask is None:
        raise ValueError(f"{entry.name} is no slice with a mask")
    labels = _LABELS.get((mask, Stamp.of(mask), volume.shape, volume.affine), lambda: labels_in(mask, volume))
    return volume.slice_of(labels, entry.slice.index)


def cropped(plane: NDArray[Any], at: Slice, beyond: Any) -> NDArray[Any]:
    """Return the part of a slice that an image shows: shape (height, width, ...); `beyond` is what lies outside the slice.

    Examples
    --------
    >>> cropped(np.array([[1, 2], [3, 4]]), Slice(0, 0, -1, 1, 2, 2), 0)
    array([[0, 0],
           [2, 0]])
    """
    if not at.height:
        return plane
    part = np.full((at.height, at.width, *plane.shape[2:]), beyond, plane.dtype)
    rows, columns = _overlap(at.top, at.height, plane.shape[0]), _overlap(at.left, at.width, plane.shape[1])
    part[rows[0], columns[0]] = plane[rows[1], columns[1]]
    return part


def uncropped(part: NDArray[Any], at: Slice, size: tuple[int, int], beyond: Any) -> NDArray[Any]:
    """Return the inverse of `cropped`: a slice of this size; `beyond` is what the image does not show."""
    if not at.height:
        return part
    plane = np.full((*size, *part.shape[2:]), beyond, part.dtype)
    rows, columns = _overlap(at.top, at.height, size[0]), _overlap(at.left, at.width, size[1])
    plane[rows[1], columns[1]] = part[rows[0], columns[0]]
    return plane


def _overlap(start: int, length: int, size: int) -> tuple[slice, slice]:
    """Return where a part of an axis lies in the part and on the axis."""
    first = min(max(0, start), size)
    last = max(first, min(size, start + length))
    return slice(first - start, last - start), slice(first, last)


def _opened(
    entry: ManifestEntry, intensity_range: tuple[float, float] | None, normalisation: Normalisation | None
) -> OpenVolume:
    modalities = modalities_of(entry)
    voxels = tuple(each.voxels for each in modalities)
    if normalisation is None:
        return OpenVolume(voxels, tuple(range_of(each.path, each.header, intensity_range) for each in modalities), None)
    brain = brain_of(entry, modalities, normalisation.brain)
    scales = tuple(
        black_and_white(each.voxels, brain, normalisation, channel, each.path) for channel, each in enumerate(modalities)
    )
    return OpenVolume(voxels, scales, brain)


def range_of(path: Path, header: VolumeHeader, intensity_range: tuple[float, float] | None) -> tuple[float, float]:
    """Return black and white of a file's numbers without a normalisation; a `TedmError` if nobody knows them."""
    plain = plain_header(header)
    if problem := intensity_problem(plain, intensity_range):
        raise TedmError(f"{path}: {problem}" + ", or --normalise quantile" * (intensity_range is None))
    return picture_range(plain, intensity_range)


def plain_header(header: VolumeHeader) -> Header:
    """Return what a volume's file says of its numbers as pictures' files say it."""
    return Header(0, 0, header.mode, header.bits, header.white)


class _Recent(Generic[T]):
    """The last few things that were made, by key; whoever asks for one that is being made waits for it.

    What cannot be made is not tried again: each slice of a damaged volume would decode it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, T | TedmError] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                while len(self._made) >= self._most:
                    self._made.popitem(last=False)  # before the next is made: its memory is needed
                try:
                    self._made[key] = make()
                except TedmError as error:
                    self._made[key] = error
            self._made.move_to_end(key)
            made = self._made[key]
        if isinstance(made, TedmError):
            raise TedmError(str(made)) from made
        return made


_OPEN: _Recent[OpenVolume] = _Recent(KEPT)
_LABELS: _Recent[NDArray[np.int32]] = _Recent(KEPT)
