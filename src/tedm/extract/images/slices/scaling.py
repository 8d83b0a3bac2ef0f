"""Black and white of a modality, from the numbers of brain voxels.

The arithmetic is float64. Voxels that are not finite count nowhere, and become black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store.volumes.normalisation import Brain, Normalisation


def brain_voxels(voxels: Sequence[NDArray[Any]], mask: NDArray[np.bool_] | None, brain: Brain) -> NDArray[np.bool_] | None:
    """Return which voxels are brain; None if all are.

    Parameters
    ----------
    voxels : sequence of arrays of shape (x, y, z)
        The modalities.
    mask : array of shape (x, y, z), or None
        The brain mask, where there is one.
    brain : {"mask", "nonzero", "all"}
        A voxel that is not 0 (nor NaN) in any modality is `nonzero`.

    Raises
    ------
    ValueError
        If a mask is asked for and there is none.
    """
    if brain == "all":
        return None
    if brain == "mask":
        if mask is None:
            raise ValueError("there is no brain mask")
        return mask
    inside = np.zeros(voxels[0].shape, np.bool_)
    for one in voxels:
        inside |= (one != 0) & np.isfinite(one)
    return inside


def black_and_white(
    voxels: NDArray[Any], brain: NDArray[np.bool_] | None, normalisation: Normalisation, channel: int, path: Path
) -> tuple[float, float]:
    """Return black and white of one modality of one volume, in its file's numbers.

    Parameters
    ----------
    voxels : array of shape (x, y, z)
    brain : array of shape (x, y, z), or None
        Which voxels count; None counts all.
    normalisation : Normalisation
        Two quantiles of these voxels (arXiv:2311.07421, eq. 5 and 6; between neighbours linearly), or those of the training
        patients' mean and deviation.
    channel : int
        Which modality it is.
    path : Path
        Its file, for messages.

    Raises
    ------
    TedmError
        If no voxel counts, or black and white would be one number.
    """
    if normalisation.method == "zscore":
        mean, deviation = normalisation.means[channel], normalisation.deviations[channel]
        return mean - normalisation.reach * deviation, mean + normalisation.reach * deviation
    black, white = (float(each) for each in np.quantile(_counted(voxels, brain, path), (normalisation.low, normalisation.high)))
    if not black < white:
        raise TedmError(
            f"{path}: its quantiles {normalisation.low:g} and {normalisation.high:g} are both {black:g}, it shows nothing; "
            "look at the file and at its brain mask"
        )
    return black, white


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared differences of numbers; those of two parts make those of both."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, voxels: NDArray[Any], brain: NDArray[np.bool_] | None, path: Path) -> Moments:
        """Return those of a modality's brain voxels; a `TedmError` that names the file if there is none."""
        numbers = _counted(voxels, brain, path)
        mean = float(numbers.mean())
        return cls(numbers.size, mean, float(((numbers - mean) ** 2).sum()))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * other.count / count
        return Moments(count, self.mean + apart * other.count / count, squares)

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0


def _counted(voxels: NDArray[Any], brain: NDArray[np.bool_] | None, path: Path) -> NDArray[np.float64]:
    numbers = (voxels.ravel() if brain is None else voxels[brain]).astype(np.float64)
    if voxels.dtype.kind == "f":
        numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        raise TedmError(f"{path}: no voxel of it is brain (or finite), so that black and white are unknown; look at its mask")
    return numbers
