"""How the numbers of a volume become intensities, where its file's type says too little.

The numbers of MRI have no unit: black and white are taken from the voxels themselves. They are the same for all slices of a
volume, each modality has its own, and what was taken from patients for all volumes is kept here, with those patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

NormalisationMethod = Literal["quantile", "zscore"]
Brain = Literal["mask", "nonzero", "all"]


@dataclass(frozen=True)
class Normalisation:
    """How intensities are scaled, volume by volume and modality by modality.

    Parameters
    ----------
    method : {"quantile", "zscore"}
        `quantile`: two quantiles of the volume's own brain voxels become black and white (arXiv:2311.07421, eq. 5 and 6).
        `zscore`: black and white lie `reach` standard deviations below and above the mean of the training patients' brain
        voxels. What lies beyond is clipped.
    brain : {"mask", "nonzero", "all"}
        Which voxels are brain: those of a brain mask, those that are not 0, or all. Other voxels become black.
    low, high : float
        The two quantiles, 0 <= low < high <= 1.
    reach : float
        Standard deviations from the mean to black and to white.
    means, deviations : tuple of float
        Of `zscore`, for each modality in the file's numbers.
    patients : tuple of str
        The groups whose voxels `means` and `deviations` are over: training patients only.
    """

    method: NormalisationMethod
    brain: Brain = "all"
    low: float = 0.01
    high: float = 0.99
    reach: float = 3.0
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    patients: tuple[str, ...] = ()

    def problems(self, channels: int) -> Iterator[str]:
        """Yield what cannot be so, for images of so many channels."""
        if not 0 <= self.low < self.high <= 1:
            yield f"has the quantiles {self.low} and {self.high}, not 0 <= low < high <= 1"
        if not 0 < self.reach < math.inf:
            yield f"reaches {self.reach} standard deviations, not a number above 0"
        if self.method == "zscore":
            if not len(self.means) == len(self.deviations) == channels:
                yield f"has {len(self.means)} means and {len(self.deviations)} deviations for {channels} channels"
            if not all(map(math.isfinite, (*self.means, *self.deviations))) or any(each <= 0 for each in self.deviations):
                yield "has a mean that is not finite or a deviation that is not above 0"

    def __str__(self) -> str:
        where = {"mask": "in the brain mask", "nonzero": "of voxels that are not 0", "all": "of all voxels"}[self.brain]
        if self.method == "quantile":
            return f"quantiles {self.low:g} and {self.high:g} {where}"
        return f"mean and deviation {where} over {len(self.patients)} training patients, {self.reach:g} deviations to white"
