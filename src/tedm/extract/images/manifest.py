"""A list of images, each with what is known about it, checked before any work starts.

Reading a manifest opens every file that it lists: headers of images, pixels of masks. Whatever is wrong with any of them is
said at once, so that a night's extraction does not end at image 9,000; what is returned can be relied on. Images that a store
has already are not opened again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.store import IGNORE, Labels

from .intensity_check import look_at_intensities, require_grey
from .leftovers import left_out
from .listing import Row, composed, problems_between, rows_of_csv, rows_of_folder
from .masks import (
    ClassCount,
    MaskValues,
    as_meant,
    class_counts,
    encoding_problems,
    in_words,
    look,
    mask_problem,
    require_classes,
)
from .palettes import Palettes
from .read import READERS, intensity_problem, read_header, read_labels, read_mask
from .reader import Header


@dataclass(frozen=True)
class ManifestEntry:
    """One image.

    Parameters
    ----------
    name : str
        Unique; the file name, without suffix, of what will be made from the image.
    image : Path
        The image's file.
    mask : Path or None
        The mask's file, of the image's size.
    split : {"train", "val", "test", ""}
        The part that the image may play; empty for none.
    group : str
        Who or what the image shows (a patient, a volume): a group never crosses a split.
    domain : str
        Where the image comes from (a hospital, a scanner).
    size : (height, width)
        Size of the upright image, in pixels.
    unsaid : frozenset of str
        Those of "split", "group" and "domain" that are defaults.
    """

    name: str
    image: Path
    mask: Path | None
    split: str
    group: str
    domain: str
    size: tuple[int, int]
    unsaid: frozenset[str] = frozenset()


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
    """

    entries: tuple[ManifestEntry, ...]
    classes: tuple[int, ...] | None
    ignore: int | None = None
    headers: tuple[Header | None, ...] = field(default=(), repr=False)
    threshold: int | None = None
    remarks: tuple[str, ...] = ()
    counts: tuple[ClassCount, ...] = field(default=(), repr=False)

    def sentences(self) -> list[str]:
        """Say what is not used, and the classes of the masks that were opened with their pixels and images."""
        classes = [f"classes in the masks: {in_words(self.counts)}"] if any(count.masks for count in self.counts) else []
        return [f"note: {remark}" for remark in self.remarks] + classes

    def read_mask(self, entry: ManifestEntry) -> NDArray[np.uint8]:
        """Read an entry's mask.

        Returns
        -------
        array of shape (height, width)
            Class indices; 255 where the mask holds the ignored value.

        Raises
        ------
        TedmError
            If the file can no longer be read, or holds a value that is no class.
        """
        if entry.mask is None or self.classes is None:
            raise ValueError(f"{entry.name} has no mask")
        values = as_meant(read_mask(entry.mask), self.threshold, self.classes, self.ignore)
        problem = mask_problem(values, entry.size, self.classes, self.ignore)
        if problem:
            raise TedmError(f"{entry.mask}: {problem}")
        order = np.argsort(self.classes)
        at = np.searchsorted(self.classes, values, sorter=order).clip(max=len(order) - 1)
        indices: NDArray[np.uint8] = order.astype(np.uint8)[at]
        if self.ignore is not None:
            indices[values == self.ignore] = IGNORE
        return indices

    def require_intensity_range(self, intensity_range: tuple[float, float] | None, *, channels: int = 3) -> list[str]:
        """Refuse images that cannot become the backbone's, all at once; look at the values of a sample of them.

        Parameters
        ----------
        intensity_range : tuple of two floats or None
            Black and white in files of more than 8 bits; None is the file type's range.
        channels : {1, 3}
            Of the backbone; one channel takes no colours.

        Returns
        -------
        list of str
            What is odd about the values; see `tedm.extract.images.intensity_check`. Those that were not opened are left out.

        Raises
        ------
        TedmError
            If numbers cannot be mapped to [0, 1], images are in colour where one channel is wanted, or all of one grey value.
        """
        images = [(entry.image, header) for entry, header in zip(self.entries, self.headers, strict=True) if header is not None]
        problems = [f"{path}: {problem}" for path, header in images if (problem := intensity_problem(header, intensity_range))]
        raise_listed("these images cannot be mapped to the backbone's range", problems)
        if channels == 1:
            require_grey(images, intensity_range)
        return look_at_intensities(images, intensity_range, all_there_are=len(images) == len(self.entries))


