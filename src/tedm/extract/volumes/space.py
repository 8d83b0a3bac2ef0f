"""Where the voxels of a file lie: affines that can be used, how far two are apart, and what they look like in a message."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.packages import package
from tedm.store.volumes.volume import Matrix


def matrix_of(affine: NDArray[Any]) -> Matrix:
    """Return an affine, an array of shape (4, 4), as plain numbers."""
    rows = np.asarray(affine, np.float64).tolist()
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in rows)


def affine_problem(affine: NDArray[Any]) -> str | None:
    """Return what is wrong with an affine, a clause that goes on after it; None if voxels have a place by it.

    Examples
    --------
    >>> affine_problem(np.eye(4)), affine_problem(np.diag([1.0, 0.0, 1.0, 1.0]))
    (None, 'is singular: its axes do not span the space')
    """
    with np.errstate(all="ignore"):
        matrix = np.asarray(affine, np.float64)
        steps = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
        if not (np.isfinite(matrix).all() and np.isfinite(steps).all()):
            return "has numbers that are not finite"
        if not steps.all() or abs(np.linalg.det(matrix[:3, :3] / steps)) < 1e-6:
            return "is singular: its axes do not span the space"
    return None


def apart(shape: tuple[int, int, int], one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest distance of a voxel by two affines, in millimetres; it is that of a corner."""
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, length - 1) for length in shape))], np.float64)
    with np.errstate(all="ignore"):
        between = corners @ (np.asarray(one, np.float64) - np.asarray(other, np.float64))[:3].T
        return float(np.sqrt((between**2).sum(axis=1)).max())


def tolerance(affine: NDArray[Any]) -> float:
    """Return how far apart, in millimetres, voxels may lie that are the same place: a tenth of their spacing, or 0.01."""
    return max(0.01, 0.1 * float(np.sqrt((np.asarray(affine, np.float64)[:3, :3] ** 2).sum(axis=0)).min()))


def in_short(affine: NDArray[Any]) -> str:
    """Write an affine on a part of a line: where its axes lead, the spacing, and where the first voxel lies.

    Examples
    --------
    >>> in_short(np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126.5], [0, 0, 2, -72], [0, 0, 0, 1]]))
    'axes L-A-S, 1 x 1 x 2 mm, first voxel at 90, -126.5, -72'
    """
    matrix = np.asarray(affine, np.float64)
    letters = "-".join(package("nibabel.orientations", "volumes", "a volume").aff2axcodes(matrix))
    steps = " x ".join(f"{step:.4g}" for step in np.sqrt((matrix[:3, :3] ** 2).sum(axis=0)))
    return f"axes {letters}, {steps} mm, first voxel at {', '.join(f'{place:.6g}' for place in matrix[:3, 3])}"
