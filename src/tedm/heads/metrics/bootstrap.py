"""How far a mean would move with other training subsets and other patients.

Scores of several fits on the same images are a table of repeats x images. A bootstrap draws repeats, and groups of images, both
with replacement, and takes the mean of what was drawn (the pigeonhole bootstrap, Owen 2007, arXiv:0711.1230): an interval from
images alone would pretend that the one subset that happened to be labelled is all there is. The mean is that of
`tedm.heads.metrics.summary`: over images, each of them averaged over its repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.metrics.summary import balanced, mean_over_images

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds 95 % of the means of a bootstrap; all NaN where there is no score."""

    mean: float
    low: float
    high: float


def interval(scores: NDArray[np.float64], groups: Sequence[str], *, seed: int = 0) -> Interval:
    """Return the mean over images of their means over repeats, with its 95 % bootstrap interval.

    Parameters
    ----------
    scores : array of shape (repeats, images)
        NaN is left out of the mean of an image, and an image without a score of the mean over images. With one repeat only
        groups are drawn.
    groups : sequence of str
        Group of each image; an image with the empty string is a group of its own.
    seed : int
        Of the draws.

    Returns
    -------
    Interval
        Of one repeat and one group, all three are the mean.

    Examples
    --------
    >>> interval(np.array([[0.5, 0.7]]), ["a", "b"])
    Interval(mean=0.6, low=0.5, high=0.7)
    """
    if scores.ndim != 2 or scores.shape[1] != len(groups):
        raise TedmError(f"each image needs one group: got scores of shape {scores.shape} and {len(groups)} groups")
    there = ~np.isnan(scores)
    if not there.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    own = [group or f"\0{number}" for number, group in enumerate(groups)]
    numbers = np.unique(own, return_inverse=True)[1]
    member = np.zeros((scores.shape[1], numbers.max() + 1))
    member[np.arange(len(numbers)), numbers] = 1
    repeats = _times_drawn(seed, 0, len(scores))
    groups_drawn = _times_drawn(seed, 1, member.shape[1])
    if balanced(scores):  # all images weigh the same, so that sums of groups are enough
        sums, counts = np.where(there, scores, 0.0) @ member, there.astype(np.float64) @ member
        total = np.einsum("dr,rg,dg->d", repeats, sums, groups_drawn, optimize=True)
        count = np.einsum("dr,rg,dg->d", repeats, counts, groups_drawn, optimize=True)
        mean = float(sums.sum() / counts.sum())
    else:
        images_drawn = groups_drawn[:, numbers]
        scored = repeats @ there.astype(np.float64)
        image_means = np.divide(repeats @ np.where(there, scores, 0.0), scored, out=np.zeros_like(scored), where=scored > 0)
        total = (images_drawn * image_means).sum(axis=1)
        count = (images_drawn * (scored > 0)).sum(axis=1)
        mean = float(mean_over_images(scores))
    means = total[count > 0] / count[count > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high))


@lru_cache(maxsize=16)
def _times_drawn(seed: int, which: int, items: int) -> NDArray[np.float64]:
    """Return how often each item comes in each draw, of shape (DRAWS, items); images that are the same share draws."""
    rng = np.random.default_rng([seed, which])
    return rng.multinomial(items, np.full(items, 1 / items), size=DRAWS).astype(np.float64)
