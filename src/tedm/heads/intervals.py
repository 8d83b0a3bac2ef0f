"""The image scores behind each cell of the table, and the interval of its mean.

The interval is that of `tedm.heads.bootstrap`: patients (groups) are drawn with replacement, all images of a patient together,
and so are the training subsets (seeds), where there are several. With one seed the interval says nothing of the choice of
training images, which may matter more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.bootstrap import interval
from tedm.heads.records import Record
from tedm.heads.render import natural
from tedm.heads.scores import mean_and_deviation
from tedm.heads.table import Metric

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
        means = [mean_and_deviation(column)[0] for column in cell.scores.T]
        found[key] = dict(zip(cell.images, means, strict=True))
    return found


def mean_intervals(records: Iterable[Record], *, metric: Metric = "dice") -> dict[Key, tuple[float, float]]:
    """The 95 % interval of the mean of each cell of the table, in points; the same records give the same interval.

    Parameters
    ----------
    records, metric
        As for `tedm.heads.summarise`.

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
    found = {key: interval(cell.scores, cell.groups) for key, cell in _cells(records, metric).items()}
    return {key: (each.low, each.high) for key, each in found.items()}


@dataclass(frozen=True)
class _Cell:
    """Scores in points of shape (seeds, images), with the images' names and groups."""

    scores: NDArray[np.float64]
    images: Sequence[str]
    groups: Sequence[str]


def _cells(records: Iterable[Record], metric: Metric) -> dict[Key, _Cell]:
    records = list(records)
    background = min((record.class_value for record in records), default=0)
    only_class = len({record.class_value for record in records}) == 1
    values: dict[Key, dict[tuple[int, str], list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    group_of: dict[tuple[str, str], str] = {}
    for record in records:
        group_of[record.domain, record.image] = record.group
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
        cells[key] = _Cell(scores, images, [group_of[key[0], image] for image in images])
    return cells
