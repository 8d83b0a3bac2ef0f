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
from .listing.rows import Row
from .masks import MaskValues, as_meant, counted_values, look, mask_problem
from .palettes import Palettes
from .read import read_header, read_labels
from .reader import Header
from .slices.checked import check_volume, is_of_volumes
from .slices.options import VolumeOptions


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Check:
    """How rows are checked; see `tedm.extract.images.manifest.read_manifest`.

    Parameters
    ----------
    classes, ignore, threshold, options
        See there.
    known : Labels or None
        Images that are not opened: of a picture of this name the size is known, of a volume the slices.
    palettes : Palettes
        What colours the masks' numbers have.
    """

    classes: tuple[int, ...] | None
    ignore: int | None
    threshold: int | None
    options: VolumeOptions
    palettes: Palettes
    known: Labels | None = None

    def opened(self, row: Row) -> CheckedRow:
        """Open a row's files; of one that is known only its mask."""
        if is_of_volumes(row):
            return self._volume(row)
        return self._picture(row)

    def unopened(self, row: Row) -> CheckedRow:
        """Return what is known of a row."""
        volume = self._known_volume(row)
        if volume is not None:
            return CheckedRow(row, tuple(_known_slices(self._labels, volume)), volume=volume)
        return CheckedRow(row, (Place(row.name, self._labels.original_sizes[self._labels.index(row.name)]),))

    def knows(self, row: Row) -> bool:
        """Whether a row's images are known."""
        if self.known is None:
            return False
        return self._known_volume(row) is not None or self.known.has(row.name)

    @property
    def _labels(self) -> Labels:
        assert self.known is not None
        return self.known

    def _known_volume(self, row: Row) -> Volume | None:
        at = self.known.volume_named(row.name) if self.known is not None and is_of_volumes(row) else None
        return None if at is None else self._labels.volumes[at]

    def _picture(self, row: Row) -> CheckedRow:
        problems: list[str] = []
        if self.options.crop is not None:
            problems.append(f"image {row.image}: a picture, and --crop {self.options.crop} is for volumes; leave it out")
        header: Header | None = None
        size = None
        if self.known is not None and self.known.has(row.name):
            size = self.known.original_sizes[self.known.index(row.name)]
        else:
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
            if problem := mask_problem(values, size, self.classes, self.ignore):
                problems.append(f"mask {row.mask}: {problem}")
            else:
                found = look(values, self.ignore)
        held = None if row.mask is None else frozenset(found.pixels)
        places = (Place(row.name, size, values=held),) if size else ()
        return CheckedRow(row, places, header, mask=found, problems=tuple(problems))

    def _volume(self, row: Row) -> CheckedRow:
        known = self._known_volume(row)
        checked = check_volume(row, self.options, known)
        if checked.volume is None or checked.problems:
            return CheckedRow(row, problems=tuple(checked.problems))
        volume, problems, found = checked.volume, [], MaskValues()
        held: dict[int, frozenset[int]] = {}
        if checked.labels is not None:
            values = self._as_meant(checked.labels)
            if problem := mask_problem(values, None, self.classes, self.ignore):
                problems.append(f"mask {row.mask}: {problem}")
            else:
                # between structures of a label map lie others: what slopes say of pictures' masks they do not say here
                found = MaskValues(counted_values(values, self.ignore))
                held = {index: frozenset(counted_values(volume.slice_of(values, index))) for index in volume.indices}
        if known is not None:
            places = [replace(place, values=held.get(place.slice.index)) for place in _known_slices(self._labels, volume)]
        else:
            places = [
                Place(volume.slice_name(index), volume.slice_size, replace(checked.box, index=index), held.get(index))
                for index in volume.indices
            ]
        return CheckedRow(row, tuple(places), None, checked.headers, volume, found, tuple(problems), tuple(checked.remarks))

    def _as_meant(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        return as_meant(values, self.threshold, self.classes, self.ignore)


def known_names(labels: Labels, row: Row) -> list[str]:
    """Return the images of a row that are known."""
    if is_of_volumes(row):
        at = labels.volume_named(row.name)
        return [] if at is None else [labels.names[position] for position in labels.positions_in(at)]
    return [row.name] if labels.has(row.name) else []


def _known_slices(labels: Labels, volume: Volume) -> Iterator[Place]:
    at = labels.volume_named(volume.name)
    for position in [] if at is None else labels.positions_in(at):
        yield Place(labels.names[position], volume.slice_size, replace(labels.slices[position], volume=-1))


def rows_without(rows: Sequence[Row], masks: bool) -> list[Row]:
    """Return rows as they are, or without their masks."""
    return list(rows) if masks else [replace(row, mask=None) for row in rows]
