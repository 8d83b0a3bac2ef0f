"""The numbers of a volume's modalities and its brain, decoded: what black and white are taken from, and what slices show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images.entry import ManifestEntry
from tedm.extract.reading import naming
from tedm.extract.volumes.header import VolumeHeader
from tedm.extract.volumes.read import read_header, read_labels, read_voxels, shape_problem
from tedm.store.volumes.normalisation import Brain
from tedm.store.volumes.volume import Volume

from .scaling import brain_voxels

NO_BRAIN_MASK = "it has no brain mask; name one in the column brainmask, or say --brain nonzero"


@dataclass(frozen=True)
class Modality:
    """One channel of a volume.

    Parameters
    ----------
    path : Path
        Its file, which may hold others too.
    header : VolumeHeader
        What the file says of itself.
    voxels : array of shape (x, y, z)
        The file's numbers in the file's axes.
    """

    path: Path
    header: VolumeHeader
    voxels: NDArray[Any]


def decode(files: Sequence[Path], headers: Sequence[VolumeHeader]) -> Iterator[Modality]:
    """Yield the channels of some files, of which each has a header; one file is decoded at a time."""
    for path, header in zip(files, headers, strict=True):
        with naming(path, "a volume"):
            values = read_voxels(path, header)
        for channel in range(header.channels):
            yield Modality(path, header, values[..., channel])


def modalities_of(entry: ManifestEntry) -> list[Modality]:
    """Return the decoded channels of the volume of which an image is a slice.

    Raises
    ------
    TedmError
        If a file cannot be read, or is no longer of the volume's shape and affine.
    """
    volume = volume_of(entry)
    headers = [read_header(path, channels=len(entry.files) == 1) for path in entry.files]
    for path, header in zip(entry.files, headers, strict=True):
        require_volume(path, header, volume)
    return list(decode(entry.files, headers))


def brain_of(entry: ManifestEntry, modalities: Sequence[Modality], brain: Brain) -> NDArray[np.bool_] | None:
    """Return which voxels of a volume are brain; None if all are. The brain mask is read where it is asked for, and else not.

    Raises
    ------
    TedmError
        If the mask is asked for and there is none, or it cannot be read.
    """
    mask = None
    if brain == "mask":
        if entry.brain is None:
            raise TedmError(f"{entry.image}: {NO_BRAIN_MASK}")
        mask = labels_in(entry.brain, volume_of(entry)) > 0
    return brain_voxels([each.voxels for each in modalities], mask, brain)


def labels_in(path: Path, volume: Volume) -> NDArray[np.int32]:
    """Read a mask, in the file's axes, that lies upon a volume; a `TedmError` if it does not, or cannot be read."""
    header = read_header(path)
    require_volume(path, header, volume)
    with naming(path, "a volume"):
        return read_labels(path, header)


def require_volume(path: Path, header: VolumeHeader, volume: Volume) -> None:
    """Refuse a file of another shape or affine than the volume that it belongs to, with both."""
    known = VolumeHeader(
        volume.kind, volume.shape, 1, volume.affine, volume.qform_code, volume.sform_code, header.mode, header.bits, None, ()
    )
    if problem := shape_problem(header, str(path), known, f"the volume {volume.name}"):
        raise TedmError(problem)


def volume_of(entry: ManifestEntry) -> Volume:
    """Return the volume of which an image is a slice; a `ValueError` if it is none."""
    if entry.volume is None:
        raise ValueError(f"{entry.name} is no slice of a volume")
    return entry.volume