def read_manifest(
    source: Path,
    *,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    threshold: int | None = None,
    masks: bool = True,
    strict: bool = False,
    known: Labels | None = None,
    as_read: Callable[[str, Path, Path | None], bool] | None = None,
    only_masks_of: Labels | None = None,
) -> Manifest:
    """Read a manifest and check every file in it.

    Parameters
    ----------
    source : Path
        A CSV (UTF-8, commas) with a column `image` and optionally `name`, `mask`, `split`, `group`, `patient`, `domain`, whose
        paths are relative to it; or a folder with a `manifest.csv`, with `images/` and perhaps `masks/` (paired by file stem),
        or with images.
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
    as_read : callable (name, image, mask), optional
        Whether the files of an image in `known` are as they were read; if not, they are opened all the same. Default: they are.
    only_masks_of : Labels, optional
        Images of which only the masks are opened, to label them anew: their files may be elsewhere. Their sizes are taken from
        here, and the splits, groups and domains of which nothing is said.

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
    classes = require_classes(classes, ignore, threshold)
    if not source.exists():
        raise TedmError(f"{source}: no such file or folder; expected a CSV or a folder of images")
    table = source / "manifest.csv" if source.is_dir() and (source / "manifest.csv").is_file() else source
    rows, problems = (rows_of_folder if table.is_dir() else rows_of_csv)(table)
    remarks = left_out(source, table, rows, masks=masks)
    if not rows and not problems:
        raise TedmError("\n  ".join([f"{table}: no images; expected {', '.join(READERS)}", *remarks]))
    if strict:
        raise_listed(f"{source} holds what would not be used, which --strict refuses", remarks)
    rows = _spelled_as(rows, known, only_masks_of)
    if only_masks_of is not None:
        rows = _as_known(rows, only_masks_of)
    if not masks:
        rows = [replace(row, mask=None) for row in rows]
    problems += problems_between(rows)
    # Threads: decoding releases the interpreter's lock. A few: more do not make a disk faster.
    sizes = dict(zip(known.names, known.original_sizes, strict=True)) if known else {}
    if as_read is not None:
        anew = {row.name for row in rows if row.name in sizes and not as_read(row.name, row.image, row.mask)}
        sizes = {name: size for name, size in sizes.items() if name not in anew}
    opened = [row for row in rows if row.name not in sizes]
    if only_masks_of is not None:
        sizes |= dict(zip(only_masks_of.names, only_masks_of.original_sizes, strict=True))

    palettes = Palettes()

    def check(row: Row) -> tuple[Header | None, MaskValues, list[str]]:
        return _checked(row, classes, ignore, threshold, sizes.get(row.name), palettes)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found_in = dict(zip(map(id, opened), pool.map(check, opened), strict=True))
    unopened: tuple[Header | None, MaskValues, list[str]] = (None, MaskValues(), [])
    checked = [found_in.get(id(row), unopened) for row in rows]
    for row, (_, _, found) in zip(rows, checked, strict=True):
        problems += [f"{row.where}: {problem}" for problem in found]
    problems += palettes.problems(ignore)
    before = known.classes if known and not {row.name for row in rows}.isdisjoint(known.names) else ()
    values = {value for _, of_mask, _ in checked for value in of_mask.pixels}.union(before)
    with_masks = any(row.mask for row in rows)
    found_classes = classes if classes is not None else tuple(sorted(values)) if with_masks else None
    if with_masks and not problems and not values:
        problems.append(f"no mask has a labelled pixel: all of them hold {ignore}, which is ignored, and nothing else")
    if classes is None:
        problems += encoding_problems(
            {row.where: of for row, (_, of, _) in zip(rows, checked, strict=True) if of.pixels}, before
        )
    counts = class_counts((of_mask for _, of_mask, _ in checked), found_classes or ())
    empty = [count.value for count in counts if not count.pixels]
    if threshold is not None and with_masks and known is None and not problems and empty:
        problems.append(
            f"--threshold {threshold} leaves class {empty[0]} without a pixel; choose a number between those in the masks"
        )
    if found_classes is not None and len(found_classes) > IGNORE:
        problems.append(f"{len(found_classes)} classes in all masks together; at most {IGNORE} are possible")
    raise_listed(f"{source} cannot be used", problems)
    headers = tuple(header for header, _, _ in checked)
    entries = tuple(
        ManifestEntry(
            row.name,
            row.image,
            row.mask,
            row.split,
            row.group,
            row.domain,
            (header.height, header.width) if header is not None else sizes[row.name],
            row.unsaid,
        )
        for row, header in zip(rows, headers, strict=True)
    )
    return Manifest(entries, found_classes, ignore, headers, threshold, tuple(remarks), counts)


def _spelled_as(rows: Sequence[Row], *of: Labels | None) -> list[Row]:
    """Name images as a store does that has them under another spelling of the same letters; see `listing.composed`."""
    names = {name for labels in of if labels is not None for name in labels.names}
    by_letters = {composed(name): name for name in names if not name.isascii()}
    return [row if row.name in names else replace(row, name=by_letters.get(composed(row.name), row.name)) for row in rows]


def _as_known(rows: Sequence[Row], labels: Labels) -> list[Row]:
    """Fill in, from their labels, what is not said of known images; one without a split that gets a mask is for training."""
    known = {name: at for at, name in enumerate(labels.names)}
    found = []
    for row in rows:
        at = known.get(row.name)
        if at is not None:
            split = (labels.splits[at] or row.split) if "split" in row.unsaid else row.split
            group = labels.groups[at] if "group" in row.unsaid else row.group
            domain = labels.domains[at] if "domain" in row.unsaid else row.domain
            row = replace(row, split=split, group=group, domain=domain)
        found.append(row)
    return found


def _checked(
    row: Row,
    classes: Sequence[int] | None,
    ignore: int | None,
    threshold: int | None,
    size: tuple[int, int] | None,
    palettes: Palettes,
) -> tuple[Header | None, MaskValues, list[str]]:
    """Return an image's header (None if its size is known), its mask's values without the ignored one, and what is wrong."""
    problems: list[str] = []
    header, values = None, None
    try:
        header = None if size else read_header(row.image)
    except TedmError as error:
        problems.append(f"image {error}")
    try:
        values = palettes.note(row.mask, read_labels(row.mask)) if row.mask else None
        values = None if values is None else as_meant(values, threshold, classes, ignore)
    except TedmError as error:
        problems.append(f"mask {error}")
    if values is None:
        return header, MaskValues(), problems
    size = (header.height, header.width) if header else size
    if problem := mask_problem(values, size, classes, ignore):
        problems.append(f"mask {row.mask}: {problem}")
        return header, MaskValues(), problems
    return header, look(values, ignore), problems
