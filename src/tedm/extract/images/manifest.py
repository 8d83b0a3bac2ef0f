"""A list of images, each with what is known about it, checked before any work starts.

Reading a manifest opens every file that it lists: headers of images, pixels of masks. Whatever is wrong with any of them is
said at once, so that a night's extraction does not end at image 9,000; what is returned can be relied on. Images that a store
has already are not opened again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.store import IGNORE, Labels
from tedm.text import listed

from .listing import Row, problems_between, rows_of_csv, rows_of_folder
from .palettes import Palettes
from .read import READERS, intensity_problem, read_header, read_labels, read_mask
from .reader import Header

MOST_CLASSES = 200  # in one mask; more are a photograph's grey values


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
    """

    name: str
    image: Path
    mask: Path | None
    split: str
    group: str
    domain: str
    size: tuple[int, int]


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
    """

    entries: tuple[ManifestEntry, ...]
    classes: tuple[int, ...] | None
    ignore: int | None = None
    headers: tuple[Header | None, ...] = field(default=(), repr=False)

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
        values = read_mask(entry.mask)
        problem = _mask_problem(values, entry.size, self.classes, self.ignore)
        if problem:
            raise TedmError(f"{entry.mask}: {problem}")
        order = np.argsort(self.classes)
        at = np.searchsorted(self.classes, values, sorter=order).clip(max=len(order) - 1)
        indices: NDArray[np.uint8] = order.astype(np.uint8)[at]
        if self.ignore is not None:
            indices[values == self.ignore] = IGNORE
        return indices

    def require_intensity_range(self, intensity_range: tuple[float, float] | None) -> None:
        """Refuse images whose numbers this intensity range (None: the file type's) cannot map to [0, 1], all at once."""
        problems = [
            f"{entry.image}: {problem}"
            for entry, header in zip(self.entries, self.headers, strict=True)
            if header is not None and (problem := intensity_problem(header, intensity_range))
        ]
        raise_listed("these images cannot be mapped to the backbone's range", problems)


def read_manifest(
    source: Path,
    *,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    known: Labels | None = None,
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
    known : Labels, optional
        Images that need not be opened: a store has them whole. Their sizes, and classes, are taken from here.
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
        its image or with values that are no classes, two images of one name, an unknown split, a group, a patient or an image
        in two splits.
    """
    if classes is not None:
        _require_classes(classes, ignore)
    if not source.exists():
        raise TedmError(f"{source}: no such file or folder; expected a CSV or a folder of images")
    table = source / "manifest.csv" if source.is_dir() and (source / "manifest.csv").is_file() else source
    rows, problems = (rows_of_folder if table.is_dir() else rows_of_csv)(table)
    if not rows and not problems:
        raise TedmError(f"{table}: no images; expected {', '.join(READERS)}")
    if only_masks_of is not None:
        rows = _as_known(rows, only_masks_of)
    problems += problems_between(rows)
    # Threads: decoding releases the interpreter's lock. A few: more do not make a disk faster.
    sizes = dict(zip(known.names, known.original_sizes, strict=True)) if known else {}
    opened = [row for row in rows if row.name not in sizes]
    if only_masks_of is not None:
        sizes |= dict(zip(only_masks_of.names, only_masks_of.original_sizes, strict=True))

    palettes = Palettes()

    def check(row: Row) -> tuple[Header | None, tuple[int, ...], list[str]]:
        return _checked(row, classes, ignore, sizes.get(row.name), palettes)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found_in = dict(zip(map(id, opened), pool.map(check, opened), strict=True))
    unopened: tuple[Header | None, tuple[int, ...], list[str]] = (None, known.classes if known else (), [])
    checked = [found_in.get(id(row), unopened) for row in rows]
    for row, (_, _, found) in zip(rows, checked, strict=True):
        problems += [f"{row.where}: {problem}" for problem in found]
    problems += palettes.problems(ignore)
    values = {value for _, of_mask, _ in checked for value in of_mask}
    masks = any(row.mask for row in rows)
    found_classes = tuple(classes) if classes is not None else tuple(sorted(values)) if masks else None
    if masks and not problems and not values:
        problems.append(f"no mask has a labelled pixel: all of them hold {ignore}, which is ignored, and nothing else")
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
        )
        for row, header in zip(rows, headers, strict=True)
    )
    return Manifest(entries, found_classes, ignore, headers)


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
    row: Row, classes: Sequence[int] | None, ignore: int | None, size: tuple[int, int] | None, palettes: Palettes
) -> tuple[Header | None, tuple[int, ...], list[str]]:
    """Return an image's header (None if its size is known), its mask's values without the ignored one, and what is wrong."""
    problems: list[str] = []
    header, values = None, None
    try:
        header = None if size else read_header(row.image)
    except TedmError as error:
        problems.append(f"image {error}")
    try:
        values = palettes.note(row.mask, read_labels(row.mask)) if row.mask else None
    except TedmError as error:
        problems.append(f"mask {error}")
    if values is None:
        return header, (), problems
    size = (header.height, header.width) if header else size
    if problem := _mask_problem(values, size, classes, ignore):
        problems.append(f"mask {row.mask}: {problem}")
        return header, (), problems
    return header, tuple(value for value in _values(values) if value != ignore), problems


def _mask_problem(
    mask: NDArray[np.int32], size: tuple[int, int] | None, classes: Sequence[int] | None, ignore: int | None
) -> str | None:
    if size is not None and mask.shape != size:
        return f"{mask.shape[0]} x {mask.shape[1]} pixels (height x width), its image {size[0]} x {size[1]}"
    values = _values(mask)
    if classes is not None:
        strange = [value for value in values if value not in classes and value != ignore]
        if strange:
            some = listed(strange, most=5)
            return f"values {some} are none of the classes {listed(classes)}; change --classes, or --ignore one value"
    elif negative := [value for value in values if value < 0 and value != ignore]:
        return f"values {listed(negative, most=5)} are negative; --ignore one of them, or say with --classes what is a class"
    elif len(values) > MOST_CLASSES:
        return f"{len(values)} different values; is it a photograph, or was it saved as JPEG? (--classes tells what is a class)"
    return None


def _values(mask: NDArray[np.int32]) -> list[int]:
    if mask.min() >= 0 and mask.max() < 65536:
        return [int(value) for value in np.flatnonzero(np.bincount(mask.ravel()))]  # ten times faster than sorting
    return [int(value) for value in np.unique(mask)]


def _require_classes(classes: Sequence[int], ignore: int | None) -> None:
    if len(set(classes)) != len(classes):
        raise TedmError(f"classes {listed(classes)}: each value once")
    if not 1 <= len(classes) <= IGNORE:
        raise TedmError(f"{len(classes)} classes; expected 1 to {IGNORE}")
    if ignore in classes:
        raise TedmError(f"the value {ignore} is both a class and ignored; take it out of one of the two")
