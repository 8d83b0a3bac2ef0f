"""The loss that a look finds is the mean over all labelled rows, whatever the images are."""

from __future__ import annotations

import numpy as np
import pytest
from small_mlps import data_of

from tedm.heads.data.rows import dense_rows, row_labels
from tedm.heads.mlp.looks import mean_loss
from tedm.store import IGNORE


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_the_loss_is_the_mean_over_labelled_rows_and_members(make_store, rows):
    store = make_store()
    data = data_of(store, rows)
    weights = np.random.default_rng(0).normal(size=(2, len(dense_rows(store.block(store.labels.names[0]), rows)[0]), 3))

    def opinions(block, rows):
        logits = dense_rows(block, rows)[None] @ weights
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return (odds / odds.sum(-1, keepdims=True)).astype(np.float32)

    losses: list[float] = []
    for labelled in data:
        block = labelled.block
        labels = row_labels(labelled.mask, len(block.timesteps), block.draws, rows)
        for found in opinions(block, rows):
            losses += [
                -float(np.log(max(row[label], 1e-12))) for row, label in zip(found, labels, strict=True) if label != IGNORE
            ]
    assert len(losses) > 100
    assert mean_loss(opinions, data) == pytest.approx(np.mean(losses), rel=1e-5)
