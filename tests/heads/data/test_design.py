"""A block's products equal those of the matrix that it never makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tedm.heads.data import design as module
from tedm.heads.data.design import ArrayDesign, BlockDesign, Scratch
from tedm.heads.data.rows import dense_rows

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
    used = rng.integers(0, 2, dense.shape[0]) * rng.random(dense.shape[0])
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
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("together", [1, 2, 3])
def test_parts_are_the_rows_one_after_the_other_whoever_used_the_scratch_before(
    random_block, rows, dtype, together, monkeypatch
):
    scratch = Scratch()
    monkeypatch.setattr(module, "timesteps_together", lambda cell_bytes: together)
    for seed in range(3):
        wide = random_block(3, 2, [(2, 4), (4, 3), (4, 1)], 8, "bilinear", seed)
        block = type(wide)("one", wide.timesteps, tuple(c.astype(np.float16) for c in wide.cells), 8, "bilinear")
        dense = dense_rows(type(wide)("one", wide.timesteps, tuple(c.astype(float) for c in block.cells), 8, "bilinear"), rows)
        weights = np.random.default_rng(seed).normal(size=(dense.shape[1], 2))
        design = BlockDesign(block, rows, dtype, scratch=scratch)
        parts = list(design.parts())
        assert len(parts) == (-(-3 // together) if rows == "share" else 1)
        got, back, edge = [], 0.0, 0
        for part in parts:
            got.append(part.matmat(weights))
            back = back + part.rmatmat(got[-1])
            edge += len(got[-1])
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(np.concatenate(got), dense @ weights, atol=tolerance * 10)
        np.testing.assert_allclose(back, dense.T @ (dense @ weights), rtol=tolerance, atol=tolerance * 1000)
        np.testing.assert_allclose(sum(p.moments(np.ones(p.shape[0]))[1] for p in parts), (dense**2).sum(axis=0), rtol=1e-6)


def test_array_design_is_the_dense_matrix(rng):
    x, w, r = rng.normal(size=(7, 3)), rng.normal(size=(3, 2)), rng.normal(size=(7, 2))
    design = ArrayDesign(x)
    assert np.array_equal(design.matmat(w), x @ w)
    assert np.array_equal(design.rmatmat(r), x.T @ r)
    assert np.array_equal(design.at(np.array([3, 0])), x[[3, 0]])
    sums, squares = design.moments(np.arange(7.0))
    np.testing.assert_allclose(sums, (np.arange(7.0)[:, None] * x).sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(squares, (np.arange(7.0)[:, None] * x**2).sum(axis=0), rtol=1e-13)
