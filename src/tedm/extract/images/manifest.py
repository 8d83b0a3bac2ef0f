"""A list of images, each with what is known about it, checked before any work starts.

Reading a manifest opens every file that it lists: headers of images, pixels of masks. Whatever is wrong with any of them is
said at once, so that a night's extraction does not end at image 9,000; what is returned can be relied on. Images that a store
has already are not opened again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.volumes.header import VolumeHeader
from tedm.store import IGNORE, Labels
from tedm.store.settings import Axis
from tedm.store.sources import AsRead, reading_of
from tedm.store.volumes.normalisation import Normalisation
from tedm.text import counted, listed

from .check import Check, CheckedRow, Known, rows_without
from .entry import ManifestEntry
from .intensity_check import look_at_intensities, require_grey
from .listing.legend import NO_LEGEND, Legend
from .listing.rows import Row, composed, problems_between
from .listing.several import Sources, found_in, shown_sources
from .masks import ClassCount, as_meant, class_counts, encoding_problems, in_words, indices_of, mask_problem, require_classes
from .palettes import Palettes
from .read import intensity_problem, kinds_read, read_mask
from .reader import Header
from .slices.opened import cropped, label_slice, plain_header
from .slices.options import NO_OPTIONS, VolumeOptions
from .slices.ranges import first_slices, volume_problems

ALL_VOXELS = (
    "black and white are taken from all voxels, those of air too; name brain masks in a column brainmask, or say "
    "--brain nonzero (--brain all, if it is meant)"
)


@dataclass(frozen=True)
class Manifest:
    """Images in the order of the CSV, or of a folder's sorted file names.

    Parameters
    ----------
    entries : tuple of ManifestEntry
        At least one.
    classes : tuple of int, or None
        The masks' values; the position is the class index. None if there are no masks and no classes were given.
    ignore : int or None
        The masks' value for pixels without a label.
    headers : tuple of Header or None
        One for each entry; None for those that were not opened.
    threshold : int or None
        Mask values from here on are the second of the two classes, lower ones the first.
    remarks : tuple of str
        What lies in the folder, or stands in the table, and is not used.
    counts : tuple of ClassCount
        Pixels and images of each class in the masks that were opened.
    class_names, class_colours : tuple of str
        What each class is called, and its colour as "#rrggbb"; empty where nothing is said of them.
    volume_headers : mapping of str to tuple of VolumeHeader
        For each volume that was opened, by its name, the header of each channel.
    options : VolumeOptions
        How volumes were cut.
    classes_given : bool
        Whether whoever read it said which values are classes, in which order.
    """

    entries: tuple[ManifestEntry, ...]
    classes: tuple[int, ...] | None
    ignore: int | None = None
    headers: tuple[Header | None, ...] = field(default=(), repr=False)
    threshold: int | None = None
    remarks: tuple[str, ...] = ()
    counts: tuple[ClassCount, ...] = field(default=(), repr=False)
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    volume_headers: Mapping[str, tuple[VolumeHeader, ...]] = field(default_factory=dict, repr=False)
    options: VolumeOptions = NO_OPTIONS
    classes_given: bool = False

    @property
    def axis(self) -> Axis | None:
        """How its volumes are cut; None if all images are pictures."""
        return self.options.axis if any(entry.volume is not None for entry in self.entries) else None

    def sentences(self) -> list[str]:
        """Say what is not used, and the classes of the masks that were opened with their pixels and images."""
        said = [f"note: {remark}" for remark in self.remarks]
        if any(count.masks for count in self.counts):
            volumes = all(entry.volume is not None for entry in self.entries)
            said.append(f"classes in the masks: {in_words(self.counts, self.class_names, volumes=volumes)}")
        return said

    def read_mask(self, entry: ManifestEntry) -> NDArray[np.uint8]:
        """Read an entry's mask.

        Returns
        -------
        array of shape (height, width)
            Class indices; 255 where the mask holds the ignored value. Of a slice, the part that is shown.

        Raises
        ------
        TedmError
            If the file can no longer be read, or holds a value that is no class.
        """
        return cropped(self.read_whole_mask(entry), entry.slice, IGNORE)

    def read_whole_mask(self, entry: ManifestEntry) -> NDArray[np.uint8]:
        """Do what `read_mask` does, of a slice with all of it: shape (height, width)."""
        if entry.mask is None or self.classes is None:
            raise ValueError(f"{entry.name} has no mask")
        stored = label_slice(entry) if entry.volume is not None else read_mask(entry.mask)
        values = as_meant(stored, self.threshold, self.classes, self.ignore)
        problem = mask_problem(values, entry.size, self.classes, self.ignore)
        if problem:
            raise TedmError(f"{entry.mask}: {problem}")
        return indices_of(values, self.classes, self.ignore)

    def require_intensity_range(
        self,
        intensity_range: tuple[float, float] | None,
        *,
        channels: int = 3,
        normalisation: Normalisation | None = None,
    ) -> list[str]:
        """Refuse images that cannot become the backbone's, all at once; look at the values of a sample of them.

        Parameters
        ----------
        intensity_range : tuple of two floats or None
            Black and white in files of more than 8 bits; None is the file type's range.
        channels : int
            Of the backbone; one channel takes no colours.
        normalisation : Normalisation or None
            Where black and white of volumes are taken from their voxels.

        Returns
        -------
        list of str
            What is odd about the values; see `tedm.extract.images.intensity_check`. Those that were not opened are left out.

        Raises
        ------
        TedmError
            If numbers cannot be mapped to [0, 1], images are in colour where one channel is wanted, or all of one grey value.
        """
        images = [
            (path, header)
            for entry, header in zip(self.entries, self.headers, strict=True)
            if header is not None
            for path in entry.files
        ]
        problems = [f"{path}: {problem}" for path, header in images if (problem := intensity_problem(header, intensity_range))]
        problems += volume_problems(self.entries, self.volume_headers, intensity_range, normalisation, channels)
        raise_listed("these images cannot be mapped to the backbone's range", problems)
        if channels == 1 or self.options.channels:
            require_grey(images, intensity_range)
        if normalisation is not None and images:
            raise TedmError(
                f"{images[0][0]}: --normalise is for volumes, and this is a picture; leave it out, or give --intensity-range"
            )
        # of volumes whose black and white are taken from their voxels there is nothing to look at
        volumes = first_slices(self.entries) if normalisation is None else {}
        images += [
            (path, plain_header(header))
            for name, entry in volumes.items()
            if (headers := self.volume_headers.get(name))
            for path, header in zip(entry.files, headers, strict=False)
        ]
        if not images:
            of_air = normalisation is not None and normalisation.brain == "all" and self.options.brain is None
            return [ALL_VOXELS] if of_air and self.volume_headers else []
        pictures = zip(self.entries, self.headers, strict=True)
        unopened = any(entry.volume is None and header is None for entry, header in pictures)
        unopened = unopened or not set(volumes) <= set(self.volume_headers)
        return look_at_intensities(images, intensity_range, all_there_are=not unopened)


def read_manifest(
    source: Sources,
    *,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    threshold: int | None = None,
    masks: bool = True,
    strict: bool = False,
    known: Labels | None = None,
    as_read: AsRead | None = None,
    only_masks_of: Labels | None = None,
    options: VolumeOptions = NO_OPTIONS,
    legend: Legend = NO_LEGEND,
) -> Manifest:
    """Read a manifest and check every file in it.

    Parameters
    ----------
    source : Path or sequence of Path
        A CSV (UTF-8, commas) with a column `image` and optionally `name`, `mask`, `brainmask`, `split`, `group`, `patient`,
        `domain`, whose paths are relative to it; or a folder with a `manifest.csv`, with `images/` and perhaps `masks/` and
        `brainmasks/` (paired by file stem), or with images; or a data set of nnU-Net, of the Decathlon or in BIDS; or an image;
        or several of these.
    classes : sequence of int, optional
        The values that masks may hold, in the order of the class indices. Default: the sorted values of all masks.
    ignore : int, optional
        The value of pixels without a label. No default: {0, 255} masks are common.
    threshold : int, optional
        Reads every mask as one of two classes: values from this one on are class 1, lower ones class 0 (or the second and the
        first of `classes`, which are what predicted masks hold); `ignore` is looked for first.
    masks : bool
        Whether masks are wanted; if not, none is opened.
    strict : bool
        Refuse what would be left out, instead of saying so in `Manifest.remarks`.
    known : Labels, optional
        Images that need not be opened: a store has them whole. Their sizes, and classes, are taken from here.
    as_read : callable (name, image, mask, reading), optional
        Whether the files of an image in `known`, and of its mask, are as they were read, and the mask in the same way
        (`tedm.store.sources.reading_of`); if not, they are opened all the same. Default: they are.
    only_masks_of : Labels, optional
        Images of which only the masks are opened, to label them anew: their files may be elsewhere. Their sizes are taken from
        here, and the splits, groups and domains of which nothing is said.
    options : VolumeOptions
        Which columns are channels, and how volumes become images.
    legend : Legend
        What classes are called. Default: what a data set or a table `classes.csv` beside the images says. Its values are the
        classes, and its ignored value is `ignore`, unless these are given.

    Returns
    -------
    Manifest
        A name defaults to the file's stem, a group to the patient and then to the name, a domain to the name of the manifest's
        folder. Without a `split` column, images with a mask are for training and the others for nothing; an empty cell in a
        `split` column is no split.

    Raises
    ------
    TedmError
        With all problems: no such path, no image, a missing column, a missing or unreadable file, a mask of another size than
        its image or with values that are no classes, masks with soft edges or of two encodings without `classes` or
        `threshold`, two images of one name, an unknown split, a group, a patient or an image in two splits.
    """
    reading, classes_given = reading_of(classes, ignore, threshold), classes is not None
    found, what = found_in(source, options.channels, masks=masks), shown_sources(source)
    rows, problems = list(found.rows), list(found.problems)
    options = replace(options, channels=found.channels)
    if unknown := sorted(set(legend.names) - set(classes or legend.names) - {ignore}):
        raise TedmError(f"{legend.where} names {listed(unknown)}, and the classes are {listed(classes or ())}; make them alike")
    legend = legend if legend.names else found.legend
    classes_in = ""
    if classes is None and threshold is None and masks and legend.names:
        ignore, classes_in = legend.ignore if ignore is None else ignore, legend.where
        classes = tuple(value for value in legend.names if value != ignore)
    classes = require_classes(classes, ignore, threshold)
    remarks = [*found.remarks, *_of_two_kinds(rows)]
    if not rows and not problems:
        raise TedmError("\n  ".join([f"{found.table}: no images; expected {', '.join(kinds_read())}", *remarks]))
    if strict:
        raise_listed(f"{what} holds what would not be used, which --strict refuses", remarks)
    rows = _spelled_as(rows, known, only_masks_of)
    labelled_anew = None if only_masks_of is None else Known(only_masks_of)
    if labelled_anew is not None:
        rows = _as_known(rows, labelled_anew)
    rows = rows_without(rows, masks)
    problems += problems_between(rows)
    whole = None if known is None else Known(known)
    palettes = Palettes()
    check = Check(classes, ignore, threshold, options, palettes, classes_in, labelled_anew)

    unopened: list[Row] = []

    def checked_row(row: Row) -> CheckedRow:
        if whole is not None and whole.has(row) and _as_read(row, whole, as_read, reading):
            unopened.append(row)
            return whole.as_it_is(row)
        return check.opened(row)

    # Threads: decoding releases the interpreter's lock. A few: more do not make a disk faster.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        checked = list(pool.map(checked_row, rows))
    problems += _series_twice(checked)
    for each in checked:
        problems += [f"{each.row.where}: {problem}" for problem in each.problems]
        remarks += each.remarks
    problems += palettes.problems(ignore)
    before = whole.labels.classes if whole is not None and any(map(whole.has, rows)) else ()
    values = {value for each in checked for value in each.mask.pixels}.union(before)
    with_masks = any(row.mask for row in rows)
    found_classes = classes if classes is not None else tuple(sorted(values)) if with_masks else None
    if with_masks and not problems and not values:
        problems.append(f"no mask has a labelled pixel: all of them hold {ignore}, which is ignored, and nothing else")
    if classes is None:
        problems += encoding_problems({each.row.where: each.mask for each in checked if each.mask.pixels}, before)
    counts = class_counts((each.mask for each in checked), found_classes or ())
    empty = [count.value for count in counts if not count.pixels]
    if threshold is not None and with_masks and not any(row.mask for row in unopened) and not problems and empty:
        problems.append(
            f"--threshold {threshold} leaves class {empty[0]} without a pixel; choose a number between those in the masks"
        )
    if found_classes is not None and len(found_classes) > IGNORE:
        problems.append(f"{len(found_classes)} classes in all masks together; at most {IGNORE} are possible")
    background = frozenset(sorted(found_classes)[:1] if found_classes and len(found_classes) > 1 else ())
    left_out_values = background if options.drop_empty else None
    pairs = [pair for each in checked for pair in each.entries(left_out_values)]
    places = sum(len(each.places) for each in checked)
    if not problems:  # two rows of one name are told already
        problems += _names_twice([entry for entry, _ in pairs])
    if not pairs and not problems:
        problems.append("--drop-empty train leaves no image; nothing of the split train shows a structure")
    raise_listed(f"{what} cannot be used", problems)
    if options.drop_empty:
        remarks.append(
            f"--drop-empty train leaves out {places - len(pairs)} of {places} images: they show no labelled structure"
        )
    names, colours = legend.of(found_classes or ())
    return Manifest(
        tuple(replace(entry, reading=reading) if reading else entry for entry, _ in pairs),
        found_classes,
        ignore,
        tuple(header for _, header in pairs),
        threshold,
        tuple(remarks),
        counts,
        names,
        colours,
        {each.volume.name: each.headers for each in checked if each.volume is not None and each.headers},
        options,
        classes_given,
    )


def _as_read(row: Row, known: Known, as_read: AsRead | None, reading: int) -> bool:
    """Whether a known row's files are as they were read; of a volume its first slice is asked, which has the files of all."""
    files = [*row.files, *([row.brain] if row.brain else [])]
    return as_read is None or as_read(known.names(row)[0], files, row.mask, reading)


