"""The mean that is shown is the mean that is resampled, and what counts in it is a convention."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.metrics.bootstrap import DRAWS, interval
from tedm.heads.metrics.summary import by_convention, mean_and_deviation, mean_over_classes, mean_over_images

NAN = math.nan


@pytest.mark.parametrize(
    ("case", "ratios", "left_out", "counted"),
    [
        ("found", [0.5, 0.4, 0.6], [0.5, 0.4, 0.6], [0.5, 0.4, 0.6]),
        ("nothing predicted", [0.0, NAN, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ("false positive", [0.0, 0.0, NAN], [NAN, NAN, NAN], [0.0, 0.0, 0.0]),
        ("both empty", [NAN, NAN, NAN], [NAN, NAN, NAN], [1.0, 1.0, 1.0]),
    ],
)
def test_the_two_conventions_by_hand(case: str, ratios: list[float], left_out: list[float], counted: list[float]) -> None:
    raw, metrics = np.array(ratios), ("dice", "precision", "recall")
    np.testing.assert_array_equal(by_convention(raw, metrics, "leave-out"), left_out, err_msg=case)
    np.testing.assert_array_equal(by_convention(raw, metrics, "count"), counted, err_msg=case)
    np.testing.assert_array_equal(raw, ratios)
    with pytest.raises(TedmError, match="the conventions are leave-out, count"):
        by_convention(raw, metrics, "ignore")  # type: ignore[arg-type]


def draws(seed: int, which: int, items: int) -> Iterator[NDArray[np.int64]]:
    """The numbers of the items of each draw of a bootstrap."""
    rng = np.random.default_rng([seed, which])
    for times in rng.multinomial(items, np.full(items, 1 / items), size=DRAWS):
        yield np.repeat(np.arange(items), times)


@pytest.mark.parametrize("holes", [0.0, 0.4])
def test_the_bootstrap_resamples_the_mean_over_images_of_means_over_repeats(rng: np.random.Generator, holes: float) -> None:
    scores = np.where(rng.uniform(size=(4, 9)) < holes, NAN, rng.uniform(size=(4, 9)))
    scores[:, 5] = NAN  # an image without any score
    groups = [f"p{image // 2}" for image in range(9)]
    means = []
    for repeats, of_groups in zip(draws(0, 0, 4), draws(0, 1, 5), strict=True):
        drawn = [image for group in of_groups for image in range(9) if groups[image] == f"p{group}"]
        of_images = [np.nanmean(row) for row in scores[repeats][:, drawn].T if not np.isnan(row).all()]
        if of_images:
            means.append(np.mean(of_images))
    found = interval(scores, groups)
    shown = np.mean([np.nanmean(column) for column in scores.T if not np.isnan(column).all()])
    assert found.mean == pytest.approx(shown)
    assert mean_over_images(scores) == pytest.approx(shown)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_the_smallest_class_is_the_background_where_there_are_several() -> None:
    np.testing.assert_array_equal(
        mean_over_classes(np.array([[0.9, 0.2, 0.6], [0.9, NAN, 0.5], [0.9, NAN, NAN]])), [0.4, 0.5, NAN]
    )
    np.testing.assert_array_equal(mean_over_classes(np.array([[0.9]])), [0.9])


def test_a_mean_leaves_nan_out() -> None:
    assert mean_and_deviation([1.0, NAN, 2.0, 6.0]) == (3.0, math.sqrt(7))


def test_one_value_has_no_spread_and_no_value_no_mean() -> None:
    mean, deviation = mean_and_deviation([0.25, NAN])
    assert mean == 0.25
    assert math.isnan(deviation)
    assert all(math.isnan(number) for number in mean_and_deviation([NAN]))
