"""What tests of the trees share: rows that plain XGBoost may have, and a folder of their own for the cache."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import rows_at
from tedm.store import IGNORE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made, of which none of ours is left in the end."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("tedm*")) == []


def _labelled_rows(data: TrainingData) -> tuple[Any, Any]:
    x, y = [], []
    for labelled in data:
        pixels = np.flatnonzero(labelled.mask.ravel() != IGNORE)
        x.append(rows_at(labelled.block, pixels, data.rows))
        y.append(np.repeat(labelled.mask.ravel()[pixels], data.rows_per_pixel))
    return np.concatenate(x), np.concatenate(y).astype(int)


@pytest.fixture
def labelled_rows() -> Callable[[TrainingData], tuple[Any, Any]]:
    """Gives all rows that the data has, in its order, and their class indices."""
    return _labelled_rows
