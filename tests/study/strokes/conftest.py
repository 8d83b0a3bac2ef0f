"""A store, and strokes on two of its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tedm.store import IGNORE, FeatureStore
from tedm.study.strokes.painted import Classes

CLASSES = Classes((0, 255), ("background", "blob"), ("#000000", "#e69f00"))


@pytest.fixture(scope="session")
def store(extracted: Path) -> FeatureStore:
    return FeatureStore.open(extracted)


@pytest.fixture
def classes() -> Classes:
    return CLASSES


@pytest.fixture
def strokes(store: FeatureStore) -> dict[str, np.ndarray]:
    """A line through the blob of each of two images, and two beside it."""
    drawn = {}
    for name in store.labels.names[:2]:
        height, width = store.labels.original_sizes[store.labels.index(name)]
        painted = np.full((height, width), IGNORE, np.uint8)
        painted[int(height * 0.3), int(width * 0.4) - 2 : int(width * 0.4) + 2] = 1
        painted[height - 4, 2:-2] = 0
        painted[2, 2:-2] = 0
        drawn[name] = painted
    return drawn
