"""A store of real activations, and a head of each kind of rows and classifier that was fitted on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.extract.backbones import load_backbone
from tedm.extract.images import read_manifest
from tedm.extract.run import extract
from tedm.heads import Segmenter, fit, method_named
from tedm.store import FeatureStore

TIMESTEPS = (1, 10, 50)


@pytest.fixture(scope="session")
def store(dataset: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Seven images at three timesteps with two draws, four of them to learn from."""
    path = tmp_path_factory.mktemp("stores") / "store"
    backbone = load_backbone(checkpoint)
    settings = {"timesteps": TIMESTEPS, "layout": "native", "precision": "float32", "threads": 1, "draws": 2}
    return extract(read_manifest(dataset), path, backbone, device="cpu", **settings).store  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def heads(store: FeatureStore) -> dict[str, Segmenter]:
    """One head of each kind of rows and classifier."""
    return {
        "tedm": fit(store, method_named("tedm", timesteps=TIMESTEPS), iterations=30),
        "ledm": fit(store, method_named("ledm", timesteps=TIMESTEPS, members=3), images=2, iterations=30),
        "probe": fit(store, method_named("timestep:10"), images=3, seed=1),
        "both": fit(store, method_named("tedm", timesteps=TIMESTEPS, head="logistic", rows="concatenate")),
    }
