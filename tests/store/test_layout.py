"""Upsampling and its transpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tedm.store.layout import Pixels, bilinear_matrix, finite, native_cells, pool, stored, upsample, upsampled_array

UPSAMPLINGS = ["nearest", "bilinear"]


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("side", "size"), [(1, 4), (2, 8), (4, 4), (8, 64), (3, 12)])
def test_upsampling_equals_torchs(rng, upsampling, side, size):
    cells = rng.normal(size=(2, side, side, 3)).astype(np.float32)
    ours = upsample(cells, size, upsampling)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(cells).permute(0, 3, 1, 2), size=(size, size), mode=upsampling)
    np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1).numpy(), rtol=0, atol=1e-6)


@given(
    stride=st.integers(1, 5),
    cells=hnp.arrays(np.float64, (2, 3, 3, 2), elements=st.floats(-10, 10)),
    seed=st.integers(0, 99),
    upsampling=st.sampled_from(UPSAMPLINGS),
)
def test_pool_is_the_transpose_of_upsample(stride, cells, seed, upsampling):
    pixels = np.random.default_rng(seed).normal(size=(2, 3 * stride, 3 * stride, 2))
    there = (upsample(cells, 3 * stride, upsampling) * pixels).sum()
    back = (cells * pool(pixels, 3, upsampling)).sum()
    np.testing.assert_allclose(there, back, rtol=1e-9, atol=1e-9)


def test_strided_pixels_are_the_cells_bit_for_bit(rng):
    cells = [rng.normal(size=(2, 1, 2, 2, 5)).astype(np.float16), rng.normal(size=(2, 1, 8, 8, 3)).astype(np.float16)]
    pixels = upsampled_array(cells, 8, "nearest", np.float16)
    for ours, theirs in zip(native_cells(pixels, [5, 3], [4, 1]), cells, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_rows_of_the_bilinear_matrix_sum_to_one():
    np.testing.assert_allclose(bilinear_matrix(5, 20).sum(axis=1), 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -np.nan])
@pytest.mark.parametrize("place", [0, 2**16 - 1, 2**16, 2**17 + 6])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(bad, place, dtype):
    values = np.full(2**17 + 7, 65504, dtype)
    values[::3] *= -1
    values[1::5] = 6e-8  # the smallest of float16
    assert finite(values)
    values[place] = bad
    assert not finite(values)


@given(values=hnp.arrays(np.float16, hnp.array_shapes(max_dims=5, min_side=0, max_side=4)), step=st.sampled_from([1, 2, -1]))
def test_finite_is_what_numpy_says(values, step):
    for view in (values, values[..., ::step], values.T):
        assert finite(view) == bool(np.isfinite(view).all())


@pytest.mark.parametrize(("size", "sides"), [(8, (2, 4, 8)), (12, (3, 12)), (6, (2, 1))])
def test_pixels_that_are_made_part_by_part_are_those_of_the_whole(rng, size, sides):
    """Rows that begin and end within a cell too."""
    cells = [rng.normal(size=(3, 2, side, side, 2 + side)).astype(np.float16) for side in sides]
    pixels = Pixels(cells, size)
    whole = np.concatenate([upsample(level, size, "nearest") for level in cells], axis=-1)
    assert pixels.shape == whole.shape
    for first in range(size):
        for last in range(first + 1, size + 1):
            at = (slice(1, 3), slice(1, 2), slice(first, last))
            assert np.array_equal(pixels[at], whole[at])
            assert pixels[at].dtype == np.float16
    assert np.array_equal(pixels[(slice(None),) * 5], whole)


def test_rounding_is_numpys_to_the_bit():
    """At every number of float16, halfway to the next, and one float32 beside either; beyond the largest; many of them."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves)]).astype(np.float32)
    points = np.concatenate([halves, (halves[1:] + halves[:-1]) / 2, np.float32([65519.996, 65520.0, 1e9, 1e-45, np.inf])])
    values = np.concatenate(
        [side * np.nextafter(points, to) for to in (points, np.float32(1e38), np.float32(-1e38)) for side in (1, -1)]
    )
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    assert len(values) > 2**19
    assert np.array_equal(stored(values, "float16").view(np.uint16), expected.view(np.uint16))
    backwards = values.reshape(2, -1)[:, ::-1]
    assert np.array_equal(stored(backwards, "float16"), expected.reshape(2, -1)[:, ::-1])
    assert np.isnan(stored(np.float32([np.nan]), "float16")).all()
