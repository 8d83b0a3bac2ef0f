"""One row of a manifest opened and checked: a picture, or a volume that becomes as many images as it has slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.volumes.header import VolumeHeader
from tedm.store import Labels, Slice, Volume
from tedm.store.volumes.volume import NO_SLICE

from .entry import ManifestEntry
from .geometry import side_problem
from .listing.rows import Row
from .masks import MaskValues, as_meant, counted_values, look, look_at_volume, mask_problem
from .palettes import Palettes
from .read import read_header, read_labels
from .reader import Header
from .slices.checked import check_volume
from .slices.options import VolumeOptions


@dataclass(frozen=True, slots=True)
class Place:
    """An image of a row.

    Parameters
    ----------
    name : str
    size : (height, width)
    slice : Slice
        Where it is in the row's volume; of no volume for a picture.
    values : frozenset of int or None
        The values of its mask; None where that was not opened.
    """

    name: str
    size: tuple[int, int]
    slice: Slice = NO_SLICE
    values: frozenset[int] | None = None


@dataclass(frozen=True)
class CheckedRow:
    """What a row's files hold.

    Parameters
    ----------
    row : Row
    places : tuple of Place
        Its images; none if something is wrong with the image's files.
    header : Header or None
        Of a picture that was opened.
    headers : tuple of VolumeHeader
        Of a volume that was opened, one for each channel.
    volume : Volume or None
    mask : MaskValues
        Of the whole mask, without the ignored value.
    problems, remarks : tuple of str
    """

    row: Row
    places: tuple[Place, ...] = ()
    header: Header | None = None
    headers: tuple[VolumeHeader, ...] = ()
    volume: Volume | None = None
    mask: MaskValues = field(default_factory=MaskValues)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def entries(self, left_out: frozenset[int] | None) -> Iterator[tuple[ManifestEntry, Header | None]]:
        """Yield its images with their headers; those of the split `train` whose masks hold nothing but `left_out` are not."""
        row = self.row
        for place in self.places:
            if left_out is not None and row.split == "train" and place.values is not None and place.values <= left_out:
                continue
            entry = ManifestEntry(
                place.name,
                row.image,
                row.mask,
                row.split,
                row.group,
                row.domain,
                place.size,
                row.unsaid,
                row.more,
                row.brain,
                self.volume,
                place.slice,
            )
            yield entry, self.header


class Known:
    """Images that a store has, by the rows of a manifest: of a picture the size is known, of a volume the slices.

    Parameters
    ----------
    labels : Labels
        Volumes of which it has no slice are not known.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self._volumes = {volume.name: at for at, volume in enumerate(labels.volumes) if labels.positions_in(at)}

    def volume(self, row: Row) -> Volume | None:
        """Return the volume that a row's name is that of; None if there is none."""
        at = self._volumes.get(row.name)
        return None if at is None else self.labels.volumes[at]

    def size(self, row: Row) -> tuple[int, int] | None:
        """Return the size of the picture that a row's name is that of; None if there is none."""
        name, labels = row.name, self.labels
        return labels.original_sizes[labels.index(name)] if labels.has(name) and labels.slice_of(name) == NO_SLICE else None

    def slices(self, row: Row) -> list[Place]:
        """Return the slices of a row's volume."""
        at = self._volumes[row.name]
        size, labels = self.labels.volumes[at].slice_size, self.labels
        return [
            Place(labels.names[position], size, replace(labels.slices[position], volume=NO_SLICE.volume))
            for position in labels.positions_in(at)
        ]

    def names(self, row: Row) -> list[str]:
        """Return the images of a row; none if it is not known."""
        if self.volume(row) is not None:
            return [place.name for place in self.slices(row)]
        return [row.name] if self.size(row) is not None else []

    def has(self, row: Row) -> bool:
        """Whether a row's images are known, and of the row's kind."""
        return (self.volume(row) if row.is_volume else self.size(row)) is not None

    def as_it_is(self, row: Row) -> CheckedRow:
        """Return what is known of a row, without opening a file."""
        volume, size = self.volume(row), self.size(row)
        if volume is not None:
            return CheckedRow(row, tuple(self.slices(row)), volume=volume)
        return CheckedRow(row, (Place(row.name, size),) if size is not None else ())


