"""Volumes and slices in the arrays of a store: a row for each image, an entry for each volume.

A store without volumes has neither array. Volumes are written before the slices that point to them, and these before the names
of images; entries that no image points to were left by a process that was killed, and are written over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store.volumes.volume import NO_SLICE, Slice, Volume

VOLUMES, SLICES = "volume", "slice"
MOST_SIDE = 2**16  # of the part of a slice that an image shows


class Columns(Protocol):
    """What is needed of the arrays of a store; see `tedm.store.arrays.Arrays`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays that are there."""

    def length(self, array: str) -> int:
        """Return for how many entries an array has room."""

    def enlarge(self, array: str, images: int) -> None:
        """Make room for so many entries in all."""

    def put_column(self, column: str, start: int, values: Sequence[object]) -> None:
        """Write entries from `start` on."""

    def read_column(self, column: str, count: int | None = None) -> NDArray[Any]:
        """Read the first entries."""


def read_volumes(columns: Columns, count: int) -> tuple[tuple[Volume, ...], tuple[Slice, ...]]:
    """Read the volumes, and where each of `count` images is in one; both are empty if there is no volume.

    Raises
    ------
    ValueError
        If an entry cannot be so.
    TedmError
        If a file of one of the columns is gone or unreadable.
    """
    if not {VOLUMES, SLICES} <= set(columns.names) or not count:
        return (), ()
    known = min(count, columns.length(SLICES))
    slices = [Slice(*row) for row in columns.read_column(SLICES, known).tolist()] + [NO_SLICE] * (count - known)
    last = max(each.volume for each in slices)
    if last >= columns.length(VOLUMES):
        raise ValueError(f"a slice is of volume {last}, and there are {columns.length(VOLUMES)}")
    volumes = tuple(Volume.from_json(json.loads(str(text))) for text in columns.read_column(VOLUMES, last + 1))
    if len({volume.name for volume in volumes}) < len(volumes):
        raise ValueError("two volumes have one name")
    for each in slices:
        if problem := _problem_of_slice(each, volumes):
            raise ValueError(problem)
    return (volumes, tuple(slices)) if volumes else ((), ())


def put_volumes(columns: Columns, volumes: Sequence[Volume], there: int, new: Sequence[tuple[Volume | None, Slice]]) -> None:
    """Write where new images are in volumes, behind those that are there.

    Parameters
    ----------
    columns : Columns
    volumes : sequence of Volume
        Those that are there.
    there : int
        Images that are there.
    new : sequence of (Volume or None, Slice)
        For each new image its volume, and where it is in it; the position of the volume is filled in.

    Raises
    ------
    TedmError
        If there is another volume of the same name.
    """
    all_volumes = numbered(volumes, [volume for volume, _ in new])
    places = {volume.name: at for at, volume in enumerate(all_volumes)}
    rows = [as_row(replace(at, volume=places[volume.name]) if volume else NO_SLICE) for volume, at in new]
    if columns.length(VOLUMES) < len(all_volumes):
        columns.enlarge(VOLUMES, len(all_volumes))
    columns.put_column(VOLUMES, len(volumes), [json.dumps(volume.to_json()) for volume in all_volumes[len(volumes) :]])
    before = min(there, columns.length(SLICES))
    columns.enlarge(SLICES, there + len(new))
    columns.put_column(SLICES, before, [as_row(NO_SLICE)] * (there - before) + rows)


def numbered(known: Sequence[Volume], more: Sequence[Volume | None]) -> tuple[Volume, ...]:
    """Return volumes with further ones behind them, each once.

    Raises
    ------
    TedmError
        If two that differ have one name.
    """
    by_name = {volume.name: volume for volume in known}
    for volume in more:
        if volume is not None and by_name.setdefault(volume.name, volume) != volume:
            raise TedmError(
                f"two volumes have the name {volume.name}, and other shapes or affines ({by_name[volume.name].shape} and "
                f"{volume.shape}); give one of them another name (a column `name`)"
            )
    return tuple(by_name.values())


def as_row(at: Slice) -> list[int]:
    """Return a slice as it stands in the column."""
    return [at.volume, at.index, at.top, at.left, at.height, at.width]


def _problem_of_slice(at: Slice, volumes: Sequence[Volume]) -> str | None:
    if at.volume < 0:
        return None if at == NO_SLICE else "a slice of no volume has a place"
    volume = volumes[at.volume]
    if not 0 <= at.index < volume.shape[volume.axes[0]]:
        return f"a slice of {volume.name} has the index {at.index} of {volume.shape[volume.axes[0]]}"
    box = (at.top, at.left, at.height, at.width)
    if min(box[2:]) < 0 or max(map(abs, box)) > MOST_SIDE or (any(box) and not min(box[2:])):
        return f"a slice of {volume.name} shows {at.height} x {at.width} voxels"
    return None
