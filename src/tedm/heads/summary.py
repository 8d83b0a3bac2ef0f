"""What a mean is over: which images have a score, and in which order scores are averaged.

Two masks without a pixel of a class have no ratio, and a truth without one says nothing of how well the class is found. So by
default such an image has no score of that class, whatever was predicted there ("leave-out"); else it counts 1 where nothing was
predicted and 0 otherwise ("count"). Either way it depends on the truth alone which images are averaged, and they are the same
for every method. The score of an image is the mean over its foreground classes, then over the seeds (or repeats) of a method;
the score of a method is the mean over images. What has no score is left out of each of these means.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.records import Record

Metric = Literal["dice", "precision", "recall", "iou"]
METRICS: tuple[Metric, ...] = get_args(Metric)

EmptyTruth = Literal["leave-out", "count"]
LEAVE_OUT: EmptyTruth = "leave-out"

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
    truth shows, the precision is 0 (as in MetricsReloaded, and scikit-learn's `zero_division=0`).

    Parameters
    ----------
    ratios : array of shape (..., metrics)
        In [0, 1], NaN for 0/0.
    metrics : sequence of str
        Names along the last axis; "precision" and "recall" are among them.
    empty : {"leave-out", "count"}
        Whether an empty truth has no score (MONAI's `ignore_empty=True`), or counts 1 with an empty prediction and 0 without
        (MONAI's `ignore_empty=False`; for Dice that of MetricsReloaded, arXiv:2206.01653).

    Returns
    -------
    array of shape (..., metrics)
        In [0, 1], NaN where there is no score.

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
    of_empty = np.where(nothing_predicted, 1.0, 0.0) if empty == "count" else np.full(precision.shape, np.nan)
    return np.where(np.isnan(recall)[..., None], of_empty[..., None], scores)


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
    return _mean(scores, axis)


def mean_over_repeats(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each image over the repeats that have a score: from (repeats, images) to (images,)."""
    return _mean(np.ascontiguousarray(scores.T), -1)


