"""How far a mean might lie from what other test patients, and other training subsets, would have shown.

A percentile bootstrap: patients (groups) are drawn with replacement, all images of a patient together, and so are the training
subsets (seeds), where there are several; the mean is computed as the table computes it. With one seed the interval says nothing
of the choice of training images, which may matter more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.records import Record
from tedm.heads.render import natural
from tedm.heads.scores import mean_and_deviation
from tedm.heads.table import Metric

DRAWS = 2000

Key = tuple[str, int, str]  # domain, n, method


def image_scores(records: Iterable[Record], *, metric: Metric = "dice") -> dict[Key, dict[str, float]]:
    """The score of each image in each cell of the table, in points: the mean over its foreground classes, then over seeds.

    Parameters
    ----------
    records, metric
        As for `tedm.heads.summarise`.

    Returns
    -------
    dict
        By (domain, n, method), by name of the image in natural order; NaN where an image has no score.

    Examples
    --------
    >>> row = Record("tedm", 1, 0, "in", "test", "a", "a", 1, 0.5, 0.9, 0.9, 0.8, 1, "feature")
    >>> image_scores([row])
    {('in', 1, 'tedm'): {'a': 50.0}}
    """
    found = {}
    for key, cell in _cells(records, metric).items():
        means = cell.image_means(np.ones((1, len(cell.scores))))[0]
        found[key] = dict(zip(cell.images, means.tolist(), strict=True))
    return found


def mean_intervals(
    records: Iterable[Record], *, metric: Metric = "dice", coverage: float = 0.95, draws: int = DRAWS
) -> dict[Key, tuple[float, float]]:
    """The interval of the mean of each cell of the table, in points; the same records give the same interval.

    Parameters
    ----------
    records, metric
        As for `tedm.heads.summarise`.
    coverage : float
        Share of the draws inside, in (0, 1).
    draws : int
        Number of bootstrap draws.

    Returns
    -------
    dict
        (low, high) by (domain, n, method); NaN where no image has a score.

    Examples
    --------
    >>> rows = [Record("tedm", 1, 0, "in", "test", i, i, 1, d, d, d, d, 1, "feature") for i, d in (("a", 0.5), ("b", 0.7))]
    >>> mean_intervals(rows)[("in", 1, "tedm")]
    (50.0, 70.0)
    """
    return {key: cell.interval(coverage, draws) for key, cell in _cells(records, metric).items()}


@dataclass(frozen=True)
class _Cell:
    """Scores in points of shape (seeds, images), with the images' names and the numbers of their groups."""

    scores: NDArray[np.float64]
    images: Sequence[str]
    groups: NDArray[np.int64]

    def image_means(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means over seeds of shape (draws, images), NaN left out, each seed counted `weights` (draws, seeds) times."""
        known = ~np.isnan(self.scores)
        return _divided(weights @ np.where(known, self.scores, 0.0), weights @ known)

    def interval(self, coverage: float, draws: int) -> tuple[float, float]:
        rng = np.random.Generator(np.random.Philox(0))
        of_seeds = _counts(rng, draws, len(self.scores))
        of_images = _counts(rng, draws, self.groups.max() + 1)[:, self.groups]
        means = self.image_means(of_seeds)
        known = ~np.isnan(means)
        drawn = _divided((of_images * np.where(known, means, 0.0)).sum(axis=1), (of_images * known).sum(axis=1))
        if np.isnan(drawn).all():
            return float("nan"), float("nan")
        low, high = np.nanquantile(drawn, [(1 - coverage) / 2, (1 + coverage) / 2])
        return float(low), float(high)


def _cells(records: Iterable[Record], metric: Metric) -> dict[Key, _Cell]:
    records = list(records)
    background = min((record.class_value for record in records), default=0)
    only_class = len({record.class_value for record in records}) == 1
    values: dict[Key, dict[tuple[int, str], list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    group_of: dict[tuple[str, str], str] = {}
    for record in records:
        group_of[record.domain, record.image] = record.group or record.image
        if only_class or record.class_value != background:
            scored = values[record.domain, record.n, record.method][record.seed, record.image]
            scored.append((record.class_value, getattr(record, metric)))
    cells = {}
    for key in sorted(values, key=lambda key: (natural(key[0]), key[1], natural(key[2]))):
        seeds = sorted({seed for seed, _ in values[key]})
        images = sorted({image for _, image in values[key]}, key=lambda name: (natural(name), name))
        scores = np.full((len(seeds), len(images)), np.nan)
        for (seed, image), classes in values[key].items():
            mean, _ = mean_and_deviation(score for _, score in sorted(classes))
            scores[seeds.index(seed), images.index(image)] = 100 * mean
        of_images = [group_of[key[0], image] for image in images]
        number = {group: index for index, group in enumerate(dict.fromkeys(of_images))}
        cells[key] = _Cell(scores, images, np.array([number[group] for group in of_images]))
    return cells


def _counts(rng: np.random.Generator, draws: int, things: int) -> NDArray[np.float64]:
    """How often each thing is drawn when all are drawn with replacement; shape (draws, things)."""
    drawn = rng.integers(0, things, (draws, things)) + things * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * things).reshape(draws, things).astype(np.float64)


def _divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
