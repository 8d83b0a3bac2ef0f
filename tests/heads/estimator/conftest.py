"""What tests of estimators share: labelled rows of a store, and room for a number of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, row_labels
from tedm.heads.estimator.memory import Need
from tedm.store import IGNORE, FeatureStore


def _dense(store: FeatureStore, data: TrainingData) -> tuple[Any, Any]:
    x, y = [], []
    for name in data.names:
        block = store.block(name).at(data.timesteps)
        x.append(dense_rows(block, data.rows))
        y.append(row_labels(data.masks[name], len(data.timesteps), block.draws, data.rows))
    rows, labels = np.concatenate(x), np.concatenate(y)
    return rows[labels != IGNORE], labels[labels != IGNORE].astype(int)


@pytest.fixture
def dense() -> Callable[[FeatureStore, TrainingData], tuple[Any, Any]]:
    """Gives all labelled rows and their class indices, image by image."""
    return _dense


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Room for so many rows and no more, whatever this process takes."""

    def room(rows: int) -> None:
        monkeypatch.setattr(Need, "most_rows", lambda self, nbytes: rows)

    return room
