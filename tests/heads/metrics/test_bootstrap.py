"""Intervals hold what they promise: subsets and patients, not images, are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.metrics.bootstrap import interval


def test_the_interval_covers_the_truth_as_often_as_it_says(rng):
    """Scores with an effect of the subset, of the patient and of both; the true mean is 0.8."""
    hits = 0
    for number in range(200):
        repeats, patients = 12, 25
        subset, patient = rng.normal(0, 0.03, (repeats, 1)), rng.normal(0, 0.04, (1, patients))
        scores = 0.8 + subset + np.repeat(patient, 2, axis=1) + rng.normal(0, 0.02, (repeats, 2 * patients))
        found = interval(scores, [str(image // 2) for image in range(2 * patients)], seed=number)
        hits += found.low <= 0.8 <= found.high
    assert 0.88 <= hits / 200 <= 0.99  # percentile intervals of twelve repeats are a little short


def test_images_of_one_group_count_as_one(rng):
    patient = rng.normal(0.8, 0.1, 6)
    scores = np.repeat(patient, 10)[None]
    together = interval(scores, [str(image // 10) for image in range(60)])
    apart = interval(scores, [""] * 60)
    assert together.mean == apart.mean == pytest.approx(scores.mean())
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_one_repeat_and_one_group_have_no_width():
    found = interval(np.array([[0.2, 0.4]]), ["a", "a"])
    assert found.low == found.mean == found.high == pytest.approx(0.3)


def test_scores_that_are_not_there_are_left_out():
    found = interval(np.array([[0.2, np.nan], [0.4, np.nan]]), ["a", "b"])
    assert found.mean == pytest.approx(0.3)
    assert np.isnan(interval(np.full((2, 3), np.nan), list("abc")).mean)


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(TedmError, match="each image needs one group"):
        interval(np.zeros((1, 3)), ["a"])
