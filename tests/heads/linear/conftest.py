"""Labelled rows of a store and scikit-learn's regression on them, which tests of the linear head compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tedm.heads.data.rows import dense_rows, row_labels
from tedm.store import IGNORE, FeatureStore


def _dense(store: FeatureStore, rows: Any, names: Sequence[str] | None = None) -> tuple[Any, Any]:
    blocks = [store.block(name) for name in names or store.labels.names]
    x = np.concatenate([dense_rows(block, rows).astype(np.float64) for block in blocks])
    y = np.concatenate([row_labels(store.mask(b.name), len(b.timesteps), b.draws, rows) for b in blocks])
    return x[y != IGNORE], y[y != IGNORE].astype(int)


def _theirs(x: Any, y: Any, standardize: bool, ridge: float = 0.7) -> Any:
    model = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=10000)
    return (make_pipeline(StandardScaler(), model) if standardize else make_pipeline(model)).fit(x, y)


@pytest.fixture
def dense() -> Callable[..., tuple[Any, Any]]:
    """Gives all labelled rows of a store, float64, and their class indices."""
    return _dense


@pytest.fixture
def theirs() -> Callable[..., Any]:
    """Fits scikit-learn's regression, with a scaler before it or not."""
    return _theirs
