"""Committees for tests: tiny parts, and what each of them is alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tedm.heads import fit, save_head
from tedm.heads.committee.head import CommitteeHead
from tedm.heads.data.dataset import TrainingData
from tedm.heads.segmenter.methods import Method, committee_of
from tedm.store import FeatureStore

MLP = {"hidden": [4], "iterations": 8}
SHARED = Method("shared", (1, 50), "share", "mlp", 1, "soft", 32, settings=MLP)
SIDE = Method("side", (50, 400), "concatenate", "mlp", 2, "hard", 16, settings=MLP)
RIDGE = Method("ridge", (400,), "share", "logistic", 1, "soft", settings={"max_iter": 20})
NET = Method("net", (), "concatenate", "unet", 1, "soft", settings={"width": 4, "iterations": 4, "images_per_batch": 2})


@pytest.fixture
def methods() -> dict[str, Method]:
    """Small methods, by their names."""
    return {method.name: method for method in (SHARED, SIDE, RIDGE, NET)}


@pytest.fixture(scope="session")
def _saved(write_store: Callable[..., FeatureStore], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("committee")
    store = write_store(folder / "store")
    save_head(fit(store, committee_of("all", [SHARED, SIDE, RIDGE]), iterations=3), folder / "head")
    return folder / "head"


@pytest.fixture
def saved(_saved: Path, tmp_path: Path) -> Path:
    """A folder of a committee of three, to be damaged."""
    return Path(shutil.copytree(_saved, tmp_path / "head"))


@pytest.fixture
def committee(methods: dict[str, Method]) -> Callable[..., CommitteeHead]:
    """Makes an unfitted committee of some of them."""

    def make(*names: str, **changes: Any) -> CommitteeHead:
        settings = committee_of("all", [methods[name] for name in names or ("shared", "side")]).settings
        return CommitteeHead(**{"parts": settings["parts"], **changes})

    return make


@pytest.fixture
def data_of() -> Callable[..., TrainingData]:
    """All images of a store, with the timesteps of a committee, to learn from."""

    def make(store: FeatureStore, head: CommitteeHead, **changes: Any) -> TrainingData:
        read = sorted({timestep for part in head.parts for timestep in part["timesteps"]})
        return TrainingData(store, store.labels.names, **{"rows": "concatenate", "timesteps": read, **changes})

    return make
