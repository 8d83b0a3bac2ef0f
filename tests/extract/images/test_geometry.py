"""Images to squares and back."""

from __future__ import annotations

import tracemalloc
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import geometry as module
from tedm.extract.images.geometry import (
    LONGEST,
    from_square,
    from_square_mask,
    from_square_probabilities,
    to_range,
    to_square_image,
    to_square_mask,
)
from tedm.store.settings import Geometry

SIDES = st.integers(1, 40)
GEOMETRIES = st.sampled_from(cast(list[Geometry], ["pad", "stretch"]))


def picture(height: int, width: int, channels: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(height * 1000 + width).random((height, width, channels), np.float32)


def labels(height: int, width: int, classes: int = 4) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 1000 + width).integers(0, classes, (height, width), np.uint8)


@given(SIDES, SIDES, SIDES, GEOMETRIES)
def test_every_size_becomes_the_square_and_comes_back(height: int, width: int, size: int, geometry: Geometry) -> None:
    image = to_square_image(picture(height, width, 3), size, geometry)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    mask = to_square_mask(labels(height, width), size, geometry)
    assert mask.shape == (size, size)
    assert mask.dtype == np.uint8
    assert from_square_mask(mask, (height, width), geometry).shape == (height, width)
    probabilities = np.random.default_rng(size).dirichlet([1.0, 2.0, 3.0], (size, size))
    back = from_square_probabilities(probabilities, (height, width), geometry)
    assert back.shape == (height, width, 3)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back.sum(axis=-1), 1, atol=1e-6)
    assert back.min() >= 0


def padded(image: NDArray[np.generic], geometry: Geometry, **how: object) -> NDArray[np.generic]:
    """The whole square around an image."""
    height, width = image.shape[:2]
    if geometry == "stretch":
        return image
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = [(top, side - height - top), (left, side - width - left), *[(0, 0)] * (image.ndim - 2)]
    return np.pad(image, around, **how)  # type: ignore[call-overload]


def resized_whole(
    plane: NDArray[np.generic], width: int, height: int, box: tuple[float, ...] | None = None
) -> NDArray[np.generic]:
    whole = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR, box=box))


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 60),
    GEOMETRIES,
    st.sampled_from([1, 3]),
    st.sampled_from([1, 90, 700]),
)
def test_bands_give_the_bits_of_the_whole_square(
    height: int, width: int, size: int, geometry: Geometry, channels: int, at_once: int
) -> None:
    image, mask = picture(height, width, channels), labels(height, width)
    square = padded(image, geometry, mode="edge")
    whole = [resized_whole(square[..., channel], size, size) for channel in range(channels)]
    planes = np.random.default_rng(size).random((size, size, channels), np.float32)
    side = max(height, width)
    across, down = (size / side, size / side) if geometry == "pad" else (size / width, size / height)
    left, top = ((side - width) // 2, (side - height) // 2) if geometry == "pad" else (0, 0)
    box = (left * across, top * down, min(size, (left + width) * across), min(size, (top + height) * down))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        banded = to_square_image(image, size, geometry)
        back = from_square(planes, (height, width), geometry)
        np.testing.assert_array_equal(banded, np.stack(whole, axis=-1).clip(0, 1))
        for channel in range(channels):
            np.testing.assert_array_equal(back[..., channel], resized_whole(planes[..., channel], width, height, box))
    around = padded(mask, geometry, constant_values=255)
    rows, columns = ((2 * np.arange(size) + 1) * length // (2 * size) for length in around.shape)
    np.testing.assert_array_equal(to_square_mask(mask, size, geometry), around[np.ix_(rows, columns)])


@pytest.mark.parametrize("shape", [(60, 5000), (5000, 60)])
@pytest.mark.parametrize("geometry", ["pad", "stretch"])
def test_a_strip_takes_memory_for_itself_and_not_for_the_square_around_it(shape: tuple[int, int], geometry: Geometry) -> None:
    image, mask = picture(*shape), labels(*shape)
    tracemalloc.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 2**16)
        to_square_image(image, 64, geometry)
        to_square_mask(mask, 64, geometry)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6  # the square has 100 MB


def test_a_side_for_which_the_square_would_take_hours_is_refused() -> None:
    strip = np.broadcast_to(np.float32(0), (1, LONGEST + 1, 1))
    with pytest.raises(TedmError, match=f"1 x {LONGEST + 1} pixels; a side of more than {LONGEST} is not taken, cut the image"):
        to_square_image(strip, 16, "pad")


@given(SIDES, st.integers(1, 3), GEOMETRIES)
def test_a_square_image_of_the_right_size_is_unchanged_in_bits(size: int, channels: int, geometry: Geometry) -> None:
    image = picture(size, size, channels)
    np.testing.assert_array_equal(to_square_image(image, size, geometry), image)
    np.testing.assert_array_equal(to_square_mask(labels(size, size), size, geometry), labels(size, size))


@given(SIDES, SIDES, st.integers(0, 60), GEOMETRIES)
def test_back_is_the_inverse_of_forward_where_forward_does_not_shrink(
    height: int, width: int, more: int, geometry: Geometry
) -> None:
    mask = labels(height, width)
    square = to_square_mask(mask, max(height, width) + more, geometry)
    np.testing.assert_array_equal(from_square_mask(square, (height, width), geometry), mask)


@given(st.integers(2, 60), st.integers(2, 60), st.integers(2, 60), st.data(), GEOMETRIES)
def test_a_boundary_comes_back_within_one_backbone_pixel(
    height: int, width: int, size: int, data: st.DataObject, geometry: Geometry
) -> None:
    across = data.draw(st.booleans())
    length = width if across else height
    boundary = data.draw(st.integers(1, length - 1))
    line = (np.arange(length) >= boundary).astype(np.uint8)
    mask = np.ascontiguousarray(np.broadcast_to(line if across else line[:, None], (height, width)))
    pixel = (max(height, width) if geometry == "pad" else length) / size  # a backbone pixel, in the image's pixels
    back = from_square_mask(to_square_mask(mask, size, geometry), (height, width), geometry)
    far = np.abs(np.arange(length) + 0.5 - boundary) > pixel
    near_ignored = back != 255  # at the image's own edge, a backbone pixel may belong to the padding
    wrong = (back != mask) & near_ignored & (far if across else far[:, None])
    assert not wrong.any()


def test_padding_repeats_the_edge_and_the_odd_line_is_at_the_bottom_or_right() -> None:
    image = picture(4, 7)
    square = to_square_image(image, 7, "pad")
    np.testing.assert_array_equal(square[1:5], image)
    np.testing.assert_array_equal(square[0], image[0])
    np.testing.assert_array_equal(square[5:], np.broadcast_to(image[-1], (2, 7, 1)))
    tall = to_square_image(image.transpose(1, 0, 2), 7, "pad")
    np.testing.assert_array_equal(tall, square.transpose(1, 0, 2))


def test_padding_of_a_mask_is_ignored_and_nothing_else_is() -> None:
    mask = labels(4, 7)
    square = to_square_mask(mask, 7, "pad")
    np.testing.assert_array_equal(square[1:5], mask)
    np.testing.assert_array_equal(np.flatnonzero((square == 255).all(axis=1)), [0, 5, 6])
    assert (to_square_mask(mask, 7, "pad", ignore=9)[0] == 9).all()
    assert not (to_square_mask(mask, 7, "stretch") == 255).any()


def test_shrinking_to_a_divisor_antialiases() -> None:
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 32)[None, :, None].repeat(64, axis=0)
    shrunk = to_square_image(stripes, 16, "stretch")[..., 0]
    np.testing.assert_allclose(shrunk[:, 1:-1], 0.5, atol=1e-6)  # picking pixels would give all black or all white


