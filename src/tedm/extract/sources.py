"""Whether files are still what a store has read from them.

Size and time of modification answer first, without opening a file. Where they differ, and in a store that does not know them,
the file is read again, brought to the backbone's square and compared with the one in the store: an image that was touched,
copied or packed otherwise is the same image, one with other pixels is another, whatever it is called.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.images import Manifest, ManifestEntry, to_square_image
from tedm.extract.images.listing.rows import composed
from tedm.extract.images.square import naming, rows_of
from tedm.extract.live import square_mask
from tedm.store import IGNORE, DamagedError, FeatureStore, Location, Registration, Source
from tedm.store.labelling import require_fitting
from tedm.store.sources import ANEW, UNKNOWN, UNREAD, AsRead
from tedm.store.splits import require_whole_groups
from tedm.text import counted, listed

# Resizing rounds to float32: what differs by less is the same. A grey level of 8 bits is 4000 times as much.
SAME = 1e-6
SHOWN = 5  # names in a remark


@dataclass(frozen=True)
class Comparison:
    """What became of the files of images that a store has.

    Parameters
    ----------
    changed : mapping of str to str
        Images that are other images now, and in what they differ.
    unreadable : sequence of str
        Why files that have changed cannot be compared, one line each.
    masks, new_masks : sequence of str
        Images whose mask is another one than the store's, and those of which the store has none.
    left : sequence of str
        Images whose mask the store has, while here other images have masks and they have none.
    labels : mapping of str to str
        Images of which another split, group or domain is said, and how they differ.
    gone : sequence of str
        Images whose file is not there.
    unfinished : sequence of str
        Images still to be computed whose labels and mask are those of another image.
    as_read : mapping of str to Source
        Files whose content is the store's while their size or time is not.
    unknown : int
        How many of the images the store did not know the files of.
    sizes : mapping of str to (height, width)
        What changed images measure now.
    moved : sequence of str
        Volumes whose files have another shape or affine than those that the store has read, one line each.
    """

    changed: Mapping[str, str]
    unreadable: Sequence[str]
    masks: Sequence[str]
    new_masks: Sequence[str]
    left: Sequence[str]
    labels: Mapping[str, str]
    gone: Sequence[str]
    unfinished: Sequence[str]
    as_read: Mapping[str, Source]
    unknown: int
    sizes: Mapping[str, tuple[int, int]]
    moved: Sequence[str] = ()

    def require_unchanged(self, store: FeatureStore, *, update: bool) -> None:
        """Refuse images that are others than the store's, unless they are to be updated, and files that cannot be read."""
        raise_listed(
            f"volumes changed their shape or affine since {store.path} read them, which --update does not take; "
            "give each another name in a column `name`, or write to a new store",
            self.moved,
        )
        raise_listed(f"images of {store.path} whose files changed cannot be read; nothing was written", self.unreadable)
        if not update:
            raise_listed(
                f"{counted(len(self.changed), 'image')} changed since {store.path} read them; tedm-extract --update computes "
                "them anew. Another data set with the same file names needs another store, or names of its own in a column "
                "`name`",
                [f"{name}: {what}" for name, what in self.changed.items()],
            )

    def remarks(self, store: FeatureStore, *, update: bool) -> list[str]:
        """Return in sentences what a user should know beside that."""
        here = store.path
        fate = "taken" if update else f"not taken; tedm-label {here} MANIFEST takes them, or tedm-extract --update"
        labels = [f"{name} ({what})" for name, what in self.labels.items()]
        changed = list(self.changed) if update else []
        sentences = [
            (changed, f"images changed since {here} read them, computed anew"),
            (self.unfinished, "images that were still to be computed are taken as they are now, with masks and labels"),
            (self.masks, f"masks that differ from those in {here}, {fate}"),
            (self.new_masks, f"masks of images that have none in {here}, {fate}"),
            (self.left, f"images without a mask here, whose masks in {here} stay"),
            (labels, f"labels that differ from those in {here}, {fate}"),
            (self.gone, f"images that are in {here} and whose files are gone, kept as they are"),
        ]
        found = [f"note: {what}: {listed(names, most=SHOWN)} ({len(names)} in all)" for names, what in sentences if names]
        if self.unknown:
            compared = f"the pixels of {counted(self.unknown, 'image')} were compared with those in it instead"
            found.append(f"note: {here} did not record size and time of the files it read (an older tedm made it); {compared}")
        return found


