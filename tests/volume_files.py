"""Small NIfTI files of patients in which a wrong order, a wrong axis or a wrong patient shows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

SHAPE = (8, 9, 5)
# Turned by some degrees about two axes; the file's axes are nearest to left, back and head.
OBLIQUE = np.array([[-0.97, 0.1, 0.2, 40.0], [0.12, -1.1, 0.15, 50.0], [0.2, -0.17, 1.9, -30.0], [0, 0, 0, 1]])
SPLITS = ("train", "train", "val", "test")


def save(path: Path, values: np.ndarray, affine: np.ndarray = OBLIQUE) -> Path:
    """Write a file of the numbers' own type."""
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def brain_of(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A box off the centre."""
    brain = np.zeros(shape, bool)
    brain[1:-2, 2:-1, 1:] = True
    return brain


def head(rng: np.random.Generator, *, level: float = 300.0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Numbers of a head, int16: a brain, and 0 or little around it."""
    x, y, z = np.mgrid[tuple(map(slice, shape))]
    values = level + 20 * x + 7 * y + 11 * z + rng.normal(0, 30, shape)
    return np.where(brain_of(shape), values.clip(1, 30000), 0).astype(np.int16)


def labels_of(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A mask of three classes of which the first slice along the last axis shows only 0."""
    mask = np.zeros(shape, np.uint8)
    mask[2:4, 3:6, 1:] = 3
    mask[4:6, 3:7, 2:] = 7
    return mask


def write_patients(
    folder: Path,
    *,
    splits: Sequence[str] = SPLITS,
    columns: Sequence[str] = ("image",),
    masks: bool = True,
    brains: bool = True,
) -> Path:
    """Write a folder for each patient, and their manifest, whose path is returned."""
    rng = np.random.default_rng(5)
    rows = []
    for number, split in enumerate(splits):
        patient = f"p{number}"
        (folder / patient).mkdir(parents=True)
        row = [patient, split]
        for channel, column in enumerate(columns):
            save(folder / patient / f"{column}.nii.gz", head(rng, level=300.0 + 100 * number + 1000 * channel))
            row.append(f"{patient}/{column}.nii.gz")
        if masks:
            save(folder / patient / "mask.nii.gz", labels_of())
            row.append(f"{patient}/mask.nii.gz")
        if brains:
            save(folder / patient / "brain.nii.gz", brain_of().astype(np.uint8))
            row.append(f"{patient}/brain.nii.gz")
        rows.append(row)
    manifest = folder / "manifest.csv"
    columns = ["patient", "split", *columns, *["mask"] * masks, *["brainmask"] * brains]
    with manifest.open("w", newline="") as file:
        # patients of one column are called after them too: a file is called after its modality
        csv.writer(file).writerows([["name", *columns], *([row[0], *row] for row in rows)])
    return manifest
