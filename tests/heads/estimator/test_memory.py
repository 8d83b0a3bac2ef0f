"""What an estimator takes to fit, told before it is fitted: rows in proportion, trees until they are full."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.estimator.lookup import named_classifier
from tedm.heads.estimator.memory import BYTES_PER_ROW, NEED, UNKNOWN_NEED, WRAPPER_NEED, Need

LDA = {"class": "discriminant_analysis.LinearDiscriminantAnalysis"}


@pytest.fixture
def data(make_store):
    return TrainingData(make_store(), ["one"], rows="share")


@pytest.mark.parametrize("need", [Need(20, 2.0, 8), Need(20, 2.0, 8, 100.0, 5000.0), Need(20, 2.0, 8, 100.0, float("inf"))])
@pytest.mark.parametrize("nbytes", [0, 47, 1000, 10**4, 10**6])
def test_most_rows_are_the_most_that_fit(need, nbytes):
    rows = need.most_rows(nbytes)
    assert need.bytes_for(rows) <= nbytes or rows == 0
    assert need.bytes_for(rows + 1) > nbytes - 1


def test_an_estimator_needs_what_was_measured_and_one_inside_another_more(data):
    row = data.n_features * 4
    other = BYTES_PER_ROW + 16 * 2

    def row_bytes(name, parameters):
        return Need.to_fit(named_classifier(name, parameters), data).bytes_for(1000) / 1000

    assert row_bytes(LDA["class"], {}) == NEED["LinearDiscriminantAnalysis"] * row + other
    assert row_bytes("linear_model.Perceptron", {}) == UNKNOWN_NEED * row + other
    calibrated = row_bytes("calibration.CalibratedClassifierCV", {"estimator": LDA, "cv": 2})
    assert calibrated == (WRAPPER_NEED + NEED["LinearDiscriminantAnalysis"]) * row + other


def test_trees_that_are_held_back_stop_growing_with_the_rows(data):
    def need(**parameters):
        return Need.to_fit(named_classifier("ensemble.RandomForestClassifier", parameters), data)

    few, many, deep = need(n_estimators=2), need(n_estimators=20), need(n_estimators=20, max_depth=3)
    assert few.bytes_for(10**6) < many.bytes_for(10**6)
    assert deep.bytes_for(10) == many.bytes_for(10)
    assert deep.bytes_for(10**6) < few.bytes_for(10**6)
    per_row = data.n_features * 4 * NEED["RandomForestClassifier"] + BYTES_PER_ROW + 16 * 2
    assert deep.bytes_for(2 * 10**6) - deep.bytes_for(10**6) == 10**6 * per_row


def test_what_grows_with_the_square_of_the_rows_is_refused(data):
    with pytest.raises(TedmError, match="semi_supervised.LabelSpreading takes memory that grows with the square of the rows"):
        Need.to_fit(named_classifier("semi_supervised.LabelSpreading", {}), data)
