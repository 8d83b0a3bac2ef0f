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
from tedm.extract.reading import naming
from tedm.extract.volumes.header import VolumeHeader
from tedm.extract.volumes.read import read_header, read_labels, read_voxels, shape_problem
from tedm.store.sources import Stamp
from tedm.store.volumes.normalisation import Normalisation
from tedm.store.volumes.volume import Slice, Volume

from .scaling import black_and_white, brain_voxels

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
        Black and white in the files' numbers, without a normalisation; None is the file type's range.
    normalisation : Normalisation or None
        Where black and white are taken from the voxels.

    Raises
    ------
    TedmError
        If a file can no longer be read, changed its shape, or has no range.
    """
    files = (*entry.files, *([entry.brain] if entry.brain else []))
    key = (files, Stamp.of(*files), intensity_range, normalisation)
    return _OPEN.get(key, lambda: _opened(entry, intensity_range, normalisation))


def label_slice(entry: ManifestEntry) -> NDArray[np.int32]:
    """Return the mask of a slice as its file has it: class values of shape (height, width), not cropped."""
    volume, mask = entry.volume, entry.mask
    if volume is None or mask is None:
        raise ValueError(f"{entry.name} is no slice with a mask")
    labels = _LABELS.get((mask, Stamp.of(mask)), lambda: _labels(mask, volume))
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
    volume = _volume_of(entry)
    several = len(entry.files) == 1
    voxels: list[NDArray[Any]] = []
    headers: list[VolumeHeader] = []
    for path in entry.files:
        header = read_header(path, channels=several)
        require_volume(path, header, volume)
        with naming(path, "a volume"):
            values = read_voxels(path, header)
        voxels += [values[..., channel] for channel in range(header.channels)]
        headers += [header] * header.channels
    mask = _labels(entry.brain, volume) > 0 if entry.brain is not None else None
    if normalisation is None:
        ranges = [
            range_of(path, header, intensity_range)
            for path, header in zip(_each(entry.files, len(voxels)), headers, strict=True)
        ]
        return OpenVolume(tuple(voxels), tuple(ranges), None)
    try:
        brain = brain_voxels(voxels, mask, normalisation.brain)
    except ValueError as error:
        raise TedmError(f"{entry.image}: {error}; name one in the column brainmask, or say --brain nonzero") from None
    scales = tuple(
        black_and_white(one, brain, normalisation, channel, path)
        for channel, (one, path) in enumerate(zip(voxels, _each(entry.files, len(voxels)), strict=True))
    )
    return OpenVolume(tuple(voxels), scales, brain)


def range_of(path: Path, header: VolumeHeader, intensity_range: tuple[float, float] | None) -> tuple[float, float]:
    """Return black and white of a file's numbers without a normalisation; a `TedmError` if nobody knows them."""
    if intensity_range is not None:
        return intensity_range
    if header.white is None:
        raise TedmError(
            f"{path}: volumes of kind {header.mode} have no range of their own; give --normalise quantile, or --intensity-range"
        )
    return 0.0, header.white


def require_volume(path: Path, header: VolumeHeader, volume: Volume) -> None:
    """Refuse a file of another shape or affine than the volume that it belongs to, with both."""
    known = VolumeHeader(
        volume.kind, volume.shape, 1, volume.affine, volume.qform_code, volume.sform_code, header.mode, header.bits, None, ()
    )
    if problem := shape_problem(header, str(path), known, f"the volume {volume.name}"):
        raise TedmError(problem)


def _labels(path: Path, volume: Volume) -> NDArray[np.int32]:
    header = read_header(path)
    require_volume(path, header, volume)
    with naming(path, "a volume"):
        return read_labels(path, header)


def _volume_of(entry: ManifestEntry) -> Volume:
    if entry.volume is None:
        raise ValueError(f"{entry.name} is no slice of a volume")
    return entry.volume


def _each(files: tuple[Path, ...], count: int) -> tuple[Path, ...]:
    """Return the file of each channel: its own, or the one that holds all."""
    return files if len(files) == count else files * count


class _Recent(Generic[T]):
    """The last few things that were made, by key; whoever asks for one that is being made waits for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                while len(self._made) >= self._most:
                    self._made.popitem(last=False)  # before the next is made: its memory is needed
                self._made[key] = make()
            self._made.move_to_end(key)
            return self._made[key]


_OPEN: _Recent[OpenVolume] = _Recent(KEPT)
_LABELS: _Recent[NDArray[np.int32]] = _Recent(KEPT)
