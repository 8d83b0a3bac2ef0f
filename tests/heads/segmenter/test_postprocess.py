"""Cleaning: small masks that can be cleaned by eye, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, method_named, predict
from tedm.heads.metrics.scores import score
from tedm.heads.segmenter.postprocess import Cleaning


def mask(*lines: str) -> np.ndarray:
    return np.array([[int(letter) for letter in line.replace(".", "0")] for line in lines], np.uint8)


SPECKS = mask("11..2", "11..2", "..1..", "1...2", "11..2")


def test_the_largest_of_each_class_stay_and_corners_connect():
    assert np.array_equal(Cleaning(largest=1)(SPECKS), mask("11..2", "11..2", "..1..", ".....", "....."))
    assert np.array_equal(Cleaning(largest=2)(SPECKS), SPECKS)
    assert np.array_equal(Cleaning()(SPECKS), SPECKS)


def test_small_components_become_background():
    assert np.array_equal(Cleaning(min_area=3)(SPECKS), mask("11...", "11...", "..1..", "1....", "11..."))
    assert np.array_equal(Cleaning(min_area=3, largest=1)(SPECKS), mask("11...", "11...", "..1..", ".....", "....."))
    assert not Cleaning(min_area=6)(SPECKS).any()


def test_holes_go_to_the_class_around_them():
    ring = mask("111..", "1.12.", "111..", "..222", "..2.2")
    assert np.array_equal(Cleaning(fill_holes=True)(ring), mask("111..", "1112.", "111..", "..222", "..2.2"))


def test_what_lies_between_two_classes_or_is_a_class_is_no_hole():
    between = mask("1122", "1..2", "1122")
    inside = mask("1111", "1221", "1.21", "1111")  # the background touches both
    island = mask("11111", "1...1", "1.1.1", "1...1", "11111")
    for kept in (between, inside):
        assert np.array_equal(Cleaning(fill_holes=True)(kept), kept)
    assert (Cleaning(fill_holes=True)(island) == 1).all()


def test_a_hole_does_not_leak_through_a_corner():
    assert Cleaning(fill_holes=True)(mask("....", ".11.", "1.1.", "111."))[2, 1] == 1


def test_components_go_first_so_that_a_speck_inside_leaves_no_hole():
    speck = mask("11111", "11211", "11111")
    assert (Cleaning(min_area=2, fill_holes=True)(speck) == 1).all()
    assert Cleaning(min_area=2)(speck)[1, 2] == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 6), st.booleans())
def test_twice_changes_nothing_more(seed, largest, area, holes):
    random = np.random.default_rng(seed).choice(3, p=[0.5, 0.35, 0.15], size=(9, 7)).astype(np.uint8)
    cleaning = Cleaning(largest=largest, min_area=area, fill_holes=holes)
    once = cleaning(random)
    assert np.array_equal(cleaning(once), once)
    assert once.dtype == np.uint8


@given(st.integers(0, 2**32 - 1))
def test_two_classes_are_filled_as_scipy_does(seed):
    random = np.random.default_rng(seed).choice(2, p=[0.4, 0.6], size=(8, 9)).astype(np.uint8)
    assert np.array_equal(Cleaning(fill_holes=True)(random), ndimage.binary_fill_holes(random))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 6))
def test_a_volume_is_cleaned_in_three_dimensions(seed, largest, area):
    random = np.random.default_rng(seed).choice(2, p=[0.75, 0.25], size=(4, 6, 5)).astype(np.uint8)
    holes = Cleaning(fill_holes=True)(random)
    assert np.array_equal(holes, ndimage.binary_fill_holes(random))
    cleaning = Cleaning(largest=largest, min_area=area)
    kept = cleaning(random)
    parts, count = ndimage.label(random, np.ones((3, 3, 3)))
    sizes = sorted((int((parts == part).sum()) for part in range(1, count + 1)), reverse=True)
    assert kept.sum() == sum(size for size in sizes[:largest] if size >= area)
    assert np.array_equal(cleaning(kept), kept)


def test_slices_of_one_structure_are_one_component_and_a_tube_is_no_hole():
    volume = np.zeros((3, 5, 5), np.uint8)
    volume[0, 1, 1] = volume[1, 2, 2] = volume[2, 3, 3] = 1  # voxels that touch by a corner
    volume[0, 4, 4] = 1
    cleaned = Cleaning(largest=1)(volume)
    assert [int(cleaned[at].sum()) for at in range(3)] == [1, 1, 1]
    assert cleaned[0, 4, 4] == 0
    tube = np.zeros((3, 5, 5), np.uint8)
    tube[:, 1:4, 1:4] = 1
    tube[:, 2, 2] = 0
    assert np.array_equal(Cleaning(fill_holes=True)(tube), tube)  # though each slice has a hole
    assert (Cleaning(fill_holes=True)(tube[0]) != tube[0]).any()
    tube[0, 2, 2] = tube[2, 2, 2] = 1
    assert Cleaning(fill_holes=True)(tube)[1, 2, 2] == 1


def test_a_slice_and_a_volume_of_one_slice_are_cleaned_alike_but_for_holes():
    for cleaning in (Cleaning(largest=1), Cleaning(min_area=3)):
        assert np.array_equal(cleaning(SPECKS[None])[0], cleaning(SPECKS))


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4)])
def test_a_mask_of_other_dimensions_is_refused(shape):
    with pytest.raises(TedmError, match=r"of shape \(y, x\) or \(z, y, x\), got"):
        Cleaning(largest=1)(np.ones(shape, np.uint8))


def test_its_name_and_whether_anything_is_asked_for():
    assert str(Cleaning(2, True, 20)) == "largest=2+fill-holes+min-area=20"
    assert str(Cleaning(min_area=3).enlarged(2.5)) == "min-area=7.5"
    assert not Cleaning()
    assert all((Cleaning(largest=1), Cleaning(fill_holes=True), Cleaning(min_area=1)))
    for wrong in ({"largest": 0}, {"min_area": -1}):
        with pytest.raises(TedmError, match="--"):
            Cleaning(**wrong)


def test_an_evaluation_reports_plain_and_cleaned_beside_each_other(make_store):
    store = make_store()
    head = fit(store, method_named("timestep:50"), images=2, seed=1)
    rest = [name for name in store.labels.names if name not in head.provenance.images]
    store = make_store(own=True)
    from tedm.store import Registration

    store.relabel([Registration(name, "test", name, "here", (10, 12), None) for name in rest], (0, 255))
    plain = evaluate(store, {"a": head})
    both = evaluate(store, {"a": head}, cleaning=Cleaning(largest=1, fill_holes=True))
    assert [record for record in both if "+" not in record.method] == plain
    cleaned = [record for record in both if "+" in record.method]
    assert {record.method for record in cleaned} == {"timestep:50+largest=1+fill-holes"}
    for prediction in predict(store, {"a": head}, rest):
        expected = score(store.mask(prediction.name), Cleaning(1, True)(prediction.mask), 2).dice
        found = [record.dice for record in cleaned if record.image == prediction.name]
        np.testing.assert_array_equal(found, expected)
    assert [r.dice for r in cleaned] != [r.dice for r in plain]
