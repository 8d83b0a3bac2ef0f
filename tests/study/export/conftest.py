"""Stores of real images and volumes: squares and masks as an extraction makes them; the activations mean nothing."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tedm.extract import Manifest, read_manifest, square_image
from tedm.extract.images import VolumeOptions
from tedm.extract.registration import name_classes, registrations
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Level, Storage

SETTINGS = FeatureSettings("ab" * 32, (Level("l", 1, 2),), 16, 1, "pad", (-1.0, 1.0), None, "nearest", "none", 0, (1,), 1)
RAMPS = (-200.0, 200.0)  # millimetres that are black and white


def _store_of(path: Path, manifest: Manifest | Path, *, written: int | None = None, **changes: Any) -> FeatureStore:
    """A store of a manifest's images; `written`: only so many of them."""
    if isinstance(manifest, Path):
        manifest = read_manifest(manifest)
    settings = dataclasses.replace(SETTINGS, axis=manifest.axis, **changes)
    store = FeatureStore.create(
        path, settings, Arithmetic("cpu", "float32", False, 1, 1, "2", "p"), Storage("native", "float16"), {}
    )
    store.register(registrations(manifest, settings), manifest.classes or ())
    name_classes(store, manifest)
    side = settings.image_size // 2
    for entry in manifest.entries[:written]:
        store.write(entry.name, square_image(entry, settings), [np.ones((1, 1, side, side, 1), np.float32)])
    return store


@pytest.fixture
def store_of() -> Callable[..., FeatureStore]:
    return _store_of


def _write_volumes(
    folder: Path,
    affine: np.ndarray,
    shape: tuple[int, int, int] = (14, 11, 7),
    splits: tuple[str, ...] = ("train", "val", "test"),
    empty: tuple[int, ...] = (),
    classes: str = "value,name\n0,none\n3,left part\n9,right part\n",
) -> Path:
    """Volumes whose three modalities are the millimetres right, front and up of each voxel; masks of 0, 3, 9 by chance.

    Masks show nothing in the third axis' slices `empty`.
    """
    folder.mkdir(parents=True)
    voxels = np.stack([*np.indices(shape), np.ones(shape)])
    rows = []
    for number, split in enumerate(splits):
        moved = affine.copy()
        moved[:3, 3] += 3.7 * number
        places = np.einsum("ij,jxyz->ixyz", moved, voxels)
        for axis, name in enumerate("xyz"):
            nib.save(nib.Nifti1Image(places[axis].astype(np.float32), moved), folder / f"p{number}-{name}.nii.gz")
        mask = np.random.default_rng(number).choice(np.array([0, 3, 9], np.uint8), shape)
        mask[..., list(empty)] = 0
        nib.save(nib.Nifti1Image(mask, moved), folder / f"p{number}-mask.nii.gz")
        rows.append([*(f"p{number}-{name}.nii.gz" for name in (*"xyz", "mask")), split, f"case {number}"])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x", "y", "z", "mask", "split", "name"], *rows])
    (folder / "classes.csv").write_text(classes)
    return folder


@pytest.fixture
def write_volumes() -> Callable[..., Path]:
    return _write_volumes


@pytest.fixture
def store_of_volumes(tmp_path: Path) -> Callable[..., FeatureStore]:
    """A store of such volumes; options as those of `VolumeOptions`, of `_write_volumes` by `data`, others are settings."""

    def make(affine: np.ndarray, *, data: dict | None = None, options: dict | None = None, **changes: Any) -> FeatureStore:
        folder = _write_volumes(tmp_path / "volumes", affine, **(data or {}))
        chosen = VolumeOptions(channels=("x", "y", "z"), **(options or {}))
        manifest = read_manifest(folder, options=chosen)
        more = {"image_channels": 3, "channel_names": ("x", "y", "z"), "intensity_range": RAMPS, "crop": chosen.crop}
        return _store_of(tmp_path / "store", manifest, **{**more, **changes})

    return make