def as_read(path: Location) -> AsRead | None:
    """Return what tells whether the store at `path` has read the files of an image of some name; None without a store.

    A file that is gone counts as read: there is nothing to read again.
    """
    if not FeatureStore.is_store(path):
        return None
    sources = FeatureStore.open(path).sources()

    def told(name: str, images: Sequence[Path], mask: Path | None, reading: int = 0) -> bool:
        known, now = sources.get(name, UNREAD), Source.of(images, mask, reading)
        return now.image in (known.image, UNKNOWN) and now.mask in (known.mask, UNKNOWN)

    return told


def compare(store: FeatureStore, manifest: Manifest, entries: Sequence[ManifestEntry], *, content: bool = False) -> Comparison:
    """Compare files with what a store has read from them.

    Parameters
    ----------
    store : FeatureStore
    manifest : Manifest
        Where the entries are from.
    entries : sequence of ManifestEntry
        Images; those that the store does not have are left out.
    content : bool
        Read every file, also where size and time say that it is the one that was read.

    Raises
    ------
    TedmError
        If the store cannot be read.
    """
    there, missing, sources = set(store.labels.names), set(store.missing()), store.sources()
    chosen = [entry for entry in entries if entry.name in there]

    def one(entry: ManifestEntry) -> _Found:
        return _compared(store, manifest, entry, sources[entry.name], entry.name in missing, content)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # decoding releases the interpreter's lock
        found = list(pool.map(one, chosen))
    anew = [entry.name for entry in chosen if entry.name in missing and _of_another(store, entry, sources[entry.name])]
    return Comparison(
        changed={each.name: each.image for each in found if each.image and not each.unreadable},
        unreadable=[each.image for each in found if each.unreadable],
        masks=[each.name for each in found if each.mask == "other" and each.name not in anew],
        new_masks=[each.name for each in found if each.mask == "new" and each.name not in anew],
        left=_without_masks(store, manifest, chosen),
        labels=_other_labels(store, chosen),
        gone=[each.name for each in found if each.now.image == UNKNOWN and each.name not in missing],
        unfinished=anew,
        as_read={each.name: each.record for each in found if each.record != sources[each.name] and each.name not in anew},
        unknown=sum(sources[each.name].image == UNKNOWN != each.now.image and each.name not in missing for each in found),
        sizes={each.name: each.size for each in found if each.size is not None},
        moved=_moved(store, chosen),
    )


def require_classes_of(store: FeatureStore, manifest: Manifest, comparison: Comparison, *, update: bool) -> None:
    """Refuse classes that somebody names where the masks that stay have others, or have them in another order."""
    ours, labels = store.labels.classes, store.labels
    if not manifest.classes_given or not any(labels.labelled) or manifest.classes == ours:
        return
    if update and (comparison.masks or comparison.new_masks):  # `renew` sees whether all that stay fit
        return
    asked, there = (",".join(map(str, classes)) for classes in (manifest.classes or (), ours))
    raise TedmError(f"--classes {asked} is asked for, and {store.path} has {there}; leave it out, or write to a new store")


