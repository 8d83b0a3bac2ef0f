"""Masks of whole volumes become records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import Cleaning, VolumeMasks, evaluate_volumes
from tedm.heads.metrics.measures import METRICS, measure

CLEANING = Cleaning(largest=1, min_area=2)


def masks(head: str = "a") -> VolumeMasks:
    """A volume in which a wrong order of the axes shows, some voxels without a label."""
    rng = np.random.default_rng(5)
    truth, prediction = (rng.random((2, 3, 4, 7)) < 0.2).astype(np.uint8)
    truth[0, 1] = 255
    return VolumeMasks("scan", head, "f", truth, prediction, (3.0, 1.0, 0.5), 4.0)


def none_is_asked_for() -> Iterator[VolumeMasks]:
    raise AssertionError("a mask is asked for")
    yield


def test_records_are_the_measures_of_each_volume_head_and_class(voters):
    store, head = voters
    each = masks()
    plain = evaluate_volumes(store.labels, {"a": head}, [each])
    far = evaluate_volumes(store.labels, {"a": head}, [each], distances=True, tolerance=0.7)
    for records, expected in (
        (plain, measure(each.truth, each.prediction, 2)),
        (far, measure(each.truth, each.prediction, 2, spacing=each.spacing, tolerance=0.7)),
    ):
        assert [(r.method, r.image, r.group, r.split, r.resolution, r.class_value) for r in records] == [
            ("tedm", "scan", "f", "test", "volume", value) for value in (0, 255)
        ]
        for index, record in enumerate(records):
            np.testing.assert_array_equal(
                [getattr(record, name) for name in METRICS], [expected[name][index] for name in METRICS]
            )
    assert np.isnan([record.tolerance for record in plain]).all()
    assert {record.tolerance for record in far} == {0.7}


def test_cleaned_masks_are_a_method_of_their_own_whose_area_is_in_voxels(voters):
    store, head = voters
    each = masks()
    records = evaluate_volumes(store.labels, {"a": head}, [each], cleaning=CLEANING)
    cleaned = Cleaning(largest=1, min_area=8)(each.prediction)
    expected = measure(each.truth, cleaned, 2)["dice"]
    assert [record.method for record in records] == ["tedm"] * 2 + [f"tedm+{CLEANING}"] * 2
    assert [record.dice for record in records[2:]] == expected.tolist()
    assert 0 < cleaned.sum() < each.prediction.sum()


def test_what_cannot_be_is_refused_before_a_mask_is_asked_for(voters):
    store, head = voters
    with pytest.raises(TedmError, match="the heads a and b cannot be told apart in one table"):
        evaluate_volumes(store.labels, {"a": head, "b": head}, none_is_asked_for())
    for tolerance in (float("nan"), -1.0, float("inf")):
        with pytest.raises(TedmError, match="tolerance of a surface must be a number of millimetres of at least 0"):
            evaluate_volumes(store.labels, {"a": head}, none_is_asked_for(), distances=True, tolerance=tolerance)
