"""What a mean is over: which images have a score, and in which order scores are averaged.

Two masks without a pixel of a class have no ratio, and a truth without one says nothing of how well the class is found. So by
default such an image has no score of that class, whatever was predicted there ("leave-out"); else it counts 1 where nothing was
predicted and 0 otherwise ("count"). Either way it depends on the truth alone which images are averaged, and they are the same
for every method. The score of an image is the mean over its foreground classes, then over the seeds (or repeats) of a method;
the score of a method is the mean over images. What has no score is left out of each of these means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError

EmptyTruth = Literal["leave-out", "count"]
LEAVE_OUT: EmptyTruth = "leave-out"
DISTANCE = "hd95"  # the measure that is 0 where all is right

# Both conventions in words, for tables, folders and reports.
CONVENTIONS: dict[EmptyTruth, str] = {
    "leave-out": "an image has no score of a class that its truth does not show, whatever was predicted there",
    "count": "an image whose truth does not show a class counts 1 where nothing of it was predicted and 0 otherwise",
}


def require_convention(empty: str) -> None:
    """Refuse a convention for empty truths that does not exist.

    Raises
    ------
    TedmError
        If it is none of `EmptyTruth`.
    """
    if empty not in CONVENTIONS:
        raise TedmError(f"no convention {empty!r} for empty truths; the conventions are {', '.join(CONVENTIONS)}")


def by_convention(ratios: NDArray[np.float64], metrics: Sequence[str], empty: EmptyTruth) -> NDArray[np.float64]:
    """Turn raw ratios into scores, by the convention for empty truths.

    An empty truth is a recall of 0/0, an empty prediction a precision of 0/0. Where nothing was predicted of a class that the
    truth shows, the precision is 0 (as in MetricsReloaded, and scikit-learn's `zero_division=0`). "hd95" of a class that one
    mask alone shows is the largest distance there is, see `tedm.heads.metrics.surface`, and stays it.

    Parameters
    ----------
    ratios : array of shape (..., metrics)
        In [0, 1], NaN for 0/0; "hd95" in millimetres.
    metrics : sequence of str
        Names along the last axis; "precision" and "recall" are among them.
    empty : {"leave-out", "count"}
        Whether an empty truth has no score (MONAI's `ignore_empty=True`), or counts 1 with an empty prediction and 0 without
        (MONAI's `ignore_empty=False`; for Dice that of MetricsReloaded, arXiv:2206.01653). "hd95" counts 0 mm and the largest
        distance.

    Returns
    -------
    array of shape (..., metrics)
        In [0, 1], or millimetres; NaN where there is no score.

    Raises
    ------
    TedmError
        If there is no such convention.

    Examples
    --------
    >>> false_positive = np.array([0.0, 0.0, np.nan])
    >>> by_convention(false_positive, ("dice", "precision", "recall"), "leave-out")
    array([nan, nan, nan])
    >>> by_convention(false_positive, ("dice", "precision", "recall"), "count")
    array([0., 0., 0.])
    """
    require_convention(empty)
    precision, recall = ratios[..., list(metrics).index("precision")], ratios[..., list(metrics).index("recall")]
    nothing_predicted = np.isnan(precision)
    scores = ratios.copy()
    scores[..., list(metrics).index("precision")] = np.where(nothing_predicted, 0.0, precision)
    without_class = np.full(ratios.shape, np.nan)
    if empty == "count":
        without_class[:] = np.where(nothing_predicted, 1.0, 0.0)[..., None]
        if DISTANCE in metrics:
            at = list(metrics).index(DISTANCE)
            without_class[..., at] = np.where(nothing_predicted, 0.0, ratios[..., at])
    return np.where(np.isnan(recall)[..., None], without_class, scores)


def mean_of_present(scores: NDArray[np.float64], axis: int | tuple[int, int]) -> NDArray[np.float64]:
    """Return the mean along `axis` of the scores that are present (not NaN); NaN where none is."""
    present = ~np.isnan(scores)
    count = present.sum(axis=axis)
    total = np.where(present, scores, 0.0).sum(axis=axis)
    mean: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def mean_over_classes(scores: NDArray[np.float64], *, axis: int = -1) -> NDArray[np.float64]:
    """Return the mean over foreground classes that have a score; NaN where none has.

    Parameters
    ----------
    scores : array with the classes along `axis`
        Where there are several, the first is the background and left out. NaN is no score.
    axis : int
        Where the classes are.

    Examples
    --------
    >>> mean_over_classes(np.array([0.9, 0.5, 0.7]))
    array(0.6)
    """
    if scores.shape[axis] > 1:
        scores = np.take(scores, range(1, scores.shape[axis]), axis=axis)
    return mean_of_present(scores, axis)


def mean_over_repeats(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each image over the repeats that have a score: from (repeats, images) to (images,)."""
    return mean_of_present(np.ascontiguousarray(scores.T), -1)


def mean_over_images(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over images of their means over repeats, from (repeats, images, ...) to (...); NaN without a score."""
    if balanced(scores):  # all images weigh the same, so that one sum gives this mean
        return mean_of_present(scores, (0, 1))
    return mean_of_present(mean_of_present(scores, 0), 0)


def balanced(scores: NDArray[np.float64]) -> bool:
    """Tell whether each image has a score in all repeats or in none, for scores of shape (repeats, images, ...).

    Examples
    --------
    >>> balanced(np.array([[0.5, np.nan], [0.7, np.nan]])), balanced(np.array([[0.5, np.nan], [0.7, 0.9]]))
    (True, False)
    """
    present = ~np.isnan(scores)
    return bool((present == present.any(axis=0)).all())


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation (divisor n - 1); NaN is left out.

    Returns
    -------
    tuple of float
        (NaN, NaN) of no value, (the value, NaN) of one: one value has no spread.

    Examples
    --------
    >>> mean_and_deviation([1.0, 3.0, float("nan")])
    (2.0, 1.4142135623730951)
    """
    array = np.fromiter(values, dtype=np.float64)
    kept = array[~np.isnan(array)]
    mean = float(kept.mean()) if kept.size else float("nan")
    deviation = float(kept.std(ddof=1)) if kept.size > 1 else float("nan")
    return mean, deviation
