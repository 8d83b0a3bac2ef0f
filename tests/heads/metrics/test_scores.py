from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import jaccard_score, precision_recall_fscore_support

from tedm.errors import TedmError
from tedm.heads.metrics.scores import Confusion, score

TRUTH = np.array([[0, 1, 1], [2, 1, 0], [2, 2, 255]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 0], [2, 1, 1], [1, 2, 2]], dtype=np.uint8)


def test_counts_by_hand() -> None:
    counts = Confusion.count(TRUTH, PREDICTION, 4)
    assert counts.true_positives.tolist() == [1, 2, 2, 0]
    assert counts.false_positives.tolist() == [1, 2, 0, 0]
    assert counts.false_negatives.tolist() == [1, 1, 1, 0]


def test_scores_by_hand() -> None:
    scores = score(TRUTH, PREDICTION, 4)
    nan = math.nan
    np.testing.assert_array_equal(scores.dice, [2 / 4, 4 / 7, 4 / 5, nan])  # 2TP / (2TP + FP + FN)
    np.testing.assert_array_equal(scores.precision, [1 / 2, 2 / 4, 2 / 2, nan])
    np.testing.assert_array_equal(scores.recall, [1 / 2, 2 / 3, 2 / 3, nan])
    np.testing.assert_array_equal(scores.iou, [1 / 3, 2 / 5, 2 / 3, nan])
    assert scores.dice.dtype == np.float64


def test_a_volume_scores_as_its_slices_laid_side_by_side() -> None:
    rng = np.random.default_rng(2)
    truth, prediction = rng.choice([0, 1, 2, 255], (4, 5, 6)), rng.integers(0, 3, (4, 5, 6))
    beside = score(np.concatenate(list(truth), axis=1), np.concatenate(list(prediction), axis=1), 3)
    for name, values in vars(score(truth, prediction, 3)).items():
        np.testing.assert_array_equal(values, getattr(beside, name))


def test_a_class_never_predicted_has_no_precision_and_a_class_never_there_no_recall() -> None:
    scores = score(np.array([[0, 1]]), np.array([[0, 2]]), 3)
    np.testing.assert_array_equal(scores.precision, [1, math.nan, 0])
    np.testing.assert_array_equal(scores.recall, [1, 0, math.nan])
    np.testing.assert_array_equal(scores.dice, [1, 0, 0])


@st.composite
def pairs(draw: Any) -> Any:
    shape = draw(array_shapes(min_dims=2, max_dims=3, max_side=8))
    classes = draw(st.integers(1, 4))
    truth = draw(arrays(np.uint8, shape, elements=st.sampled_from([*range(classes), 255])))
    return truth, draw(arrays(np.uint8, shape, elements=st.integers(0, classes - 1))), classes


@given(pairs())
def test_our_scores_equal_scikit_learns(pair: Any) -> None:
    truth, prediction, classes = pair
    kept = truth != 255
    scores = score(truth, prediction, classes)
    if not kept.any():
        assert all(np.isnan(values).all() for values in vars(scores).values())
        return
    labels, one, other = list(range(classes)), truth[kept], prediction[kept]
    precision, recall, dice, _ = precision_recall_fscore_support(one, other, labels=labels, zero_division=np.nan)
    np.testing.assert_allclose(scores.precision, precision, rtol=1e-15)
    np.testing.assert_allclose(scores.recall, recall, rtol=1e-15)
    np.testing.assert_allclose(scores.dice, dice, rtol=1e-15)
    there = ~np.isnan(scores.iou)  # scikit-learn's jaccard_score has no NaN for 0/0
    iou = jaccard_score(one, other, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose(scores.iou[there], iou[there], rtol=1e-15)


@given(pairs(), st.integers(0, 255))
def test_ignored_pixels_count_nowhere(pair: Any, value: Any) -> None:
    truth, prediction, classes = pair
    elsewhere = np.where(truth == 255, value, prediction).astype(np.uint8)
    for one, other in zip(
        vars(score(truth, prediction, classes)).values(), vars(score(truth, elsewhere, classes)).values(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@given(pairs())
def test_dice_and_iou_tell_the_same(pair: Any) -> None:
    scores = score(*pair)
    np.testing.assert_allclose(scores.dice, 2 * scores.iou / (1 + scores.iou), rtol=1e-14)


def test_ignore_can_be_another_value() -> None:
    scores = score(np.array([[0, 1, 9]]), np.array([[0, 1, 1]]), 2, ignore=9)
    np.testing.assert_array_equal(scores.dice, [1, 1])


@pytest.mark.parametrize(
    ("truth", "prediction", "classes", "ignore", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), 2, 255, r"one shape \(y, x\) or \(z, y, x\), got \(2, 3\) and \(3, 2\)"),
        (np.zeros(3, int), np.zeros(3, int), 2, 255, "one shape"),
        (np.zeros((1, 2, 2, 2), int), np.zeros((1, 2, 2, 2), int), 2, 255, "one shape"),
        (np.array([[0, 7]]), np.array([[0, 1]]), 2, 255, r"the truth holds \[7\]"),
        (np.array([[0, 1]]), np.array([[0, 255]]), 2, 255, r"the prediction holds \[255\]"),
        (np.array([[0, 1]]), np.array([[0.0, 0.7]]), 2, 255, "class indices"),
        (np.array([[0, 1]]), np.array([[0, 1]]), 2, 1, "1 cannot be ignored"),
        (np.array([[0, 1]]), np.array([[0, 1]]), 0, 255, "at least one class"),
    ],
)
def test_masks_that_cannot_be_compared_are_refused(
    truth: Any, prediction: Any, classes: Any, ignore: Any, message: Any
) -> None:
    with pytest.raises(TedmError, match=message):
        score(truth, prediction, classes, ignore)
