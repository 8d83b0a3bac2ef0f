"""Which pixels are drawn, and how much each class counts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from tedm.errors import TedmError
from tedm.heads.data.sampling import class_weights, draw, draw_pixels, pixel_weights
from tedm.store import IGNORE


@pytest.fixture
def mask():
    """A small square of class 1 on class 0, with a stripe without labels."""
    mask = np.zeros((32, 32), np.uint8)
    mask[12:18, 12:18] = 1
    mask[:, 25] = IGNORE
    return mask


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "root", "boundary"])
def test_only_labelled_pixels_are_drawn_and_fewer_are_the_first_of_more(mask, sampling):
    few, more = (draw_pixels(mask, count, sampling, 3, "one") for count in (20, 60))
    for count, drawn in ((20, few), (60, more)):
        kept = drawn != IGNORE
        assert kept.sum() == count
        assert np.array_equal(drawn[kept], mask[kept])
    assert set(np.flatnonzero(few != IGNORE)) < set(np.flatnonzero(more != IGNORE))
    assert np.array_equal(draw_pixels(mask, 20, sampling, 3, "one"), few)
    assert not np.array_equal(draw_pixels(mask, 20, sampling, 4, "one"), few)
    assert np.array_equal(draw_pixels(mask, 10**6, sampling, 3, "one"), mask)


def shares(mask, sampling, class_index, where=None):
    """Share of a class (or of some pixels) among many small draws."""
    met = [draw_pixels(mask, 30, sampling, seed, "one") for seed in range(60)]
    chosen = [(drawn == class_index) if where is None else (where & (drawn != IGNORE)) for drawn in met]
    return np.mean([c.sum() for c in chosen]) / 30


def test_balanced_draws_show_every_class_alike_and_uniform_ones_do_not(mask):
    assert shares(mask, "uniform", 1) == pytest.approx(36 / 992, abs=0.02)
    assert shares(mask, "balanced", 1) == pytest.approx(0.5, abs=0.1)


def test_draws_by_the_root_show_a_class_by_the_square_root_of_its_pixels(mask):
    weights = pixel_weights(mask, "root")
    of_class = [weights[mask == index].sum() for index in (0, 1)]
    assert of_class[1] / of_class[0] == pytest.approx((36 / 956) ** 0.5)
    assert pixel_weights(mask, "root", np.array([4, 16]))[13, 13] == 0.25  # of all images, where they are counted
    assert shares(mask, "root", 1) == pytest.approx(36**0.5 / (36**0.5 + 956**0.5), abs=0.05)


def test_boundary_draws_come_from_near_the_border(mask):
    weights = pixel_weights(mask, "boundary")
    assert weights[mask == IGNORE].max() == 0
    assert weights[12, 12] == pytest.approx(1 + 10 * np.exp(-0.5 / 25))  # a pixel from the other class
    assert weights[31, 0] == pytest.approx(1, abs=0.02)
    near = np.zeros_like(mask, bool)
    near[7:23, 7:23] = True
    assert shares(mask, "boundary", 0, near) > 2 * shares(mask, "uniform", 0, near)
    assert np.array_equal(pixel_weights(np.zeros((4, 4), np.uint8), "boundary"), np.ones((4, 4)))


def test_class_weights_are_scikit_learns():
    counts = np.array([10, 30, 0, 60])
    y = np.repeat(np.arange(4), counts)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=y)
    np.testing.assert_allclose(class_weights("balanced", range(4), counts)[[0, 1, 3]], expected)
    assert class_weights(None, range(4), counts).tolist() == [1, 1, 1, 1]
    assert class_weights({"1": 2.5, 3: 0}, range(4), counts).tolist() == [1, 2.5, 1, 0]


def test_what_makes_no_sense_is_said(mask):
    with pytest.raises(TedmError, match="no sampling 'clever'; choose one of uniform, balanced, root, boundary"):
        pixel_weights(mask, "clever")
    with pytest.raises(TedmError, match="no class weights 'equal'"):
        class_weights("equal", range(2), np.ones(2, int))
    with pytest.raises(TedmError, match="for 7, which is no class; the classes are 0, 1"):
        class_weights({7: 1.0}, range(2), np.ones(2, int))
    for weight in (-1, float("nan"), "much"):
        with pytest.raises(TedmError, match="must be a number of at least 0"):
            class_weights({1: weight}, range(2), np.ones(2, int))


def test_what_is_drawn_depends_on_the_seed_its_purpose_and_its_number_alone():
    def numbers(*of):
        return tuple(draw(*of).integers(2**30, size=4))

    different = {numbers(seed, what, number) for seed in (0, 1, -1) for what in (0, 1) for number in (0, 1)}
    assert len(different) == 12
    assert numbers(1, 1, 0) == numbers(1, 1, 0)
