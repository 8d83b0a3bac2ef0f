"""Upsampling and its transpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tedm.store.layout import bilinear_matrix, finite, native_cells, pool, upsample, upsampled_array

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