def renew(store: FeatureStore, manifest: Manifest, comparison: Comparison, *, update: bool) -> None:
    """Take from a manifest what `compare` found: everything with `update`, otherwise only of images left unfinished.

    Activations of changed images are removed first, so that whatever interrupts this, none of them stands beside a mask or a
    size of another image: an image of which some is to be taken yet is recorded as such, and missing.

    Raises
    ------
    TedmError
        If the masks that stay have other classes, or a group would be in two splits; nothing was changed then.
    """
    changed = [*comparison.changed] if update else []
    anew = [*changed, *comparison.unfinished]
    names = {*anew, *(*comparison.masks, *comparison.new_masks, *comparison.labels) * update}
    entries = [
        replace(entry, size=comparison.sizes.get(entry.name, entry.size)) for entry in manifest.entries if entry.name in names
    ]
    if not entries:
        return
    masks = {*anew, *comparison.masks, *comparison.new_masks}
    images = [_registration(store, manifest, entry, entry.name in masks, entry.name in anew) for entry in entries]
    classes = manifest.classes or store.labels.classes
    labels = store.labels
    require_whole_groups(
        labels,
        (
            (image.name, image.group or labels.groups[at], image.split or labels.splits[at])
            for image in images
            for at in [labels.index(image.name)]
        ),
    )
    require_fitting(store.labels, images, classes, f"cannot relabel {store.path}")
    sources = store.sources()
    store.record({name: Source(ANEW, sources[name].mask) for name in anew})
    store.discard(anew)
    store.relabel(images, classes)
    store.record({image.name: image.source for image in images if image.name in anew})


@dataclass(frozen=True)
class _Found:
    """What was found of one image: what its files are like, what to record of them, and in what they differ."""

    name: str
    now: Source
    record: Source
    image: str = ""
    mask: str = ""
    unreadable: bool = False
    size: tuple[int, int] | None = None


def _compared(
    store: FeatureStore, manifest: Manifest, entry: ManifestEntry, known: Source, missing: bool, content: bool
) -> _Found:
    now = entry.source
    record = known
    image, unreadable, size = "", False, None
    if missing:
        record = replace(record, image=now.image)  # it is about to be read
    elif now.image != UNKNOWN and (content or now.image != known.image):
        try:
            image, size = _other_image(store, entry)
        except DamagedError:
            image = "the store's own is damaged"
        except TedmError as error:
            image, unreadable = f"image {entry.name}: cannot be read: {error}", True
        if not image:
            record = replace(record, image=now.image)
    mask = ""
    if now.mask != UNKNOWN and (content or now.mask != known.mask):
        mask = _other_mask(store, manifest, replace(entry, size=size or entry.size))
        if not mask:
            record = replace(record, mask=now.mask)
    return _Found(entry.name, now, record, image, mask, unreadable, size)


def _other_image(store: FeatureStore, entry: ManifestEntry) -> tuple[str, tuple[int, int]]:
    """Return in what an image differs from the store's, "" if in nothing, and its size."""
    settings = store.settings
    with naming(*entry.files):
        rows = rows_of(
            entry,
            channels=settings.image_channels,
            intensity_range=settings.intensity_range,
            normalisation=settings.normalisation,
        )
        square = to_square_image(rows, settings.image_size, settings.geometry)
    size = entry.volume.slice_size if entry.volume else (rows.shape[0], rows.shape[1])
    before = store.labels.original_sizes[store.labels.index(entry.name)]
    if size != before:
        return f"{entry.image} has {size[0]} x {size[1]} pixels, the store's image {before[0]} x {before[1]}", size
    apart = float(np.abs(square - store.image(entry.name)).max())
    return f"{entry.image} has other pixels than the store's image (by up to {apart:.2g} of 1)" if apart > SAME else "", size


def _other_mask(store: FeatureStore, manifest: Manifest, entry: ManifestEntry) -> str:
    """Return "other" for a mask that is not the store's, "new" where the store has none, and "" where they are equal."""
    try:
        square = square_mask(manifest, entry, store.settings)
        if square is None or not store.labels.labelled[store.labels.index(entry.name)]:
            return "new" if square is not None and (square != IGNORE).any() else ""
        ours = _values(store.mask(entry.name), store.labels.classes)
        return "" if np.array_equal(_values(square, manifest.classes or ()), ours) else "other"
    except TedmError:
        return "other"


