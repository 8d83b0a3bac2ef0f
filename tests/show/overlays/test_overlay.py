"""A mask over its image, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.show.overlays.overlay import overlay

COLOURS = ("#000000", "#ff8000", "#0072b2")


@pytest.fixture
def mask():
    drawn = np.zeros((12, 16), np.uint8)
    drawn[2:8, 0:7], drawn[6:12, 9:15], drawn[0, 15] = 1, 2, 255
    return drawn


def test_outlines_have_the_colours_and_what_is_outside_is_the_image(mask, rng):
    image = rng.integers(0, 200, mask.shape, dtype=np.uint8)
    drawn = overlay(image, mask, COLOURS)
    outside = (mask == 0) | (mask == 255)
    np.testing.assert_array_equal(drawn[outside], np.repeat(image[outside][:, None], 3, axis=1))
    assert drawn[2, 3].tolist() == drawn[4, 0].tolist() == [255, 128, 0], "an outline, at the rim of the image too"
    assert drawn[11, 10].tolist() == drawn[8, 14].tolist() == [0, 0x72, 0xB2]
    inside = drawn[4, 3].astype(int) - image[4, 3] * 0.75
    np.testing.assert_allclose(inside, [255 * 0.25, 128 * 0.25, 0], atol=0.51)


def test_a_grey_image_and_the_same_in_colour_are_drawn_alike_and_stay_as_they_are(mask, rng):
    image = rng.integers(0, 200, mask.shape, dtype=np.uint8)
    before, colour = image.copy(), np.stack([image] * 3, axis=-1)
    np.testing.assert_array_equal(overlay(image, mask, COLOURS), overlay(colour, mask, COLOURS))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(colour[..., 1], before)


def test_outlines_are_wider_on_a_large_image():
    mask = np.zeros((1400, 1400), np.uint8)
    mask[100:1300, 100:1300] = 1
    row = overlay(np.zeros(mask.shape, np.uint8), mask, COLOURS)[700, :, 0]
    assert (row == 255).sum() == 8
    assert (row[:100] == 0).all()


def test_sizes_that_differ_are_refused(mask):
    with pytest.raises(ValueError, match=r"an image of \(3, 4\) and a mask of \(12, 16\) pixels"):
        overlay(np.zeros((3, 4), np.uint8), mask, COLOURS)
