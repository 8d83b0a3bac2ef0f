"""What may be wrong with a file of a volume whatever its kind, and what follows from the type of its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import whole_numbers
from tedm.foreign import require_plain
from tedm.store.volumes.volume import MOST_VOXELS

from .header import VolumeHeader


def require_file(path: Path) -> int:
    """Return the size of a plain file in bytes; whatever else it is raises what `tedm.extract.reading.naming` understands."""
    if path.is_dir():
        raise IsADirectoryError
    return require_plain(path)


def require_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    """Refuse types that are no plain number: colours, complex and extended ones."""
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        what = "colours" if dtype.names else "complex numbers" if dtype.kind == "c" else f"numbers of type {dtype.name}"
        raise TedmError(f"{path}: a volume of {what}; save one plain number a voxel, integers or 32-bit floats")


def channels_of(path: Path, others: Sequence[int], *, wanted: bool) -> int:
    """Return the number of volumes in a file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    others : sequence of int
        Lengths of its axes beyond the three of space; those of length 1 say nothing.
    wanted : bool
        Whether several are taken, as channels.
    """
    if min(others, default=1) < 1:
        raise TedmError(f"{path}: says that it has {min(others)} volumes; the file is damaged")
    longer = [length for length in others if length != 1]
    if len(longer) > 1:
        lengths = " x ".join(map(str, longer))
        raise TedmError(f"{path}: {lengths} volumes in one file along {len(longer)} axes; save each as a file of its own")
    if longer and not wanted:
        raise TedmError(
            f"{path}: a 4D file of {longer[0]} volumes; save the one that is meant as a file of its own, "
            "or take all of them as channels with --channels-in-file"
        )
    return longer[0] if longer else 1


def require_shape(path: Path, shape: tuple[int, int, int], channels: int) -> None:
    """Refuse sizes that no volume has, before memory is taken for them."""
    written = " x ".join(map(str, (*shape, channels) if channels != 1 else shape))
    if min(*shape, channels) < 1:
        raise TedmError(f"{path}: says that it has {written} voxels; the file is damaged")
    if math.prod(shape) * channels > MOST_VOXELS:
        raise TedmError(f"{path}: {written} voxels; more than {MOST_VOXELS} are not read, cut it into parts")


def cut_off(path: Path, there: int, expected: int) -> TedmError:
    """Return the refusal of a file that has fewer bytes than its header says."""
    return TedmError(f"{path}: cut off, {there} bytes of {expected} are there; copy or download it again")


def white_of(dtype: np.dtype[Any]) -> float | None:
    """Return the largest number of an unsigned integer type; None for others."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else None


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in this machine's order of bytes."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def require_unchanged(path: Path, before: VolumeHeader, now: VolumeHeader) -> None:
    """Refuse a file that has become another one since its header was read."""
    if (before.shape, before.channels, before.mode) != (now.shape, now.channels, now.mode):
        raise TedmError(f"{path}: has changed since the work began; begin again, and leave the file as it is meanwhile")


def labels_of(path: Path, header: VolumeHeader, values: NDArray[Any]) -> NDArray[np.int32]:
    """Return a mask's labels, or refuse what are none; `values` has an axis of channels at its end, labels have not."""
    if header.channels != 1:
        raise TedmError(f"{path}: a mask of {header.channels} volumes; save one volume of class values")
    return whole_numbers(path, values[..., 0])
