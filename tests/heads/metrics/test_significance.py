from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from tedm.heads.metrics.significance import bonferroni, corrected, holm, paired_p_value


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_small_samples_equal_the_enumeration_of_all_signs(tenths: Any) -> None:
    differences = np.array([value for value in tenths if value])
    if not differences.size:
        expected = 1.0
    else:
        ranks = rankdata(np.abs(differences))
        sums = np.array([ranks @ signs for signs in product([-1, 1], repeat=len(ranks))])
        expected = float((np.abs(sums) >= abs(ranks @ np.sign(differences))).mean())
    # 0.1 + 0.2 - 0.3 must be a tie and no difference, so the scores carry rounding
    one, other = 0.1 + np.array(tenths) / 10 + 0.2, np.full(len(tenths), 0.3)
    assert paired_p_value(one, other) == pytest.approx(expected)


@pytest.mark.parametrize("images", [1, 2, 5, 14, 60])
def test_equal_scores_have_p_value_one_at_any_size(images: int) -> None:
    scores = np.linspace(0.2, 0.9, images)
    assert paired_p_value(scores, scores.copy()) == 1
    assert paired_p_value(scores, scores + 1e-15) == 1


@pytest.mark.parametrize("images", [14, 50, 60])
def test_a_constant_shift_is_found_in_larger_samples_in_spite_of_ties(images: int) -> None:
    scores = np.linspace(0.2, 0.8, images)
    assert paired_p_value(scores, scores - 0.1) < 0.001


def test_five_images_cannot_show_a_difference_at_five_per_cent() -> None:
    assert paired_p_value(np.arange(5.0) / 10 + 0.3, np.arange(5.0) / 20) == 2 / 2**5


def test_pairs_with_nan_are_left_out() -> None:
    one, other = np.array([0.5, math.nan, 0.7, 0.9]), np.array([0.4, 0.3, math.nan, 0.6])
    assert paired_p_value(one, other) == paired_p_value(one[[0, 3]], other[[0, 3]])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_never_weaker_than_bonferroni_and_equal_at_the_smallest(p_values: Any) -> None:
    smaller, larger = holm(p_values), bonferroni(p_values)
    assert all(one <= other for one, other in zip(smaller, larger, strict=True))
    assert min(smaller) == min(larger) == min(1.0, len(p_values) * min(p_values))
    assert (corrected(p_values, "holm"), corrected(p_values, "bonferroni")) == (smaller, larger)


def test_without_a_correction_p_values_stay_as_they_are() -> None:
    assert corrected([0.01, 0.04, 0.5], "none") == [0.01, 0.04, 0.5]
