"""A measure has one name everywhere: where it is computed, in a caption and in a record."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import BY_SURFACE, METRICS, SCALES, TITLES, measure

TRUTH, PREDICTION = np.array([[1, 1, 1, 0, 0, 255]]), np.array([[1, 0, 0, 1, 0, 1]])


def test_each_measure_is_computed_titled_and_recorded():
    assert tuple(measure(TRUTH, PREDICTION, 2)) == tuple(TITLES) == METRICS
    assert set(METRICS) <= {field.name for field in fields(Record)}


def test_measures_are_those_of_the_definition():
    measures = measure(TRUTH, PREDICTION, 2)  # of class 1, one pixel is found, one in error and two are missed
    for name, expected in {"dice": 2 / 5, "precision": 1 / 2, "recall": 1 / 3, "iou": 1 / 4}.items():
        assert measures[name][1] == pytest.approx(expected)


def test_each_measure_is_one_at_best_and_not_a_number_without_a_pixel():
    for name, values in measure(TRUTH, np.where(TRUTH == 255, 0, TRUTH), 3, spacing=(1, 1)).items():
        background, best = (np.nan if name in BY_SURFACE else 1), (0 if name == "hd95" else 1)
        np.testing.assert_array_equal(values, [background, best, np.nan], err_msg=name)


def test_distances_are_measured_where_a_spacing_is_known():
    volume = np.zeros((4, 5, 6), np.uint8)
    volume[1:3, 1:4, 2:5] = 1
    shifted = np.roll(volume, 1, 2)
    measures = measure(volume, shifted, 2, spacing=(1, 1, 3), tolerance=3)
    assert (measures["hd95"][1], measures["nsd"][1]) == (3, 1)
    assert measure(volume, shifted, 2, spacing=(1, 1, 3))["nsd"][1] < 1  # within 1 mm
    for name in BY_SURFACE:
        assert np.isnan(measure(volume, shifted, 2)[name]).all()


def test_a_distance_ranks_and_reads_the_other_way_round():
    assert SCALES["hd95"].caption == "HD95 in mm (smaller is better)"
    assert SCALES["dice"].caption == "Dice × 100"
    assert max((3.0, 7.0), key=SCALES["hd95"].rank) == 3.0
    assert max((0.3, 0.7), key=SCALES["nsd"].rank) == 0.7


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(TedmError, match="of one shape"):
        measure(TRUTH, PREDICTION[:, :4], 2)
