"""A dataset to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bad(dataset: Path, tmp_path: Path) -> Path:
    """A copy of the dataset to break."""
    shutil.copytree(dataset.parent, tmp_path / "data", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copy(dataset, tmp_path / "data" / "manifest.csv")
    return tmp_path / "data"