def mean_over_images(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over images of their means over repeats, from (repeats, images, ...) to (...); NaN without a score."""
    if complete(scores):  # all images weigh the same, so that one sum gives this mean
        return _mean(scores, (0, 1))
    return _mean(_mean(scores, 0), 0)


def complete(scores: NDArray[np.float64]) -> bool:
    """Return whether each image has a score in all repeats or in none; scores are of shape (repeats, images, ...)."""
    present = ~np.isnan(scores)
    return bool((present == present.any(axis=0)).all())


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (divisor n - 1), NaN left out.

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


@dataclass(frozen=True)
class Comparison:
    """The methods that are compared in one domain at one training size, and their scores of the same images.

    Parameters
    ----------
    domain : str
    n : int
        Training images.
    images, groups : tuple of str
        Names, ascending, and the group of each.
    scores : mapping of str to array of shape (seeds, images)
        By method, the mean over foreground classes in [0, 1]; NaN where an image has no score. An image has a score of every
        method or of none; only a method without any score is apart.
    labels_used : mapping of str to int
        By method, the labelled images that were looked at.
    without_class : int
        Images whose truth shows no foreground class.
    unmatched : int
        Images that were left out for all methods since some method has no score of them, although the truth shows a class.
    """

    domain: str
    n: int
    images: tuple[str, ...]
    groups: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    labels_used: Mapping[str, int]
    without_class: int
    unmatched: int


def foreground_of(records: Sequence[Record]) -> tuple[int, ...]:
    """Return the class values that are averaged: all but the smallest, which is the background where there are several."""
    classes = sorted({record.class_value for record in records})
    return tuple(classes[1:] or classes)


def comparisons(records: Sequence[Record], *, metric: Metric = "dice", empty: EmptyTruth = LEAVE_OUT) -> list[Comparison]:
    """Average records over classes and put the methods of each domain and n beside each other, on the same images.

    Parameters
    ----------
    records : sequence of Record
        In any order.
    metric : {"dice", "precision", "recall", "iou"}
    empty : {"leave-out", "count"}
        See `by_convention`.

    Returns
    -------
    list of Comparison
        By domain and n.

    Raises
    ------
    TedmError
        If the methods and seeds of a comparison were not scored on the same images and classes or against the same masks, if a
        score comes twice, or if there is no such metric or convention.
    """
    if metric not in METRICS:
        raise TedmError(f"no metric {metric!r}; the metrics are {', '.join(METRICS)}")
    require_convention(empty)
    foreground = foreground_of(records)
    of_place: dict[tuple[str, int], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        of_place[record.domain, record.n][record.method].append(record)
    return [_comparison(*place, of_place[place], foreground, metric, empty) for place in sorted(of_place)]


def images_in_words(images: int, left_out: int, without_class: int, unmatched: int, empty: EmptyTruth) -> str:
    """Say how many images a mean is over, and why the others are left out.

    Examples
    --------
    >>> images_in_words(150, 51, 51, 0, "leave-out")
    '150 of 201 images (51 show no class and are left out; the same images for every method)'
    >>> images_in_words(12, 0, 0, 0, "leave-out")
    '12 images'
    """
    total = images + left_out
    counted = _count(total, "image", "images")
    remarks = []
    if empty == "count" and without_class:
        shown = _count(without_class, "shows no class and counts", "show no class and count")
        remarks.append(f"{shown} 1 where nothing is predicted, 0 otherwise")
    if left_out:
        counted = f"{images} of {counted}"
        absent = without_class if empty == "leave-out" else 0
        reasons = [
            (absent, "shows no class", "show no class"),
            (unmatched, "lacks a score of some method", "lack a score of some method"),
            (left_out - absent - unmatched, "has no score", "have no score"),
        ]
        said = ", ".join(_count(*reason) for reason in reasons if reason[0])
        remarks.append(f"{said} and {'is' if left_out == 1 else 'are'} left out; the same images for every method")
    return f"{counted} ({'; '.join(remarks)})" if remarks else counted


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _comparison(
    domain: str,
    n: int,
    methods: Mapping[str, Sequence[Record]],
    foreground: Sequence[int],
    metric: Metric,
    empty: EmptyTruth,
) -> Comparison:
    where = f"domain {domain}, n = {n}"
    _require_same_images(where, methods)
    first = next(iter(methods.values()))
    images = sorted({record.image for record in first})
    group_of = {record.image: record.group for records in methods.values() for record in records}
    column = {image: number for number, image in enumerate(images)}
    place = {value: number for number, value in enumerate(foreground)}
    ratios = {}
    for method, records in methods.items():
        seeds = sorted({record.seed for record in records})
        row = {seed: number for number, seed in enumerate(seeds)}
        of_method = np.full((len(images), len(seeds), len(foreground), len(METRICS)), np.nan)
        for record in records:
            if record.class_value in place:
                at = column[record.image], row[record.seed], place[record.class_value]
                of_method[at] = record.dice, record.precision, record.recall, record.iou
        ratios[method] = of_method
    empties = _require_same_truths(where, methods, ratios, images, foreground)
    number = METRICS.index(metric)
    scores = {method: _mean(by_convention(ratios[method], METRICS, empty)[..., number], -1) for method in methods}
    unscored = {method: np.isnan(of_method).all(axis=1) for method, of_method in scores.items()}
    with_any = [of_method for of_method in unscored.values() if not of_method.all()]
    unmatched = np.any(with_any, axis=0) & ~np.all(with_any, axis=0) if with_any else np.zeros(len(images), bool)
    for of_method in scores.values():
        of_method[unmatched] = np.nan
    return Comparison(
        domain,
        n,
        tuple(images),
        tuple(group_of[image] for image in images),
        {method: np.ascontiguousarray(of_method.T) for method, of_method in scores.items()},
        {method: max(record.labels_used for record in records) for method, records in methods.items()},
        int(empties.all(axis=1).sum()),
        int(unmatched.sum()),
    )


def _require_same_images(where: str, methods: Mapping[str, Sequence[Record]]) -> None:
    """Refuse what a paired test cannot compare: each method and seed must have the same images and classes, each once."""
    scored: dict[tuple[str, int], Counter[tuple[str, int]]] = defaultdict(Counter)
    for method, records in methods.items():
        for record in records:
            scored[method, record.seed][record.image, record.class_value] += 1
    everything = set().union(*scored.values())
    for (method, seed), counts in sorted(scored.items()):
        (image, value), times = counts.most_common(1)[0]
        if times > 1:
            raise TedmError(
                f"{where}: {method} (seed {seed}) has {times} scores for image {image}, class {value}; keep one of them"
            )
        missing = sorted(everything - set(counts))
        if missing:
            raise TedmError(
                f"cannot compare the methods of {where}: they were not scored on the same images\n"
                f"  {method} (seed {seed}) lacks {len(missing)} of {len(everything)} scores, first image {missing[0][0]}, "
                f"class {missing[0][1]}\nEvaluate all methods and seeds on the same images, or leave {method} out."
            )


def _require_same_truths(
    where: str,
    methods: Mapping[str, Sequence[Record]],
    ratios: Mapping[str, NDArray[np.float64]],
    images: Sequence[str],
    foreground: Sequence[int],
) -> NDArray[np.bool_]:
    """Refuse scores against different masks; return which images show which class not, of shape (images, classes)."""
    reference, *_ = ratios
    recall = METRICS.index("recall")
    empties: NDArray[np.bool_] = np.isnan(ratios[reference][:, 0, :, recall])
    for method, of_method in ratios.items():
        differing = np.argwhere(np.isnan(of_method[..., recall]) != empties[:, None])
        if len(differing):
            image, row, value = (int(number) for number in differing[0])
            seeds = [sorted({record.seed for record in methods[name]}) for name in (reference, method)]
            pair = [f"{reference} (seed {seeds[0][0]})", f"{method} (seed {seeds[1][row]})"]
            without, shown = pair if empties[image, value] else pair[::-1]
            raise TedmError(
                f"cannot compare the methods of {where}: the truth of image {images[image]} shows class {foreground[value]} in "
                f"the scores of {shown} and not in those of {without}, so they were scored against different masks; evaluate "
                "both again on the same labels"
            )
    return empties


def _mean(scores: NDArray[np.float64], axis: int | tuple[int, int]) -> NDArray[np.float64]:
    """Return the mean of what is there; NaN where nothing is."""
    present = ~np.isnan(scores)
    count = present.sum(axis=axis)
    total = np.where(present, scores, 0.0).sum(axis=axis)
    mean: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
