"""A small MLP's settings, what it has learned, and images to learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout
from tedm.heads.mlp.head import MLPHead
from tedm.store import FeatureStore

SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


def state(head: MLPHead) -> dict[str, Tensor]:
    """Copies of the weights of a fitted head, by their names."""
    return {name: tensor.clone() for name, tensor in head.network_.state_dict().items()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    """Whether two heads have the same bits."""
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def data_of(store: FeatureStore, rows: RowLayout = "share") -> TrainingData:
    """All images of a store."""
    return TrainingData(store, store.labels.names, rows=rows)
