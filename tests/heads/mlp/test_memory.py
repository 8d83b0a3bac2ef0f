"""What the steps of an MLP take in memory: a budget that holds no batch is refused with what would do."""

from __future__ import annotations

import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.mlp.batches import Batches
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.memory import Memory
from tedm.heads.mlp.network import Committee
from tedm.heads.runtime.memory import HELD, resident


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


def test_a_budget_that_holds_no_batch_is_refused_with_what_would_do(make_store, monkeypatch):
    data = data_of(make_store())
    network = Committee(1, data.n_features, (8, 4), len(data.classes), torch.Generator())
    whole = Memory(Batches("images", 1, 512, 4, 2000, 0), data, data.names, network)
    now = resident()
    monkeypatch.setattr("tedm.heads.runtime.memory.resident", lambda: now)
    needs = [whole.images_need(images) for images in (2, 3)]
    data.budget.total, data.budget.was_given = now + HELD + int(1.05 * sum(needs) / 2), True
    with pytest.raises(TedmError, match=r"batches of 4 whole images: .* --memory \d+MB; or --images-per-batch 2 would fit"):
        whole.require(0)
    data.budget.total = now + 1000
    with pytest.raises(TedmError, match=r"32 pixels beside the activations of 2 images: .* or a smaller --pixels-per-batch"):
        Memory(Batches("pixels", 1, 32, 16, 60, 0), data, data.names, network).require(2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"members": 10**9}, "1000000000 members with layers of 8, 4 units"),
        ({"hidden": (10**9,)}, "2 members with layers of 1000000000 units"),
    ],
)
def test_weights_that_nobody_has_room_for_are_refused_before_they_are_drawn(make_store, asked, said):
    head = MLPHead(**{"members": 2, "hidden": (8, 4), "iterations": 1, **asked})
    with pytest.raises(TedmError, match=rf"is not enough for {said}: .* --memory \d+MB; or fewer of either"):
        head.fit_blocks(data_of(make_store()))
