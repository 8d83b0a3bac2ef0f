"""A block's products equal those of the matrix that it never makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tedm.heads.algebra import CHANNELS_AT_ONCE, ArrayDesign, BlockDesign
from tedm.heads.rows import dense_rows

LAYOUTS = ["share", "concatenate"]
shapes = st.fixed_dictionaries(
    {
        "timesteps": st.integers(1, 3),
        "draws": st.integers(1, 2),
        "levels": st.lists(st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(1, 4)), min_size=1, max_size=3),
        "size": st.just(8),
        "upsampling": st.sampled_from(["nearest", "bilinear"]),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def assert_products_are_dense_products(block, rows, outputs, seed):
    rng = np.random.default_rng(seed)
    design, dense = BlockDesign(block, rows, "float64"), ArrayDesign(dense_rows(block, rows).astype(np.float64))
    assert design.shape == dense.shape
    weights = rng.normal(size=(dense.shape[1], outputs))
    np.testing.assert_allclose(design.matmat(weights), dense.matmat(weights), rtol=0, atol=1e-10)
    residuals = rng.normal(size=(dense.shape[0], outputs))
    np.testing.assert_allclose(design.rmatmat(residuals), dense.rmatmat(residuals), rtol=1e-12, atol=1e-10)
    used = rng.integers(0, 2, dense.shape[0]).astype(float)
    for ours, theirs in zip(design.moments(used), dense.moments(used), strict=True):
        assert ours.shape == (dense.shape[1],)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("rows", LAYOUTS)
@given(shape=shapes, outputs=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_products_equal_dense_products_for_all_shapes(random_block, rows, shape, outputs):
    assert_products_are_dense_products(random_block(**shape), rows, outputs, shape["seed"])


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_products_of_a_store_equal_dense_products(make_store, rows, upsampling, layout):
    store = make_store(layout=layout, upsampling=upsampling, draws=2)
    block = store.block("two", (400, 1))
    wide = type(block)("two", (400, 1), tuple(c.astype(np.float64) for c in block.cells), block.size, block.upsampling)
    assert_products_are_dense_products(wide, rows, 2, 5)


@pytest.mark.parametrize("rows", LAYOUTS)
def test_moments_of_many_channels_equal_dense_moments(random_block, rows):
    block = random_block(2, 1, [(2, CHANNELS_AT_ONCE + 3), (4, 2)], 4, "bilinear", 3)
    assert_products_are_dense_products(block, rows, 1, 4)


def test_array_design_is_the_dense_matrix(rng):
    x, w, r = rng.normal(size=(7, 3)), rng.normal(size=(3, 2)), rng.normal(size=(7, 2))
    design = ArrayDesign(x)
    assert np.array_equal(design.matmat(w), x @ w)
    assert np.array_equal(design.rmatmat(r), x.T @ r)
    sums, squares = design.moments(np.arange(7.0))
    np.testing.assert_allclose(sums, (np.arange(7.0)[:, None] * x).sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(squares, (np.arange(7.0)[:, None] * x**2).sum(axis=0), rtol=1e-13)