@dataclass(frozen=True)
class Check:
    """How rows are checked; see `tedm.extract.images.manifest.read_manifest`.

    Parameters
    ----------
    classes, ignore, threshold, options
        See there.
    palettes : Palettes
        What colours the masks' numbers have.
    classes_in : str
        The table that says which values are classes, where it is one.
    known : Known or None
        Images of which only the masks are opened, wherever their own files are.
    """

    classes: tuple[int, ...] | None
    ignore: int | None
    threshold: int | None
    options: VolumeOptions
    palettes: Palettes
    classes_in: str = ""
    known: Known | None = None

    def opened(self, row: Row) -> CheckedRow:
        """Open a row's files; of one that is known only its mask."""
        volume = None if self.known is None else self.known.volume(row)
        if volume is not None or row.is_volume:
            return self._volume(row, volume)
        return self._picture(row)

    def _picture(self, row: Row) -> CheckedRow:
        problems: list[str] = []
        if self.options.crop is not None:
            problems.append(f"image {row.image}: a picture, and --crop {self.options.crop} is for volumes; leave it out")
        header: Header | None = None
        size = None if self.known is None else self.known.size(row)
        if size is None:
            for path in row.files:
                try:
                    one = read_header(path)
                except TedmError as error:
                    problems.append(f"image {error}")
                    continue
                if header is not None and (one.height, one.width) != (header.height, header.width):
                    problems.append(
                        f"image {path}: {one.height} x {one.width} pixels (height x width), its channel {row.image} has "
                        f"{header.height} x {header.width}"
                    )
                if problem := side_problem(one.height, one.width):
                    problems.append(f"image {path}: {problem}")
                header = header or one
            size = (header.height, header.width) if header else None
        values = None
        try:
            values = self.palettes.note(row.mask, read_labels(row.mask)) if row.mask else None
            values = None if values is None else self._as_meant(values)
        except TedmError as error:
            problems.append(f"mask {error}")
        found = MaskValues()
        if values is not None:
            if problem := self._problem_of(values, size):
                problems.append(f"mask {row.mask}: {problem}")
            else:
                found = look(values, self.ignore)
        held = None if row.mask is None else frozenset(found.pixels)
        places = (Place(row.name, size, values=held),) if size else ()
        return CheckedRow(row, places, header, mask=found, problems=tuple(problems))

    def _volume(self, row: Row, known: Volume | None) -> CheckedRow:
        checked = check_volume(row, self.options, known)
        if checked.volume is None or checked.problems:
            return CheckedRow(row, problems=tuple(checked.problems))
        volume, problems, found = checked.volume, [], MaskValues()
        held: dict[int, frozenset[int]] = {}
        if checked.labels is not None:
            values = self._as_meant(checked.labels)
            if problem := self._problem_of(values, None):
                problems.append(f"mask {row.mask}: {problem}")
            else:
                found = look_at_volume(values, self.ignore)
                held = {
                    index: frozenset(counted_values(volume.slice_of(values, index), self.ignore)) for index in volume.indices
                }
        if self.known is not None and known is not None:
            places = [replace(place, values=held.get(place.slice.index)) for place in self.known.slices(row)]
        else:
            places = [
                Place(volume.slice_name(index), volume.slice_size, replace(checked.box, index=index), held.get(index))
                for index in volume.indices
            ]
        return CheckedRow(row, tuple(places), None, checked.headers, volume, found, tuple(problems), tuple(checked.remarks))

    def _problem_of(self, values: NDArray[np.int32], size: tuple[int, int] | None) -> str | None:
        return mask_problem(values, size, self.classes, self.ignore, self.classes_in)

    def _as_meant(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        return as_meant(values, self.threshold, self.classes, self.ignore)


def rows_without(rows: Sequence[Row], masks: bool) -> list[Row]:
    """Return rows as they are, or without their masks."""
    return list(rows) if masks else [replace(row, mask=None) for row in rows]
