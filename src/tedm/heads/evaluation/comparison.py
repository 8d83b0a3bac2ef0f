"""The methods that are compared in one domain at one training size, on the same images.

A difference between means over different images says nothing about the methods. So records of other images or classes, and
scores against other masks, are refused, and an image that some method has no score of is left out for all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.subsets import N_COUNTS, NCounts
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import BY_SURFACE, METRICS, SCALES, Metric
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, by_convention, mean_of_present, require_convention
from tedm.text import called, listed, shown


@dataclass(frozen=True)
class Comparison:
    """The methods that are compared in one domain at one training size, and their scores of the same images.

    Parameters
    ----------
    domain : str
    n : int
        Training images, or groups; see `Record.n_counts`.
    images, groups : tuple of str
        Names, ascending, and the group of each.
    scores : mapping of str to array of shape (seeds, images)
        By method, the mean over foreground classes, as records have it; NaN where an image has no score. An image has a score
        of every method or of none; only a method without any score is apart.
    labels_used : mapping of str to int
        By method, the labelled images that were looked at.
    without_class : int
        Images whose truth shows no foreground class.
    unmatched : int
        Images that were left out for all methods since some method has no score of them, although the truth shows a class.
    absent, classes : int
        Pairs of an image and a foreground class whose truth does not show the class, of how many.
    missed : mapping of str to int
        By method, how often (image, seed, class) nothing was predicted of a class that the truth shows.
    """

    domain: str
    n: int
    images: tuple[str, ...]
    groups: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    labels_used: Mapping[str, int]
    without_class: int
    unmatched: int
    absent: int
    classes: int
    missed: Mapping[str, int]


def foreground_values(records: Sequence[Record]) -> tuple[int, ...]:
    """Return the class values that are averaged: all but the smallest, which is the background where there are several."""
    classes = sorted({record.class_value for record in records})
    return tuple(classes[1:] or classes)


def class_names(records: Iterable[Record]) -> dict[int, str]:
    """Return what each class value is called, as far as records say.

    Raises
    ------
    TedmError
        If a value has two names.
    """
    names: dict[int, str] = {}
    for record in records:
        name = names.setdefault(record.class_value, record.class_name) or record.class_name
        if record.class_name not in ("", name):
            raise TedmError(
                f"class {record.class_value} is called {shown(name)} in some scores and {shown(record.class_name)} in those of "
                f"{shown(record.method)}; they do not belong in one table: evaluate all with the same class names"
            )
        names[record.class_value] = name
    return names


def comparisons(records: Sequence[Record], *, metric: Metric = "dice", empty: EmptyTruth = LEAVE_OUT) -> list[Comparison]:
    """Average records over classes and put the methods of each domain and n beside each other, on the same images.

    Parameters
    ----------
    records : sequence of Record
        In any order.
    metric : one of `tedm.heads.metrics.measures.METRICS`
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
        score comes twice or was not measured, if n counts images in some records and groups in others, or if there is no such
        metric or convention.
    """
    if metric not in METRICS:
        raise TedmError(f"no metric {metric!r}; the metrics are {listed(METRICS)}")
    require_convention(empty)
    foreground = foreground_values(records)
    require_one_count((record.method, record.n_counts) for record in records)
    if metric in BY_SURFACE:
        require_measured(records, metric)
    places: dict[tuple[str, int], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        places[record.domain, record.n][record.method].append(record)
    return [_comparison(*place, places[place], foreground, metric, empty) for place in sorted(places)]


def require_one_count(counts: Iterable[tuple[str, NCounts]]) -> None:
    """Refuse training sizes of which some count images and others groups.

    Parameters
    ----------
    counts : iterable of (str, str)
        A method and what its n counts; see `Record.n_counts`.

    Raises
    ------
    TedmError
        Naming a method of each.
    """
    first: dict[NCounts, str] = {}
    for method, counted in counts:
        first.setdefault(counted, method)
    if len(first) > 1:
        told = " and ".join(f"{N_COUNTS[counted]} for {shown(first[counted])}" for counted in sorted(first))
        raise TedmError(
            f"n does not count the same everywhere, {told}, and these do not belong in one table: "
            "fit all heads with tedm-fit --images, or all with --groups"
        )


def require_measured_at(resolution: str, metric: Metric) -> None:
    """Refuse a metric that needs millimetres for scores at feature resolution, before anything is scored.

    Raises
    ------
    TedmError
        With the metrics that there are.
    """
    if metric in BY_SURFACE and resolution == "feature":
        others = listed(each for each in METRICS if each not in BY_SURFACE)
        raise TedmError(
            f"{metric} is a measure of volumes, whose files say how far voxels are apart; images at feature resolution have "
            f"{others}: choose one of these, or score whole volumes"
        )


def is_measured(records: Sequence[Record], metric: Metric) -> bool:
    """Tell whether any record has a score by this metric."""
    return not all(np.isnan(getattr(record, metric)) for record in records)


def require_measured(records: Sequence[Record], metric: Metric) -> None:
    """Refuse records that lack a score by this metric of a class that one of the masks shows, or mix tolerances.

    Raises
    ------
    TedmError
        Saying of which method, and how many.
    """
    foreground = set(foreground_values(records))
    shown = [
        record
        for record in records
        if record.class_value in foreground and not (np.isnan(record.precision) and np.isnan(record.recall))
    ]
    lacking = [record for record in shown if np.isnan(getattr(record, metric))]
    if lacking:
        raise TedmError(
            f"{len(lacking)} of {len(shown)} scores have no {metric} (first {lacking[0].method}, image {lacking[0].image}): "
            f"{SCALES[metric].title} needs volumes with a spacing, and tables of earlier versions have none; "
            "evaluate on volumes, or choose another --metric"
        )
    tolerances = sorted({record.tolerance for record in shown if not np.isnan(record.tolerance)})
    if metric == "nsd" and len(tolerances) > 1:
        told = listed(f"{each:g} mm" for each in tolerances)
        raise TedmError(f"scores at several tolerances ({told}) do not belong in one table; evaluate all at one")


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
    groups = {record.image: record.group for records in methods.values() for record in records}
    ratios = {method: _ratios(records, images, foreground) for method, records in methods.items()}
    absent = _require_same_truths(where, methods, ratios, images, foreground)
    number = METRICS.index(metric)
    scores = {
        method: mean_of_present(by_convention(method_ratios, METRICS, empty)[..., number], -1)
        for method, method_ratios in ratios.items()
    }
    unscored = [np.isnan(image_scores).all(axis=1) for image_scores in scores.values()]
    compared = [images_without for images_without in unscored if not images_without.all()]
    unmatched = np.any(compared, axis=0) & ~np.all(compared, axis=0) if compared else np.zeros(len(images), bool)
    for image_scores in scores.values():
        image_scores[unmatched] = np.nan
    return Comparison(
        domain,
        n,
        tuple(images),
        tuple(groups[image] for image in images),
        {method: np.ascontiguousarray(image_scores.T) for method, image_scores in scores.items()},
        {method: max(record.labels_used for record in records) for method, records in methods.items()},
        int(absent.all(axis=1).sum()),
        int(unmatched.sum()),
        int(absent.sum()),
        absent.size,
        {method: _missed(method_ratios) for method, method_ratios in ratios.items()},
    )


def _missed(ratios: NDArray[np.float64]) -> int:
    """Count where nothing was predicted of a class that the truth shows."""
    precision, recall = ratios[..., METRICS.index("precision")], ratios[..., METRICS.index("recall")]
    return int((np.isnan(precision) & ~np.isnan(recall)).sum())


def _ratios(records: Sequence[Record], images: Sequence[str], foreground: Sequence[int]) -> NDArray[np.float64]:
    """Return the raw measures of one method: shape (images, seeds, classes, metrics)."""
    seeds = sorted({record.seed for record in records})
    at_image, at_seed, at_class = ({key: at for at, key in enumerate(keys)} for keys in (images, seeds, foreground))
    ratios = np.full((len(images), len(seeds), len(foreground), len(METRICS)), np.nan)
    for record in records:
        if record.class_value in at_class:
            place = at_image[record.image], at_seed[record.seed], at_class[record.class_value]
            ratios[place] = [getattr(record, metric) for metric in METRICS]
    return ratios


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
                f"{where}: {method} (seed {seed}) has {times} scores for image {image}, {_called(methods, value)}; "
                "keep one of them"
            )
        missing = sorted(everything - set(counts))
        if missing:
            raise TedmError(
                f"cannot compare the methods of {where}: they were not scored on the same images\n"
                f"  {method} (seed {seed}) lacks {len(missing)} of {len(everything)} scores, first image {missing[0][0]}, "
                f"{_called(methods, missing[0][1])}\nEvaluate all methods and seeds on the same images, or leave {method} out."
            )


def _called(methods: Mapping[str, Sequence[Record]], value: int) -> str:
    every = (record for records in methods.values() for record in records)
    return called(value, next((record.class_name for record in every if record.class_value == value), ""))


def _require_same_truths(
    where: str,
    methods: Mapping[str, Sequence[Record]],
    ratios: Mapping[str, NDArray[np.float64]],
    images: Sequence[str],
    foreground: Sequence[int],
) -> NDArray[np.bool_]:
    """Refuse scores against different masks; return which image lacks which class, of shape (images, classes)."""
    reference, *_ = ratios
    recall = METRICS.index("recall")
    absent: NDArray[np.bool_] = np.isnan(ratios[reference][:, 0, :, recall])
    for method, method_ratios in ratios.items():
        differing = np.argwhere(np.isnan(method_ratios[..., recall]) != absent[:, None])
        if len(differing):
            image, row, value = (int(number) for number in differing[0])
            seeds = [sorted({record.seed for record in methods[name]}) for name in (reference, method)]
            pair = [f"{reference} (seed {seeds[0][0]})", f"{method} (seed {seeds[1][row]})"]
            without, shown = pair if absent[image, value] else pair[::-1]
            raise TedmError(
                f"cannot compare the methods of {where}: the truth of image {images[image]} shows "
                f"{_called(methods, foreground[value])} in the scores of {shown} and not in those of {without}, so they were "
                "scored against different masks; evaluate both again on the same labels"
            )
    return absent
