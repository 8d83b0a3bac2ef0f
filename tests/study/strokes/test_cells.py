"""Strokes at an image's own size and at the backbone's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.extract.images import to_square_mask
from tedm.store import IGNORE
from tedm.study.strokes.cells import as_learned_from, to_square_strokes

SIDES = st.integers(1, 40)


def painted(height: int, width: int, seed: int, part: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((height, width)) < part, rng.integers(0, 3, (height, width)), IGNORE).astype(np.uint8)


def test_a_line_of_one_pixel_is_learned_from_wherever_it_lies():
    """As a mask, seven of eight of them would be passed over."""
    for line in range(512):
        strokes = np.full((512, 512), IGNORE, np.uint8)
        strokes[line, 100:300] = 1
        square = to_square_strokes(strokes, 64, "pad")
        assert (square[line // 8, 12:38] == 1).all()
        assert (square != IGNORE).sum() == 26


def test_a_pixel_takes_the_class_of_most_of_what_is_painted_in_it():
    strokes = np.full((4, 4), IGNORE, np.uint8)
    strokes[0, 0], strokes[0, 1], strokes[1, 0], strokes[3, 3], strokes[2, 2] = 2, 0, 2, 1, 0
    assert to_square_strokes(strokes, 2, "pad").tolist() == [[2, IGNORE], [IGNORE, 0]]


@given(SIDES, SIDES, st.integers(1, 20), st.sampled_from(["pad", "stretch"]), st.integers(0, 99))
def test_a_mask_that_is_painted_all_over_with_one_class_becomes_what_any_mask_becomes(height, width, size, geometry, seed):
    strokes = np.full((height, width), seed % 3, np.uint8)
    square = to_square_strokes(strokes, size, geometry)
    there = to_square_mask(strokes, size, geometry)
    assert np.array_equal(square[there != IGNORE], there[there != IGNORE])


@given(SIDES, SIDES, st.integers(1, 20), st.sampled_from(["pad", "stretch"]), st.integers(0, 99))
def test_the_mask_that_is_saved_becomes_what_was_learned_from(height, width, size, geometry, seed):
    """Where a border pixel of the square has its centre outside of the image, the strokes in it have no place in a mask."""
    strokes = painted(height, width, seed)
    square = to_square_strokes(strokes, size, geometry)
    seen = to_square_mask(np.zeros_like(strokes), size, geometry) != IGNORE
    saved = as_learned_from(strokes, size, geometry)
    if size <= min(height, width):
        assert np.array_equal(to_square_mask(saved, size, geometry)[seen], square[seen])
    assert (saved[strokes != IGNORE] != IGNORE).all()


def test_no_stroke_is_no_label():
    assert (to_square_strokes(np.full((30, 20), IGNORE, np.uint8), 8, "pad") == IGNORE).all()


@pytest.mark.parametrize("size", [8, 16, 64])
def test_strokes_on_a_small_image_fill_the_pixels_that_they_become(size):
    strokes = np.array([[IGNORE, 1], [0, IGNORE]], np.uint8)
    assert np.array_equal(to_square_strokes(strokes, size, "pad"), to_square_mask(strokes, size, "pad"))
