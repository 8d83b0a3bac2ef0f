"""Which images are shown, and that they are kept as they are."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

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
