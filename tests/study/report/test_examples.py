"""Which images are shown, and that they are kept as they are."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tedm.study.report import examples as module
from tedm.study.report.examples import Example, Place, packed, places, unpacked


def examples() -> list[Example]:
    """Two images of another size than square, each with the predictions of two heads."""
    rng = np.random.default_rng(3)

    def mask() -> np.ndarray:
        return rng.integers(0, 3, (4, 5)).astype(np.uint8)

    return [
        Example(
            Place("here, there", rank, f"{at} of 2", f"scan {at}"),
            rng.random((4, 5)),
            mask(),
            {"tedm, n = 1": mask(), "ledm, n = 1": mask()},
            {"tedm, n = 1": 100 / 3, "ledm, n = 1": math.nan},
        )
        for at, rank in enumerate(("best", "worst"), 1)
    ]


def test_what_is_packed_is_unpacked() -> None:
    text, arrays = packed(examples(), (0, 7, 255))
    rows = list(csv.reader(text.splitlines()))
    found, classes = unpacked(rows, arrays)
    assert classes == (0, 7, 255)
    assert len(found) == 2
    for one, other in zip(found, examples(), strict=True):
        assert one.place == other.place
        np.testing.assert_allclose(one.picture, other.picture, atol=0.51 / 255)
        np.testing.assert_array_equal(one.truth, other.truth)
        assert list(one.predictions) == list(other.predictions)
        for title, mask in other.predictions.items():
            np.testing.assert_array_equal(one.predictions[title], mask)
        np.testing.assert_equal(dict(one.dice), dict(other.dice))


def test_examples_at_their_own_sizes_are_packed_beside_one_as_it_was_scored() -> None:
    one, other = examples()
    truth, wide = np.ones((9, 20), np.uint8), np.zeros((9, 20), np.uint8)
    large = replace(
        one,
        picture=np.full((9, 20, 3), 0.4),
        truth=truth,
        predictions=dict.fromkeys(one.predictions, wide),
        own_size=True,
    )
    text, arrays = packed([large, other], (0, 7, 255))
    rows = list(csv.reader(text.splitlines()))
    found, _ = unpacked(rows, arrays)
    assert [each.own_size for each in found] == [True, False]
    assert found[0].picture.shape == (9, 20, 3)
    np.testing.assert_array_equal(found[0].truth, truth)
    np.testing.assert_array_equal(found[1].truth, other.truth)
    with pytest.raises(ValueError, match="of another size"):
        unpacked(rows, packed([replace(large, predictions=other.predictions), other], (0, 7, 255))[1])


def test_what_is_packed_is_the_same_bytes_each_time() -> None:
    assert packed(examples(), (0, 7, 255)) == packed(examples(), (0, 7, 255))


def test_rows_and_arrays_that_do_not_belong_together_are_refused() -> None:
    text, arrays = packed(examples(), (0, 7, 255))
    rows = list(csv.reader(text.splitlines()))
    with pytest.raises(ValueError, match="do not belong together"):
        unpacked(rows[:-1], arrays)
    with pytest.raises(ValueError, match="of no class"):
        unpacked(rows, packed(examples(), (0, 7))[1])


def test_places_are_counted_from_the_best() -> None:
    nan = math.nan
    dice = {
        ("x", "i10"): 50.0,
        ("x", "i9"): 50.0,
        ("x", "b"): 70.0,
        ("x", "c"): nan,
        ("x", "d"): 10.0,
        ("z", "e"): nan,
        ("y", "f"): 1.0,
    }
    assert places(dice) == [
        Place("x", "best", "1 of 4", "b"),
        Place("x", "median", "2 of 4", "i9"),
        Place("x", "worst", "4 of 4", "d"),
        Place("y", "best", "1 of 1", "f"),
    ]


def npz(**changes: object) -> bytes:
    with np.load(io.BytesIO(packed(examples(), (0, 7))[1])) as arrays:
        kept = dict(arrays) | changes
    out = io.BytesIO()
    np.savez_compressed(out, **{name: array for name, array in kept.items() if array is not None})
    return out.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"truths": np.full((1, 1), 9, np.uint8)},
        {"truths": np.zeros((10**4, 10**3), np.uint8)},
        {"predictions": None},
        {"predictions": np.zeros((0, 0), np.uint8)},
        {"pictures": np.array([{}], object)},
        {"pictures": np.ones((1, 1), np.float64)},
        {"classes": np.array([0.5])},
        {"classes": np.arange(999)},
    ],
)
def test_arrays_that_are_not_what_they_should_be_are_refused_before_they_take_memory(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10**6)
    rows = list(csv.reader(io.StringIO(packed(examples(), (0, 7))[0])))
    with pytest.raises(ValueError, match="."):
        unpacked(rows, npz(**changes))


def test_a_truth_of_no_class_is_refused() -> None:
    text, arrays = packed(examples(), (0, 7))
    with np.load(io.BytesIO(arrays)) as kept:
        truths = kept["truths"].copy()
    truths[0, 0, 0] = 9
    with pytest.raises(ValueError, match="of no class"):
        unpacked(list(csv.reader(io.StringIO(text))), npz(truths=truths))