def _of_two_kinds(rows: Sequence[Row]) -> list[str]:
    """Say that there are pictures and volumes, which somebody may not have meant."""
    volumes = sum(row.is_volume for row in rows)
    if not 0 < volumes < len(rows):
        return []
    first = next(row for row in rows if not row.is_volume)
    return [
        f"{counted(len(rows) - volumes, 'picture')} beside {counted(volumes, 'volume')} ({first.where}): each picture is taken "
        "for an image like a slice; move them elsewhere if they are none"
    ]


def _series_twice(checked: Sequence[CheckedRow]) -> list[str]:
    """Tell files of one DICOM series, each of which stands for the whole series, named as if they were images of their own."""
    by_files: dict[tuple[Path, ...], list[Path]] = {}
    for each in checked:
        if each.headers and len(each.headers[0].files) > 1:
            by_files.setdefault(each.headers[0].files, []).append(each.row.image)
    return [
        f"{listed((path.name for path in images), most=3)}: {len(images)} files of one series of {len(files)}; put the series "
        f"into a folder of its own, and name the folder ({images[0].parent})"
        for files, images in by_files.items()
        if len(set(images)) > 1
    ]


def _names_twice(entries: Sequence[ManifestEntry]) -> list[str]:
    """Tell pictures that are called as a slice of a volume is."""
    slices = {entry.name for entry in entries if entry.volume}
    twice = [entry.name for entry in entries if entry.volume is None and entry.name in slices]
    return [f"two images have the name {name}, one of them a slice of a volume; give one a column `name`" for name in twice[:3]]


def _spelled_as(rows: Sequence[Row], *of: Labels | None) -> list[Row]:
    """Name images as a store does that has them under another spelling of the same letters; see `listing.rows.composed`."""
    names = {
        name for labels in of if labels is not None for name in (*labels.names, *(volume.name for volume in labels.volumes))
    }
    by_letters = {composed(name): name for name in names if not name.isascii()}
    return [row if row.name in names else replace(row, name=by_letters.get(composed(row.name), row.name)) for row in rows]


def _as_known(rows: Sequence[Row], known: Known) -> list[Row]:
    """Fill in, from their labels, what is not said of known images; one without a split that gets a mask is for training."""
    found, labels = [], known.labels
    for row in rows:
        names = known.names(row)
        if names:
            at = labels.index(names[0])
            split = (labels.splits[at] or row.split) if "split" in row.unsaid else row.split
            group = labels.groups[at] if "group" in row.unsaid else row.group
            domain = labels.domains[at] if "domain" in row.unsaid else row.domain
            row = replace(row, split=split, group=group, domain=domain)
        found.append(row)
    return found
