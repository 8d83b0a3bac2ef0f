"""What a mean would be with other training images: intervals over seeds, and over paired differences of seeds.

Every seed gives one mean, that over test images. Their interval is Student's, since seeds are few. Two methods with the same
seeds learned from the same images, so that their difference is taken seed by seed before any interval is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from tedm.heads import SCALES, Metric, Record, comparisons, mean_and_deviation, mean_of_present

LEVEL = 0.95
Cell = tuple[str, int, str]  # domain, n, method


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds in points, and its 95 % interval, NaN of fewer than two seeds."""

    mean: float
    low: float
    high: float
    seeds: int


def estimate(values: Iterable[float]) -> Estimate:
    """Return the mean of values, one a seed, and Student's 95 % interval of it; NaN is left out.

    Examples
    --------
    >>> found = estimate([80.0, 82.0])
    >>> found.mean, round(found.low, 2), round(found.high, 2), found.seeds
    (81.0, 68.29, 93.71, 2)
    >>> estimate([80.0])
    Estimate(mean=80.0, low=nan, high=nan, seeds=1)
    """
    from scipy.special import stdtrit

    known = [value for value in values if value == value]
    mean, deviation = mean_and_deviation(known)
    if len(known) < 2:
        return Estimate(mean, nan, nan, len(known))
    half = float(stdtrit(len(known) - 1, (1 + LEVEL) / 2)) * deviation / sqrt(len(known))
    return Estimate(mean, mean - half, mean + half, len(known))


def seed_means(records: Sequence[Record], *, metric: Metric = "dice") -> dict[Cell, dict[int, float]]:
    """Return the mean over test images of every seed, in points, by (domain, n, method).

    The images and classes are those that `tedm.heads.summarise` averages; a seed without any score is NaN.

    Raises
    ------
    TedmError
        As `tedm.heads.comparisons` does.
    """
    seeds: dict[Cell, set[int]] = defaultdict(set)
    for record in records:
        seeds[record.domain, record.n, record.method].add(record.seed)
    means = {}
    for each in comparisons(records, metric=metric):
        for method, scores in each.scores.items():
            cell = (each.domain, each.n, method)
            of_seeds = SCALES[metric].factor * mean_of_present(np.asarray(scores), 1)  # rows: seeds, ascending
            means[cell] = dict(zip(sorted(seeds[cell]), map(float, of_seeds), strict=True))
    return means


def combined(means: Mapping[Cell, Mapping[int, float]], terms: Mapping[Cell, float]) -> dict[int, float]:
    """Return the sum of cells times their weights for every seed that all of them have.

    Examples
    --------
    >>> combined({("in", 1, "a"): {0: 80.0, 1: 81.0}, ("in", 1, "b"): {1: 79.0}}, {("in", 1, "a"): 1, ("in", 1, "b"): -1})
    {1: 2.0}
    """
    shared = set.intersection(*(set(means[cell]) for cell in terms))
    return {seed: sum(weight * means[cell][seed] for cell, weight in terms.items()) for seed in sorted(shared)}


def over_places(places: Iterable[Mapping[int, float]]) -> Estimate:
    """Return the estimate of the mean over places, seed by seed.

    Every place counts the same. Of places with several seeds those seeds count that all of them have; places with a single
    seed say nothing of an interval and count only where no other is.
    """
    there = [place for place in places if place]
    used = [place for place in there if len(place) > 1] or there
    shared = set.intersection(*(set(place) for place in used)) if used else set()
    if not shared:  # every place has seeds of its own
        means = [estimate(place.values()).mean for place in used]
        return Estimate(mean_and_deviation(means)[0], nan, nan, 0)
    return estimate(sum(place[seed] for place in used) / len(used) for seed in sorted(shared))
