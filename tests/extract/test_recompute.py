"""Images of a store computed again: equal bits are no damage, others are named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.extract.backbones import random_backbone
from tedm.extract.recompute import recompute_images, require_same_bits
from tedm.store import FeatureStore

SETTINGS = {"timesteps": (1, 50), "device": "cpu", "precision": "float32", "threads": 1, "layout": "native"}


@pytest.fixture(scope="module")
def whole(dataset, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("recompute") / "store"
    return extract(read_manifest(dataset), path, load_backbone(checkpoint), **SETTINGS).store


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def test_a_sound_store_has_the_bits_that_the_backbone_gives(store, checkpoint):
    calls = []
    names = store.labels.names[:3]
    assert recompute_images(store, load_backbone(checkpoint), names, progress=lambda *at: calls.append(at)) == []
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_shard_of_another_image_is_found_though_its_checksum_is_sound(store, checkpoint):
    first, second, third = store.labels.names[:3]
    files = store.files_of(first)["level1"], store.files_of(second)["level1"]
    shutil.copy(store.path / files[0], store.path / files[1])
    (damage,) = recompute_images(store, load_backbone(checkpoint), [second, third])
    assert (damage.image, damage.array) == (second, "level1")
    difference = np.abs(store.block(first).cells[1].astype(float) - whole_cells(store, checkpoint, second)).max()
    assert damage.cause == f"computed again, it has other bits (by up to {difference:.3g})"


def whole_cells(store, checkpoint, name):
    """The second level of an image as the backbone gives it."""
    from tedm.extract.pipeline import compute

    (computed,) = compute(load_backbone(checkpoint), store.settings, store.arithmetic, [(name, store.image(name))])
    return computed.cells[1].astype(np.float16)


def test_another_backbone_is_refused_before_any_work(store):
    with pytest.raises(TedmError, match="made with another checkpoint"):
        require_same_bits(store, random_backbone(seed=9))
