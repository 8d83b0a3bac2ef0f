"""A temperature makes a committee as sure as it is right.

After the vote each probability is raised to 1/T and the classes are normalised again (Guo et al. 2017, arXiv:1706.04599). T > 1
makes the committee less sure, T < 1 more; which class is the most probable does not change, so masks do not. T minimises the
mean cross-entropy, a convex function of 1/T whose slope is a sum over pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.voting.vote import VotingRule

# Less than this beside one is nothing in float32; a class that a voter excludes gets it, so that every logarithm is finite.
FLOOR = float(np.finfo(np.float32).eps)
BOUNDS = (0.01, 100.0)
TOLERANCE = 1e-6  # of the logarithm of T


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the vote that it was fitted for: another vote is another distribution of probabilities.

    Parameters
    ----------
    temperature : float
        T > 0.
    rule : {"soft", "hard", "geometric", "entropy", "learned"}
        How opinions were merged.
    timesteps : tuple of int
        Those that voted.
    """

    temperature: float
    rule: VotingRule
    timesteps: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"its temperature is {self.temperature}")

    def suits(self, rule: VotingRule, timesteps: Sequence[int]) -> bool:
        """Tell whether it was fitted for this vote."""
        return rule == self.rule and sorted(timesteps) == sorted(self.timesteps)


def best_temperature(pixels: Iterable[NDArray[np.float64]]) -> float:
    """Return the temperature that minimises the mean cross-entropy.

    Parameters
    ----------
    pixels : iterable of arrays of shape (pixels, classes)
        Logarithms of the committee's probabilities, the true class first. Iterated over some ten times, one array at a time.

    Returns
    -------
    float
        From 0.01 (every pixel is right: the surer the better) to 100 (nothing but guesses would do as well).

    Examples
    --------
    >>> nine_of_ten_are_right = np.log([[0.99, 0.01]] * 9 + [[0.01, 0.99]])
    >>> round(best_temperature([nine_of_ten_are_right]), 3)  # 0.99 becomes 0.9
    2.091
    """
    from scipy.optimize import brentq

    def slope(log_temperature: float) -> float:
        """Return the slope of the cross-entropy in 1/T: the mean logarithm that the committee expects, less the truth's."""
        total = 0.0
        for logarithms in pixels:
            powers = np.exp((logarithms - logarithms.max(axis=1, keepdims=True)) / np.exp(log_temperature))
            expected = (powers * logarithms).sum(axis=1) / powers.sum(axis=1)
            total += float((expected - logarithms[:, 0]).sum())
        return total

    low, high = np.log(BOUNDS)
    if slope(low) <= 0:
        return BOUNDS[0]
    if slope(high) >= 0:
        return BOUNDS[1]
    return float(np.exp(brentq(slope, low, high, xtol=TOLERANCE)))


def cross_entropy(pixels: Iterable[NDArray[np.float64]], temperature: float) -> float:
    """Return the mean cross-entropy over pixels at a temperature, in nats; see `best_temperature` for the arrays."""
    total, count = 0.0, 0
    for logarithms in pixels:
        scaled = logarithms / temperature
        highest = scaled.max(axis=1)
        normaliser = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
        total += float((normaliser - scaled[:, 0]).sum())
        count += len(logarithms)
    return total / count


def at_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.floating]:
    """Raise probabilities to 1/T and normalise them.

    Parameters
    ----------
    probabilities : array of shape (..., classes)
        Each row sums to one; less than 2^-23 counts as that much, so that a class that was excluded can come back.
    temperature : float
        T > 0.

    Returns
    -------
    array of the same shape and dtype
        ``argmax`` finds the same class in every row: where rounding would make it a tie with another one, it is raised by one
        unit in the last place.

    Examples
    --------
    >>> at_temperature(np.array([[0.8, 0.2]]), 2.0)
    array([[0.66666667, 0.33333333]])
    """
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)) / temperature
    powers = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    scaled: NDArray[np.floating] = (powers / powers.sum(axis=-1, keepdims=True)).astype(probabilities.dtype)
    best = probabilities.argmax(axis=-1)
    moved = np.nonzero(scaled.argmax(axis=-1) != best)
    scaled[(*moved, best[moved])] = np.nextafter(scaled[moved].max(axis=-1), np.ones((), scaled.dtype))
    return scaled