def _values(indices: NDArray[np.uint8], classes: Sequence[int]) -> NDArray[np.int64]:
    """Return the values that stand for class indices in files; what is ignored is the smallest number of all."""
    table = np.full(256, np.iinfo(np.int64).min)
    table[: len(classes)] = classes
    values: NDArray[np.int64] = table[indices]
    return values


def _moved(store: FeatureStore, entries: Sequence[ManifestEntry]) -> list[str]:
    """Return volumes that are others than the store's by shape, affine or kind of file, with both."""
    found: dict[str, str] = {}
    for entry in entries:
        ours = store.labels.volume_of(entry.name)
        if entry.volume is not None and ours is not None and entry.volume != ours:
            both = (
                f"{volume.shape}, first voxel at {listed(row[3] for row in volume.affine[:3])}"
                for volume in (entry.volume, ours)
            )
            found.setdefault(ours.name, f"{entry.image}: {next(both)}; the store's {ours.name}: {next(both)}")
    return list(found.values())


def _of_another(store: FeatureStore, entry: ManifestEntry, known: Source) -> bool:
    """Whether what the store knows of an image that is still to be computed is of another image."""
    return known.image == ANEW or entry.size != store.labels.original_sizes[store.labels.index(entry.name)]


def _without_masks(store: FeatureStore, manifest: Manifest, entries: Sequence[ManifestEntry]) -> list[str]:
    if not any(entry.mask for entry in manifest.entries):
        return []
    labelled = dict(zip(store.labels.names, store.labels.labelled, strict=True))
    return [entry.name for entry in entries if entry.mask is None and labelled[entry.name]]


def _other_labels(store: FeatureStore, entries: Sequence[ManifestEntry]) -> dict[str, str]:
    labels = store.labels
    columns = {"split": labels.splits, "group": labels.groups, "domain": labels.domains}
    found = {}
    for entry in entries:
        at = labels.index(entry.name)
        said = {"split": entry.split, "group": entry.group, "domain": entry.domain}
        other = [
            f"{column} {value}, in the store {columns[column][at] or 'none'}"
            for column, value in said.items()
            if value and column not in entry.unsaid and composed(value) != composed(columns[column][at])
        ]
        if other:
            found[entry.name] = "; ".join(other)
    return found


def _registration(store: FeatureStore, manifest: Manifest, entry: ManifestEntry, with_mask: bool, anew: bool) -> Registration:
    """Return an image as it enters a store again; what is not said of it stays."""
    mask = square_mask(manifest, entry, store.settings) if with_mask else None
    if mask is None and anew:  # the mask of another image does not stay
        mask = np.full((store.settings.image_size,) * 2, IGNORE, np.uint8)
    split, group, domain = (
        "" if column in entry.unsaid else value
        for column, value in (("split", entry.split), ("group", entry.group), ("domain", entry.domain))
    )
    return Registration(entry.name, split, group, domain, entry.size, mask, entry.source, entry.volume, entry.slice)


def differences(store: FeatureStore, manifest: Manifest, *, source: Path, sound: Collection[str]) -> list[str]:
    """Return in what files differ from what a store has read of them, one line each.

    Parameters
    ----------
    store : FeatureStore
    manifest : Manifest
        The files, of which those of known images need not have been opened.
    source : Path
        Where the manifest is from.
    sound : collection of str
        Images of the store that can be read; of others only the names are compared.
    """
    names = {entry.name for entry in manifest.entries}
    extra = sorted(names.difference(store.labels.names))
    found = compare(store, manifest, [entry for entry in manifest.entries if entry.name in sound], content=True)
    return [
        *(f"image {name}: changed: {what}" for name, what in found.changed.items()),
        *found.unreadable,
        *(f"image {name}: its mask is another one than the store's" for name in found.masks),
        *(f"image {name}: it has a mask, and none in the store" for name in found.new_masks),
        *(f"image {name}: missing: its file is gone" for name in found.gone),
        *(f"image {name}: missing: in {store.path}, and not in {source}" for name in store.labels.names if name not in names),
        *(f"image {name}: extra: in {source}, and not in {store.path}" for name in extra),
    ]