def test_the_channels_of_an_image_are_resized_one_by_one() -> None:
    image = picture(9, 14, 3)
    together = to_square_image(image, 6, "pad")
    for channel in range(3):
        np.testing.assert_array_equal(together[..., [channel]], to_square_image(image[..., [channel]], 6, "pad"))


def test_image_and_mask_stay_on_top_of_each_other() -> None:
    mask = np.zeros((30, 50), np.uint8)
    mask[4:22, 30:47] = 1
    for geometry in cast(list[Geometry], ["pad", "stretch"]):
        image = to_square_image(mask[..., None].astype(np.float32), 20, geometry)[..., 0]
        square = to_square_mask(mask, 20, geometry)
        sure = np.abs(image - 0.5) > 0.45  # away from the boundary
        np.testing.assert_array_equal(image[sure & (square != 255)] > 0.5, square[sure & (square != 255)] == 1)


def test_probabilities_come_back_bilinearly_without_the_padding() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 8, dtype=np.float32), (8, 8))
    back = from_square_probabilities(np.stack([ramp, 1 - ramp], axis=-1), (8, 16), "pad")
    positions = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7) / 7
    np.testing.assert_allclose(back[..., 0], np.broadcast_to(positions, (8, 16)), atol=1e-6)
    down = from_square_probabilities(np.stack([ramp.T, 1 - ramp.T], axis=-1), (8, 16), "pad")
    positions = ((np.arange(8) + 4 + 0.5) / 2 - 0.5) / 7
    np.testing.assert_allclose(down[..., 0], np.broadcast_to(positions[:, None], (8, 16)), atol=1e-6)


def test_probabilities_of_the_images_own_size_are_unchanged_in_bits() -> None:
    probabilities = np.random.default_rng(3).dirichlet([1.0, 2.0, 3.0], (9, 9)).astype(np.float32)
    np.testing.assert_array_equal(from_square_probabilities(probabilities, (9, 9), "pad"), probabilities)
    np.testing.assert_array_equal(from_square_probabilities(probabilities, (6, 9), "pad"), probabilities[1:7])


def test_black_and_white_become_the_backbones() -> None:
    image = picture(5, 6)
    np.testing.assert_array_equal(to_range(image, (0.0, 1.0)), image)
    np.testing.assert_array_equal(to_range(image, (-1.0, 1.0)), image * 2 - 1)
    assert to_range(image, (-1.0, 1.0)).dtype == np.float32


def test_a_missing_axis_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 dimensions"):
        to_square_image(picture(5, 6)[..., 0], 4, "pad")
