"""The image scores behind each cell of the table, and the interval of its mean.

The interval is that of `tedm.heads.metrics.bootstrap`: patients (groups) are drawn with replacement, all images of a patient
together, and so are the training subsets (seeds), where there are several. With one seed the interval says nothing of the
choice of training images, which may matter more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from tedm.heads.evaluation.comparison import Comparison, comparisons
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.bootstrap import interval
from tedm.heads.metrics.measures import SCALES, Metric
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, mean_over_repeats
from tedm.text import natural

Key = tuple[str, int, str]  # domain, n, method


def image_scores(
    records: Iterable[Record], *, metric: Metric = "dice", empty: EmptyTruth = LEAVE_OUT
) -> dict[Key, dict[str, float]]:
    """Return the score of each image in each cell of the table: its mean over foreground classes, then over seeds.

    In points (x 100), distances in millimetres.

    Parameters
    ----------
    records, metric, empty
        As for `tedm.heads.summarise`.

    Returns
    -------
    dict
        By (domain, n, method), by name of the image in natural order; NaN where an image has no score.

    Raises
    ------
    TedmError
        As `tedm.heads.evaluation.comparison.comparisons` does.

    Examples
    --------
    >>> row = Record("tedm", 1, 0, "in", "test", "a", "a", 1, 0.5, 0.9, 0.9, 0.8, 1, "feature")
    >>> image_scores([row])
    {('in', 1, 'tedm'): {'a': 50.0}}
    """
    scores = {}
    for key, comparison, order in _cells(records, metric, empty):
        means = mean_over_repeats(SCALES[metric].factor * comparison.scores[key[2]])
        scores[key] = {comparison.images[at]: float(means[at]) for at in order}
    return scores


def mean_intervals(
    records: Iterable[Record], *, metric: Metric = "dice", empty: EmptyTruth = LEAVE_OUT
) -> dict[Key, tuple[float, float]]:
    """Return the 95 % interval of the mean of each cell of the table; the same records give the same interval.

    In points (x 100), distances in millimetres.

    Parameters
    ----------
    records, metric, empty
        As for `tedm.heads.summarise`.

    Returns
    -------
    dict
        (low, high) by (domain, n, method); NaN where no image has a score.

    Raises
    ------
    TedmError
        As `tedm.heads.evaluation.comparison.comparisons` does.

    Examples
    --------
    >>> rows = [Record("tedm", 1, 0, "in", "test", i, i, 1, d, d, d, d, 1, "feature") for i, d in (("a", 0.5), ("b", 0.7))]
    >>> mean_intervals(rows)[("in", 1, "tedm")]
    (50.0, 70.0)
    """
    ends = {}
    for key, comparison, order in _cells(records, metric, empty):
        scores = np.ascontiguousarray(SCALES[metric].factor * comparison.scores[key[2]][:, order])
        bootstrapped = interval(scores, [comparison.groups[at] for at in order])
        ends[key] = bootstrapped.low, bootstrapped.high
    return ends


def _cells(records: Iterable[Record], metric: Metric, empty: EmptyTruth) -> Iterator[tuple[Key, Comparison, list[int]]]:
    """Yield each cell with its comparison and the positions of the images, both in natural order."""
    compared = comparisons(list(records), metric=metric, empty=empty)
    for comparison in sorted(compared, key=lambda each: (natural(each.domain), each.n)):
        order = sorted(range(len(comparison.images)), key=lambda at: (natural(comparison.images[at]), comparison.images[at]))
        for method in sorted(comparison.scores, key=natural):
            yield (comparison.domain, comparison.n, method), comparison, order
