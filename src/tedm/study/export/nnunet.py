"""A store as a raw data set of nnU-Net (version 2): what heads learn from and are scored on, for that baseline.

Images are the store's own, at feature resolution: the same pixels, the same splits, the same labels. Pictures become PNG files
of 16 bits, volumes NIfTI files in their own place. `tedm.json` says which label is which class, and which case which image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images import grid_of
from tedm.extract.volumes import write_label_map, write_modality
from tedm.files import new_folder, require_new, write_whole
from tedm.jsons import JsonValue
from tedm.names import file_of
from tedm.store import IGNORE, FeatureStore
from tedm.study.export.cases import Case, cases_of, folds_of
from tedm.study.export.labelling import IGNORED, channel_names, label_names, remarks_on_names
from tedm.study.export.pictures import WHITE, write_intensities, write_labels
from tedm.study.stages import Log, Stages, mute, silent
from tedm.text import counted

REMEDY = "make room, and run the same command again"
FOLDERS = {"train": ("imagesTr", "labelsTr"), "val": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
_NAME = re.compile(r"Dataset(?P<number>\d{3})_[\w.+-]+", re.ASCII)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    cases : mapping of str to int
        How many cases of each split there are.
    labels : tuple of str
        What the labels 0, 1, ... are called; the last is "ignore" if a pixel has no label.
    folds : int
        How many folds `splits_final.json` has; 0 if there is none.
    """

    cases: dict[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    folds: int = 0


def export_nnunet(store: FeatureStore, folder: Path, *, progress: Stages = silent, log: Log = mute) -> Exported:
    """Write a store's images, masks and splits as a raw data set of nnU-Net, version 2.

    Parameters
    ----------
    store : FeatureStore
        Whole.
    folder : Path
        Not there yet, or empty, and called `DatasetNNN_NAME`. It is whole in the end, or absent.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    Exported

    Raises
    ------
    TedmError
        If the folder has another name or is taken, its number is, the store lacks images or masks, or see
        `tedm.study.export.cases.cases_of`.
    """
    require_name(folder)
    require_new(folder)
    missing = store.missing()
    if missing:
        raise TedmError(
            f"{store.path} lacks {len(missing)} of {counted(len(store.labels), 'image')}, {missing[0]} say; run the same "
            "tedm-extract again to complete it"
        )
    cases, remarks = cases_of(store.labels, str(store.path))
    if len(store.labels.classes) < 2:
        raise TedmError(f"{store.path} has one class, {store.labels.called[0]}: there is nothing to tell apart for nnU-Net")
    for remark in (*remarks, *remarks_on_names(store.settings, store.labels)):
        log(f"note: {remark}")
    folds = folds_of(cases)
    ignored = False
    with new_folder(folder, what="the data set", remedy=REMEDY) as aside, progress("writing") as show:
        for part in {part for case in cases for part in FOLDERS[case.split][: 1 + case.labelled]}:
            (aside / part).mkdir()
        for number, case in enumerate(cases, 1):
            ignored |= _write_case(store, case, aside)
            show(number, len(cases))
        names = [*label_names(store.labels), *[IGNORED] * ignored]
        training = sum(case.split != "test" for case in cases)
        ending = ".nii.gz" if cases[0].volume else ".png"
        _write_json(
            aside / "dataset.json",
            {
                "channel_names": {str(at): name for at, name in enumerate(channel_names(store.settings))},
                "labels": {name: label for label, name in enumerate(names)},
                "numTraining": training,
                "file_ending": ending,
            },
        )
        _write_json(aside / "tedm.json", _about(store, cases, names))
        if folds:
            _write_json(aside / "splits_final.json", [dict(fold) for fold in folds])
    counts = {split: sum(case.split == split for case in cases) for split in FOLDERS}
    return Exported(counts, tuple(names), len(folds))


def require_name(folder: Path) -> None:
    """Refuse a folder that nnU-Net would not know as a data set, or whose number another one beside it has."""
    matched = _NAME.fullmatch(folder.name)
    if matched is None:
        raise TedmError(
            f"{folder}: nnU-Net knows data sets by names like Dataset501_Lungs, of three digits and a name; call it so"
        )
    number = matched["number"]
    others = [other.name for other in folder.parent.glob(f"Dataset{number}_*") if other.is_dir() and other.name != folder.name]
    if others:
        raise TedmError(f"{folder}: {others[0]} beside it has the number {number} too, which nnU-Net refuses; take another one")


def _write_case(store: FeatureStore, case: Case, folder: Path) -> bool:
    """Write a case's files; whether a pixel of it has no label."""
    labels, settings = store.labels, store.settings
    size = labels.original_sizes[labels.index(case.images[0])]
    grid = grid_of(size, settings.image_size, settings.geometry, volume=case.volume, slices=case.slices)
    images, masks = (folder / part for part in FOLDERS[case.split])
    planes = np.stack([_intensities(store, name)[grid.rows, grid.columns] for name in case.images])
    truth = np.stack([store.mask(name)[grid.rows, grid.columns] for name in case.images])
    unknown = truth == IGNORE
    truth[unknown] = len(labels.classes)
    if grid.volume is None:
        for channel in range(settings.image_channels):
            write_intensities(file_of(images, case.name, f"_{channel:04d}.png"), planes[0, ..., channel], remedy=REMEDY)
        if case.labelled:
            write_labels(file_of(masks, case.name, ".png"), truth[0], remedy=REMEDY)
    else:
        volume = replace(grid.volume, name=case.name)
        for channel in range(settings.image_channels):
            write_modality(images, volume, channel, volume.from_slices(planes[..., channel]))
        if case.labelled:
            write_label_map(masks, volume, volume.from_slices(truth), like="nifti")
    return case.labelled and bool(unknown.any())


def _intensities(store: FeatureStore, name: str) -> NDArray[np.float32]:
    image = store.image(name)
    if not (image.min() >= 0 and image.max() <= 1):  # NaN is neither
        raise TedmError(f"image {name} of {store.path} has intensities that are not from 0 to 1; tedm-verify {store.path}")
    return image


def _about(store: FeatureStore, cases: Sequence[Case], names: Sequence[str]) -> JsonValue:
    """Return what nnU-Net does not ask for: where everything comes from."""
    settings, labels = store.settings, store.labels
    white = 1 if cases[0].volume else WHITE
    return {
        "store": str(store.path),
        "checkpoint_sha256": settings.checkpoint_sha256,
        "image_size": settings.image_size,
        "geometry": settings.geometry,
        "axis": settings.axis,
        "crop": settings.crop,
        "black and white": [0, white],
        "labels": [
            {"label": label, "value": value, "name": name, "class": called}
            for label, (value, name, called) in enumerate(zip(labels.classes, names, labels.called, strict=False))
        ],
        "ignore": len(labels.classes) if names[-1] == IGNORED else None,
        "cases": {case.name: _about_case(case) for case in cases},
    }


def _about_case(case: Case) -> JsonValue:
    known: dict[str, JsonValue] = {"split": case.split, "group": case.group, "domain": case.domain}
    if case.volume is None:
        return {**known, "image": case.images[0]}
    indices = [each.index for each in case.slices]
    return {**known, "volume": case.volume.name, "slices": [min(indices), max(indices)]}


def _write_json(path: Path, value: JsonValue) -> None:
    write_whole(path, (json.dumps(value, indent=1) + "\n").encode(), remedy=REMEDY)
