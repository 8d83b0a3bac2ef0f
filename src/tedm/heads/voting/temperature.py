"""Temperature: one number that makes a committee as sure as it is right.

After the vote each probability is raised to 1/T and the classes are normalised again (Guo et al. 2017, arXiv:1706.04599). T > 1
makes the committee less sure, T < 1 more; which class is the most probable does not change, so masks do not. T minimises the
mean cross-entropy on labelled images that the head did not learn from: a convex function of 1/T, whose slope is a sum over
pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from tedm.heads.segmenter.held_out import FLOOR, Answers
from tedm.heads.voting.vote import VotingRule
from tedm.store import Features
from tedm.store.fingerprints import fingerprints
from tedm.store.splits import images_to_choose_on

if TYPE_CHECKING:
    from tedm.heads.segmenter.segmenter import Segmenter

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

    def suits(self, rule: VotingRule, timesteps: Sequence[int]) -> bool:
        """Whether it was fitted for this vote."""
        return rule == self.rule and sorted(timesteps) == sorted(self.timesteps)


def scaled(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.floating]:
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
    >>> scaled(np.array([[0.8, 0.2]]), 2.0)
    array([[0.66666667, 0.33333333]])
    """
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)) / temperature
    powers = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    found: NDArray[np.floating] = (powers / powers.sum(axis=-1, keepdims=True)).astype(probabilities.dtype)
    best = probabilities.argmax(axis=-1)
    moved = np.nonzero(found.argmax(axis=-1) != best)
    found[(*moved, best[moved])] = np.nextafter(found[moved].max(axis=-1), np.ones((), found.dtype))
    return found


def calibrate(
    head: Segmenter,
    features: Features,
    *,
    split: str | None = "val",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
) -> Segmenter:
    """Fit a head's temperature.

    Parameters
    ----------
    head : Segmenter
        Fitted.
    features : Features
        With labelled images that it has not learned from, nor from their groups; the images that it has learned from need
        not be among them.
    split, domain : str or None
        Which of them; None takes all.
    rule, timesteps
        The vote that the temperature is for; None takes the method's.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Returns
    -------
    Segmenter
        With a `calibration` in place of the one that it may have had. The images count as used labels (provenance: labels_used,
        validation_images), and the cross-entropy before and after is recorded.

    Raises
    ------
    TedmError
        If there is no such image, the head learned from one, or the budget is too small.
    """
    names = images_to_choose_on(features, head.learned_from, split=split, domain=domain, purpose="--calibrate")
    bare = replace(head, calibration=None)

    def logarithms(opinions: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Of the committee's probabilities, shape (pixels, classes), the true class first."""
        merged = bare.merge(opinions, rule=rule, timesteps=timesteps)
        found = np.log(np.maximum(merged.astype(np.float64), FLOOR))
        rows = np.arange(len(labels))
        found[rows, labels], found[:, 0] = found[:, 0].copy(), found[rows, labels]
        return found

    answers = Answers(head, features, names, logarithms, timesteps=timesteps, memory=memory)
    temperature = best_temperature(answers)
    before, after = (_cross_entropy(answers, each) for each in (1.0, temperature))
    account = {"calibration": {"cross_entropy_before": before, "cross_entropy_after": after}}
    return replace(
        head,
        calibration=Calibration(temperature, rule or head.method.vote, head.timesteps(timesteps)),
        provenance=head.having_used(fingerprints(features, names)) | account,
    )


def best_temperature(pixels: Iterable[NDArray[np.float64]]) -> float:
    """The temperature of least mean cross-entropy.

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

    def slope(log_temperature: float) -> float:
        """Of the cross-entropy in 1/T: the mean logarithm that the committee expects, less that of the truth."""
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


def _cross_entropy(pixels: Iterable[NDArray[np.float64]], temperature: float) -> float:
    """Mean over pixels, in nats."""
    total, count = 0.0, 0
    for logarithms in pixels:
        scaled_down = logarithms / temperature
        highest = scaled_down.max(axis=1)
        normaliser = highest + np.log(np.exp(scaled_down - highest[:, None]).sum(axis=1))
        total += float((normaliser - scaled_down[:, 0]).sum())
        count += len(logarithms)
    return total / count
