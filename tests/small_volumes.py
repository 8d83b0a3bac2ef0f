"""Small NIfTI files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

SHAPE = (5, 6, 4)
AFFINE = np.array([[-1.0, 0, 0, 9], [0, 1.5, 0, -7], [0, 0, 2, -4], [0, 0, 0, 1]])  # axes L-A-S


def scan(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> NDArray[np.int16]:
    """Numbers as those of MRI, with no order in them."""
    return np.random.default_rng(seed).integers(1, 1000, shape).astype(np.int16)


def label_map(seed: int = 0, values: tuple[int, ...] = (0, 1, 2), shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    """Labels, each of them there; the last slice but one shows the first alone."""
    labels = np.random.default_rng(seed).choice(np.array(values, np.uint8), shape)
    labels[..., -2] = values[0]
    labels[: len(values), 0, 0] = values
    return labels


def write_nifti(path: Path, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Path:
    """Write a volume; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path
