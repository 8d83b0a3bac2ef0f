"""A measure has one name everywhere: where it is computed, in a caption and in a record."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import METRICS, TITLES, measure

TRUTH, PREDICTION = np.array([[1, 1, 1, 0, 0, 255]]), np.array([[1, 0, 0, 1, 0, 1]])


def test_each_measure_is_computed_titled_and_recorded():
    assert tuple(measure(TRUTH, PREDICTION, 2)) == tuple(TITLES) == METRICS
    assert set(METRICS) <= {field.name for field in fields(Record)}


def test_measures_are_those_of_the_definition():
    measures = measure(TRUTH, PREDICTION, 2)  # of class 1, one pixel is found, one in error and two are missed
    for name, expected in {"dice": 2 / 5, "precision": 1 / 2, "recall": 1 / 3, "iou": 1 / 4}.items():
        assert measures[name][1] == pytest.approx(expected)


def test_each_measure_is_one_at_best_and_not_a_number_without_a_pixel():
    for name, values in measure(TRUTH, np.where(TRUTH == 255, 0, TRUTH), 3).items():
        np.testing.assert_array_equal(values, [1, 1, np.nan], err_msg=name)


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(TedmError, match="of one shape"):
        measure(TRUTH, PREDICTION[:, :4], 2)
