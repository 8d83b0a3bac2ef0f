"""Standardised features: their statistics, and a network that in the end takes features as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_mlps import SMALL, data_of

from tedm.heads.data.rows import dense_rows
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.inputs import input_statistics

LAYOUTS = ["share", "concatenate"]


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("batch", ["pixels", "images"])
def test_standardised_features_end_in_a_network_for_features_as_they_are(make_store, rows, batch):
    store = make_store()
    data = data_of(store, rows)
    offset, factor = input_statistics(data)
    dense = np.concatenate([dense_rows(block, rows) for block in store.blocks(data.names, data.timesteps)]).astype(np.float64)
    np.testing.assert_allclose(offset, dense.mean(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(factor, 1 / dense.std(axis=0), rtol=1e-4)
    head = MLPHead(**SMALL, batch=batch, standardise=True)
    head.fit_blocks(data)
    assert head.network_.inputs is None
    block = next(store.blocks(["one"], data.timesteps))
    opinions = head.opinions(block, rows)
    rows_of = torch.from_numpy(dense_rows(block, rows).astype(np.float32))
    with torch.inference_mode():
        logits = head.network_(rows_of[None])
    np.testing.assert_allclose(opinions, logits.softmax(-1).numpy(), rtol=0, atol=1e-4)
    assert head.loss_curve_[-1] < head.loss_curve_[0]


def test_rows_in_memory_are_standardised_too(rng):
    x = rng.normal(size=(300, 4)) * [1, 1e4, 1, 1] + [0, 5e4, 0, 0]
    y = (x[:, 0] > 0).astype(int)
    options = {"hidden": (8, 4), "pixels_per_batch": 64, "iterations": 150, "learning_rate": 1e-2}
    assert MLPHead(**options, standardise=True).fit(x, y).score(x, y) > 0.9
