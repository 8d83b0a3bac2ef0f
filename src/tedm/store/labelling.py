"""Labels and masks in the arrays of a store: read, appended when images are registered, and replaced.

An image exists once its name does, so the names are the last that is written of new images.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store.about import About
from tedm.store.arrays import Arrays
from tedm.store.checks import damaged
from tedm.store.labels import IGNORE, Labels
from tedm.store.place import Location
from tedm.store.skeleton import LABEL_ARRAYS
from tedm.store.sources import COLUMN, UNREAD, Source, Stamp, as_row, read_sources, write_sources
from tedm.store.volumes.columns import VOLUMES, put_volumes, read_volumes
from tedm.store.volumes.volume import NO_SLICE, Slice, Volume
from tedm.text import listed

# Masks that are handed to Zarr together when images are registered.
MASKS_AT_ONCE = 256


class PackedMask:
    """A mask that waits to be written, compressed: a study of volumes has a million of them.

    Parameters
    ----------
    mask : array of shape (size, size)
        Class indices.
    """

    __slots__ = ("_packed", "_shape", "labelled")

    def __init__(self, mask: NDArray[np.uint8]) -> None:
        self._shape = mask.shape
        self._packed = zlib.compress(np.ascontiguousarray(mask).tobytes(), 1)
        self.labelled = int((mask != IGNORE).sum())

    def unpacked(self) -> NDArray[np.uint8]:
        """Return the mask."""
        return np.frombuffer(zlib.decompress(self._packed), np.uint8).reshape(self._shape)


@dataclass(frozen=True)
class Registration:
    """An image as it enters a store.

    Parameters
    ----------
    name, split, group, domain : str
        See `Labels`.
    original_size : tuple of int
        Height and width of the file.
    mask : array of shape (size, size), PackedMask or None
        Class indices at feature resolution.
    source : Source
        The files that these are from.
    volume : Volume or None
        The volume of which the image is a slice.
    slice : Slice
        Where it is in it; the position of the volume is the store's business.
    """

    name: str
    split: str
    group: str
    domain: str
    original_size: tuple[int, int]
    mask: NDArray[np.uint8] | PackedMask | None
    source: Source = UNREAD
    volume: Volume | None = None
    slice: Slice = NO_SLICE


def read_labels(arrays: Arrays, about: About) -> Labels:
    """Read what is known of each image.

    Raises
    ------
    TedmError
        If a column is gone or unreadable.
    """
    names = [str(name) for name in arrays.read_column("name")]
    count = names.index("") if "" in names else len(names)
    if arrays.has_from("image", count):
        raise arrays.lost("name")  # names come before activations: to register these images anew could mix them up
    columns = {column: arrays.read_column(column, count) for column in LABEL_ARRAYS if column != "name"}
    try:
        volumes, slices = read_volumes(arrays, count)
    except ValueError as error:
        raise damaged(arrays.address, f"its volumes cannot be so: {error}") from error
    return Labels(
        names=tuple(names[:count]),
        splits=tuple(map(str, columns["split"])),
        groups=tuple(map(str, columns["group"])),
        domains=tuple(map(str, columns["domain"])),
        original_sizes=tuple((int(height), int(width)) for height, width in columns["original_size"]),
        labelled=tuple(map(int, columns["labelled"])),
        classes=about.classes,
        class_names=about.class_names,
        class_colours=about.class_colours,
        volumes=volumes,
        slices=slices,
    )


def append_images(arrays: Arrays, labels: Labels, new: Sequence[Registration], size: int, image_arrays: Sequence[str]) -> None:
    """Write masks and labels of new images behind those that are there.

    Parameters
    ----------
    arrays : Arrays
    labels : Labels
        Of the images that are there already.
    new : sequence of Registration
    size : int
        Side of the masks, in pixels.
    image_arrays : sequence of str
        The arrays that get room for the new images.
    """
    there = len(labels)
    if VOLUMES in arrays.names:
        put_volumes(arrays, labels.volumes, there, [(image.volume, image.slice) for image in new])
    for array in image_arrays:
        arrays.enlarge(array, there + len(new))
    for at in range(0, len(new), MASKS_AT_ONCE):
        _write_masks(arrays, there + at, [image.mask for image in new[at : at + MASKS_AT_ONCE]], size)
    columns: dict[str, Sequence[object]] = {
        "split": [image.split for image in new],
        "group": [image.group for image in new],
        "domain": [image.domain for image in new],
        "original_size": [image.original_size for image in new],
        "labelled": [_labelled_pixels(image.mask) for image in new],
        COLUMN: [as_row(image.source) for image in new],
        "name": [image.name for image in new],  # the last: an image exists once its name does
    }
    for column, values in columns.items():
        if column not in arrays.names:
            continue  # a store of before knows no sources
        arrays.enlarge(column, there + len(new))
        arrays.put_column(column, there, values)


def require_known_classes(labels: Labels, new: Sequence[Registration], classes: Sequence[int], address: Location) -> None:
    """Refuse masks of new images with other classes than those of the masks that are there."""
    known = labels.classes
    if any(image.mask is not None for image in new) and known and tuple(classes) != known:
        raise TedmError(
            f"cannot add to {address}: its classes are {list(known)}, these masks have {list(classes)}\n"
            f"Repeat with --classes {','.join(map(str, known))}, or write to a new store."
        )


def require_fitting(labels: Labels, images: Sequence[Registration], classes: Sequence[int], what: str) -> None:
    """Refuse to replace labels of an image that is not there, or some masks by masks of other classes than those that stay.

    Raises
    ------
    TedmError
        One that begins with `what`.
    """
    for image in images:
        labels.index(image.name)
    replaced = {image.name for image in images if image.mask is not None}
    staying = [name for name, pixels in zip(labels.names, labels.labelled, strict=True) if pixels and name not in replaced]
    if replaced and staying and tuple(classes) != labels.classes:
        strange = [value for value in classes if value not in labels.classes]
        remedy = f"repeat with --classes {','.join(map(str, labels.classes))}"
        if strange:
            none = "is no class" if len(strange) == 1 else "are no classes"
            remedy = f"correct the new ones: {listed(strange)} {none} of theirs"
        raise TedmError(
            f"{what}: {len(staying)} masks that stay (the first: {staying[0]}) have classes "
            f"{list(labels.classes)}, the new ones {list(classes)}\n"
            f"Give masks for these too, or {remedy}."
        )


def replace_labels(arrays: Arrays, labels: Labels, images: Sequence[Registration], size: int) -> None:
    """Write masks, splits, groups, domains and sizes of images anew.

    A mask of None, empty text and a size of (0, 0) keep what is there.

    Parameters
    ----------
    arrays : Arrays
    labels : Labels
        What is there.
    images : sequence of Registration
        Images that are there.
    size : int
        Side of the masks, in pixels.
    """
    labelled, sizes = list(labels.labelled), list(labels.original_sizes)
    masks: dict[int, Stamp] = {}
    columns = {"split": list(labels.splits), "group": list(labels.groups), "domain": list(labels.domains)}
    for image in images:
        index = labels.index(image.name)
        if image.mask is not None:
            _write_masks(arrays, index, [image.mask], size)
            labelled[index] = _labelled_pixels(image.mask)
            masks[index] = image.source.mask
        sizes[index] = image.original_size if any(image.original_size) else sizes[index]
        for column, value in (("split", image.split), ("group", image.group), ("domain", image.domain)):
            columns[column][index] = value or columns[column][index]
    if masks and COLUMN in arrays.names:
        there = read_sources(arrays, len(labels))
        write_sources(arrays, len(labels), {index: Source(there[index].image, mask) for index, mask in masks.items()})
    arrays.put_column("labelled", 0, labelled)
    arrays.put_column("original_size", 0, sizes)
    for column, values in columns.items():
        arrays.put_column(column, 0, values)


def _write_masks(arrays: Arrays, start: int, masks: Sequence[NDArray[np.uint8] | PackedMask | None], size: int) -> None:
    unlabelled = np.full((size, size), IGNORE, np.uint8)
    plain = [mask.unpacked() if isinstance(mask, PackedMask) else mask for mask in masks]
    values = np.stack([unlabelled if mask is None else mask for mask in plain])
    arrays.put("mask", slice(start, start + len(masks)), values)


def _labelled_pixels(mask: NDArray[np.uint8] | PackedMask | None) -> int:
    if isinstance(mask, PackedMask):
        return mask.labelled
    return 0 if mask is None else int((mask != IGNORE).sum())
