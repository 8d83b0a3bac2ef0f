"""Strokes and corrected masks as files that `tedm-label` takes: masks in the values of the classes, and a manifest of them."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images import mask_png, read_legend, uncropped
from tedm.extract.volumes import require_writers, write_label_map
from tedm.files import make_folder, write_table, write_whole
from tedm.foreign import require_plain
from tedm.names import file_of
from tedm.store import IGNORE, Features, Location, Volume
from tedm.study.masks.folder import CLASSES
from tedm.study.strokes.cells import as_learned_from
from tedm.study.strokes.painted import Classes
from tedm.text import from_entry

MASKS, MANIFEST = "masks", "manifest.csv"
REMEDY = "choose another folder; the strokes are safe where they are"
COLUMNS = ("image", "name", "mask")


@dataclass(frozen=True)
class Corrections:
    """What was written.

    Parameters
    ----------
    manifest : Path
    unlabelled : int
        The value of pixels without a label in the masks.
    images : int
        Pictures and volumes that the manifest names.
    """

    manifest: Path
    unlabelled: int
    images: int

    def command(self, store: Location) -> str:
        """Return the command that brings them into a store."""
        return shlex.join(["tedm", "label", str(store), str(self.manifest), "--ignore", str(self.unlabelled)])


def save_corrections(
    folder: Path,
    features: Features,
    masks: Mapping[str, NDArray[np.uint8]],
    classes: Classes,
    *,
    files: Mapping[str, Path] | None = None,
) -> Corrections:
    """Write masks, a manifest and a table of the classes to a folder.

    Parameters
    ----------
    folder : Path
        Corrections that are in it of other images stay in its manifest.
    features : Features
        Whose images these are.
    masks : mapping of str to array of shape (height, width)
        By the images' names, at their own size: class indices, 255 without a label. Slices become the label map of their
        volume, of which other slices have no label.
    classes : Classes
        Of the class indices.
    files : mapping of str to Path, or None
        Of pictures and volumes that are in no store, where their files are: the manifest is then one for tedm-extract, too.

    Returns
    -------
    Corrections

    Raises
    ------
    TedmError
        If no pixel has a label, the folder holds corrections with other classes, or something cannot be written.
    """
    labelled = {name: mask for name, mask in masks.items() if (mask != IGNORE).any()}
    if not labelled:
        raise TedmError("there is no correction to save; paint a stroke first")
    table_of_classes = _classes_of(folder, classes)
    rows = _rows_there(folder / MANIFEST)
    volumes: dict[Volume, dict[str, NDArray[np.uint8]]] = {}
    for name, mask in labelled.items():
        if (volume := features.labels.volume_of(name)) is not None:
            volumes.setdefault(volume, {})[name] = mask
    if volumes:
        require_writers(["nifti"], what="writing the masks of volumes")
    make_folder(folder / MASKS, remedy=REMEDY)
    values = np.full(256, classes.unlabelled, np.int32)
    values[: len(classes.values)] = classes.values
    colours = dict(zip(classes.values, classes.colours, strict=True))
    settings = features.settings

    def as_labels(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return as_learned_from(mask, settings.image_size, settings.geometry)

    for name, mask in labelled.items():
        if features.labels.volume_of(name) is None:
            path = file_of(folder / MASKS, name, ".png")
            numbers = values[as_labels(mask)].astype(np.uint8 if max(classes.values) < 256 else np.uint16)
            write_whole(path, mask_png(numbers, colours), remedy=REMEDY)
            rows[name] = path
    for volume, slices in volumes.items():
        shown = np.full((len(volume.indices), *volume.slice_size), IGNORE, np.uint8)
        numbers_of = {index: number for number, index in enumerate(volume.indices)}
        for name, mask in slices.items():
            at = features.labels.slice_of(name)
            shown[numbers_of[at.index]] = uncropped(as_labels(mask), at, volume.slice_size, np.uint8(IGNORE))
        path = write_label_map(
            folder / MASKS,
            volume,
            volume.from_slices(values[shown]),
            class_names=dict(zip(classes.values, classes.names, strict=True)),
            class_colours=colours,
            like="nifti",
        )
        rows[volume.name] = path
    write_table(folder / CLASSES, [["value", "name", "colour"], *table_of_classes], remedy=REMEDY)
    table = [[str((files or {}).get(name, name)), name, path.relative_to(folder).as_posix()] for name, path in rows.items()]
    write_table(folder / MANIFEST, [COLUMNS, *table], remedy=REMEDY)
    return Corrections(folder / MANIFEST, classes.unlabelled, len(table))


def _classes_of(folder: Path, classes: Classes) -> list[tuple[int, str, str]]:
    """Return the rows of the table of classes: ours, and those that are in the folder already."""
    rows = dict(zip(classes.values, zip(classes.names, classes.colours, strict=True), strict=True))
    if (folder / CLASSES).is_file():
        there = read_legend(folder / CLASSES)
        unlike = [name for value, name in there.names.items() if value in rows and rows[value][0] != name]
        if unlike or classes.unlabelled in there.names:
            what = f"a class called {unlike[0]}" if unlike else f"a class of value {classes.unlabelled}"
            raise TedmError(f"{folder} holds corrections with {what}, and these strokes have none; {REMEDY}")
        for value, name in there.names.items():
            rows.setdefault(value, (name, there.colours.get(value, "#000000")))
    return [(value, *of) for value, of in sorted(rows.items())]


def _rows_there(manifest: Path) -> dict[str, Path]:
    """Return the masks that a manifest of ours names, by the images' names, as far as they are still there."""
    if not manifest.exists():
        return {}
    try:
        require_plain(manifest)
        with manifest.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        if tuple(reader.fieldnames or ()) != COLUMNS or any(set(row) != set(COLUMNS) for row in rows):
            raise ValueError("it has other columns")
        found = {from_entry(row["name"]): file_of(manifest.parent / MASKS, Path(row["mask"]).name, "") for row in rows}
        return {name: path for name, path in found.items() if path.is_file()}
    except (OSError, ValueError, csv.Error, KeyError, TypeError) as error:
        raise TedmError(f"{manifest} is no manifest of corrections ({error}); {REMEDY}") from error
