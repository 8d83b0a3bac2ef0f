"""Is a committee as sure as it is right? Counts that add up over images, and what follows from them.

The confidence of a pixel is the probability of its most probable class. Pixels are put into 15 bins of equal width by it; in a
reliability diagram the share of right pixels of a bin (its accuracy) is drawn against their mean confidence. The expected
calibration error is the mean distance of the two, each bin weighted by its pixels (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tedm.heads.voting.temperature import FLOOR
from tedm.store import IGNORE

BINS = 15


class Bin(NamedTuple):
    """One bin: lower < confidence <= upper; the means are NaN where no pixel is."""

    lower: float
    upper: float
    pixels: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """What the labelled pixels of some images say of the probabilities; add those of others with ``+``.

    Parameters
    ----------
    pixels, right : arrays of shape (15,), int64
        Of each bin.
    confidence : array of shape (15,)
        Sum over its pixels.
    surprise : float
        Sum of the negative logarithms of the true classes' probabilities.
    """

    pixels: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]
    surprise: float

    @classmethod
    def count(cls, truth: NDArray[np.uint8], probabilities: NDArray[np.floating]) -> Reliability:
        """Count the pixels of an image.

        Parameters
        ----------
        truth : array of any shape, uint8
            Class indices; `IGNORE` counts nowhere.
        probabilities : array of that shape and a last axis of classes

        Examples
        --------
        >>> sure = np.array([[0.75, 0.25]] * 4)
        >>> half_right = Reliability.count(np.array([0, 0, 1, 1], np.uint8), sure)
        >>> half_right.ece, half_right.accuracy
        (0.25, 0.5)
        """
        known = truth != IGNORE
        labels, rows = truth[known].astype(np.intp), probabilities[known].astype(np.float64)
        confidence, right = rows.max(axis=-1), rows.argmax(axis=-1) == labels
        bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
        true = rows[np.arange(len(labels)), labels]
        return cls(
            np.bincount(bins, minlength=BINS),
            np.bincount(bins[right], minlength=BINS),
            np.asarray(np.bincount(bins, weights=confidence, minlength=BINS), np.float64),
            float(-np.log(np.maximum(true, FLOOR)).sum()),
        )

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.pixels + other.pixels,
            self.right + other.right,
            self.confidence + other.confidence,
            self.surprise + other.surprise,
        )

    @property
    def ece(self) -> float:
        """Expected calibration error in [0, 1]: the sum over bins of `|right - sum of confidence|`, divided by all pixels."""
        return float(np.abs(self.right - self.confidence).sum() / self.pixels.sum())

    @property
    def cross_entropy(self) -> float:
        """Mean over pixels, in nats."""
        return self.surprise / int(self.pixels.sum())

    @property
    def accuracy(self) -> float:
        """Share of pixels whose most probable class is the true one."""
        return float(self.right.sum() / self.pixels.sum())

    def bins(self) -> list[Bin]:
        """Return the diagram, from confidence 0 to 1."""
        bins = []
        for index, (pixels, right, confidence) in enumerate(zip(self.pixels, self.right, self.confidence, strict=True)):
            means = (float(confidence / pixels), float(right / pixels)) if pixels else (float("nan"), float("nan"))
            bins.append(Bin(index / BINS, (index + 1) / BINS, int(pixels), *means))
        return bins
