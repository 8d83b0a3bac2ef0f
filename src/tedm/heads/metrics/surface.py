"""How far the surfaces of a predicted mask are from the true ones, class by class, in millimetres.

A surface is the pixels (or voxels) of a class that touch another class, or the rim, by an edge (or a face). Two measures are
taken of the distances from each pixel of one surface to the nearest of the other. HD95 is the 95th percentile of them, of the
two directions the larger one (linear interpolation). The normalised surface distance (NSD, also called surface Dice; Nikolov et
al. 2018, arXiv:1809.04430) is the share of both surfaces' pixels, counted and not weighted by area, that is within a tolerance
of the other surface. Surfaces and distances are those of MONAI, taken once for both measures and of the part of the masks that
shows the class; the measures equal its `compute_hausdorff_distance` and `compute_surface_dice`.

A class that neither mask shows has no distance: NaN. Where only one mask shows it, there is none either, and yet it must not be
left out, or a method that finds nothing would gain by it: NSD is 0, and HD95 is the diagonal of the whole image or volume, the
largest distance in it (the convention of the BraTS challenges, 373.13 mm there; also MetricsReloaded's "worst value",
arXiv:2206.01653). What it counts in a mean is decided by `tedm.heads.metrics.summary`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.metrics.scores import require_comparable
from tedm.text import listed

if TYPE_CHECKING:
    from types import ModuleType

PERCENTILE = 95
SURFACE_TOLERANCE = 1.0  # mm


@dataclass(frozen=True)
class SurfaceScores:
    """Distances between surfaces, each of shape (classes,), float64: HD95 in mm, NSD in [0, 1]; NaN where there is none."""

    hd95: NDArray[np.float64]
    nsd: NDArray[np.float64]


def surface_scores(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    n_classes: int,
    *,
    spacing: Sequence[float],
    tolerance: float = SURFACE_TOLERANCE,
    ignore: int = 255,
) -> SurfaceScores:
    """Measure the distances between the surfaces of one predicted mask and of the truth.

    Parameters
    ----------
    truth, prediction : arrays of shape (y, x) or (z, y, x), uint8 or another integer type
        Class indices in 0 <= index < n_classes.
    n_classes : int
        Number of classes, the background included. Where there are several, the first is the background and not measured: NaN.
    spacing : sequence of float
        Millimetres from pixel to pixel along each axis of the arrays.
    tolerance : float
        Millimetres that a surface may be off and still count as right for NSD; exactly so far is within it.
    ignore : int
        Pixels of this value in `truth` belong to no class in either mask.

    Returns
    -------
    SurfaceScores

    Raises
    ------
    TedmError
        As `tedm.heads.metrics.scores.score` does, or if the spacing or the tolerance is none, or MONAI is not installed.

    Examples
    --------
    >>> truth, prediction = np.zeros((2, 6, 6), np.uint8)
    >>> truth[1:4, 1:4], prediction[1:4, 2:5] = 1, 1
    >>> surface_scores(truth, prediction, 2, spacing=(1.0, 0.5)).hd95
    array([nan, 0.5])
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    require_comparable(truth, prediction, n_classes, ignore)
    steps = _checked_spacing(spacing, truth.ndim)
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise TedmError(f"the tolerance of a surface must be a number of millimetres of at least 0, got {tolerance}")
    monai = _monai()
    diagonal = math.dist([0.0] * truth.ndim, [step * pixels for step, pixels in zip(steps, truth.shape, strict=True)])
    hd95, nsd = np.full(n_classes, np.nan), np.full(n_classes, np.nan)
    for index in range(min(1, n_classes - 1), n_classes):
        true, predicted = truth == index, prediction == index
        predicted &= truth != ignore
        box = _box(true | predicted)
        if box is None:
            continue
        true, predicted = true[box], predicted[box]
        if true.any() and predicted.any():
            hd95[index], nsd[index] = _distances(monai, true, predicted, steps, tolerance)
        else:
            hd95[index], nsd[index] = diagonal, 0.0
    return SurfaceScores(hd95, nsd)


def _distances(
    monai: ModuleType, truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing: list[float], tolerance: float
) -> tuple[float, float]:
    """Return HD95 and NSD of two masks of one class, both of them shown."""
    import torch

    masks = (torch.from_numpy(np.ascontiguousarray(mask)) for mask in (prediction, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of an argument that MONAI itself passes on
        _, pair, _ = monai.get_edge_surface_distance(*masks, spacing=spacing, symmetric=True)
    both = [distances.double().numpy() for distances in pair]
    hd95 = max(float(np.percentile(distances, PERCENTILE)) for distances in both)
    every = np.concatenate(both)
    return hd95, float((every <= np.float32(tolerance)).mean())


def _box(shown: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Return the smallest box around what is shown; None if nothing is."""
    box = []
    for axis in range(shown.ndim):
        places = np.flatnonzero(shown.any(axis=tuple(other for other in range(shown.ndim) if other != axis)))
        if not places.size:
            return None
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)


def _checked_spacing(spacing: Sequence[float], axes: int) -> list[float]:
    steps = [float(step) for step in spacing]
    if len(steps) != axes or not all(math.isfinite(step) and step > 0 for step in steps):
        raise TedmError(
            f"the spacing must be {axes} numbers of millimetres above 0, one for each axis of the masks, got {listed(steps)}"
        )
    return steps


def _monai() -> ModuleType:
    try:
        from monai.metrics import utils
    except ModuleNotFoundError as error:
        raise TedmError(
            f"distances between surfaces (hd95, nsd) need a package that is not installed ({error.name}): "
            "pip install 'tedm[volumes]', or leave them out"
        ) from error
    found: ModuleType = utils
    return found
