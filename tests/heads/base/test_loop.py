"""The loop of a fit: what it tells on its way, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import row_labels
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.looks import mean_loss
from tedm.store import IGNORE

SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


def state(head):
    return {name: tensor.clone() for name, tensor in head.network_.state_dict().items()}


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


def test_progress_is_told_a_hundred_times(make_store):
    told = []
    of = {**SMALL, "iterations": 250}
    head = MLPHead(**of).fit_blocks(data_of(make_store()), progress=lambda *args: told.append(args))
    assert len(told) == 100
    assert told[-1] == (250, 250, head.loss_curve_[-1])


def test_stopping_early_keeps_the_best_weights(make_store):
    store = make_store()
    train, val = data_of(store, names=["one"], pixels_per_image=6), data_of(store, names=["three", "four"])
    of = {**SMALL, "iterations": 500, "learning_rate": 3e-2, "seed": 1}
    head = MLPHead(patience=3, **of).fit_blocks(train, val)
    best = int(np.argmin(head.validation_curve_))
    assert len(head.validation_curve_) == best + 4 < 50
    assert head.n_iter_ == 10 * (best + 1)
    assert mean_loss(head.opinions, val) == pytest.approx(head.validation_curve_[best], rel=1e-6)
    opinions = [head.opinions(store.block(name), "share")[0] for name in val.names]
    labels = np.concatenate([row_labels(store.mask(name), 3, 1, "share") for name in val.names])
    own = np.concatenate(opinions)[labels != IGNORE][np.arange((labels != IGNORE).sum()), labels[labels != IGNORE]]
    assert mean_loss(head.opinions, val) == pytest.approx(-np.log(own).mean(), rel=1e-5)


def test_it_stops_early_only_when_asked(make_store):
    store = make_store()
    train, val = data_of(store, names=["one"], pixels_per_image=6), data_of(store, names=["three", "four"])
    of = {**SMALL, "iterations": 100, "learning_rate": 3e-2, "seed": 1}
    head = MLPHead(**of).fit_blocks(train, val)
    assert head.n_iter_ == 100
    assert head.validation_curve_ == []
    assert same(state(head), state(MLPHead(**of).fit_blocks(train)))
    with pytest.raises(TedmError, match="patience needs validation images"):
        MLPHead(patience=3, **of).fit_blocks(train)
