"""Prediction: from a store as from images, every block and mask read once for all heads."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone
from tedm.extract.images import read_manifest
from tedm.extract.live import LiveFeatures
from tedm.heads import evaluate, load_head, predict, save_head
from tedm.heads.voting.uncertainty import disagreement, entropy
from tedm.store import FeatureStore


@pytest.mark.parametrize("name", ["tedm", "ledm", "probe", "both"])
@pytest.mark.parametrize("timesteps", [None, (50,)])
def test_prediction_from_images_equals_the_stores_in_bits(heads, store, dataset, checkpoint, name, timesteps):
    head = heads[name]
    if timesteps and head.method.rows == "concatenate":
        pytest.skip("a concatenated head has no timestep of its own")
    wanted = head.timesteps(timesteps)
    settings = dataclasses.replace(head.settings, timesteps=wanted)
    live = LiveFeatures(read_manifest(dataset), load_backbone(checkpoint), settings, head.arithmetic, head.storage)
    names = store.labels.names[2:5]
    pairs = zip(
        predict(live, {"h": head}, names, timesteps=timesteps),
        predict(store, {"h": head}, names, timesteps=timesteps),
        strict=True,
    )
    for ours, theirs in pairs:
        assert ours.name == theirs.name
        assert ours.probabilities.tobytes() == theirs.probabilities.tobytes()


def test_a_mask_is_read_once_for_all_heads(heads, store, monkeypatch):
    read = []
    mask = FeatureStore.mask
    monkeypatch.setattr(FeatureStore, "mask", lambda self, name: (read.append(name), mask(self, name))[1])
    evaluate(store, heads)
    assert read == store.labels.select(split="test")


@pytest.mark.gpu
def test_cuda_predicts_what_the_cpu_predicts(heads, store, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    save_head(heads["tedm"], tmp_path / "head")
    on_cuda = load_head(tmp_path / "head", device="cuda")
    for name in store.labels.names:
        block = store.block(name)
        np.testing.assert_allclose(on_cuda.probabilities(block), heads["tedm"].probabilities(block), atol=1e-4)


def test_predictions_come_image_by_image_and_head_by_head(heads, store):
    names = ["scan 5", "scan 1"]
    predictions = list(predict(store, heads, names, uncertainty=True))
    assert [(each.name, each.head) for each in predictions] == [(name, key) for name in names for key in heads]
    for each in predictions:
        block, head = store.block(each.name), heads[each.head]
        assert each.probabilities.tobytes() == head.probabilities(block).tobytes()
        assert np.array_equal(each.mask, each.probabilities.argmax(axis=-1))
        assert np.array_equal(each.entropy, entropy(each.probabilities))
        assert np.array_equal(each.disagreement, disagreement(head.opinions(block)).reshape(16, 16))
        assert each.uncalibrated is None
    (plain,) = predict(store, {"p": heads["probe"]}, ["scan 1"])
    assert (plain.entropy, plain.disagreement) == (None, None)


def test_what_does_not_fit_or_suit_is_refused_before_anything_is_read(heads, store, monkeypatch):
    read = []
    blocks = FeatureStore.blocks
    monkeypatch.setattr(FeatureStore, "blocks", lambda self, names, *args: (read.append(names), blocks(self, names, *args))[1])
    with pytest.raises(TedmError, match="not enough for an image and the votes on its pixels"):
        next(predict(store, heads, ["scan 1"], memory=10**6))
    with pytest.raises(TedmError, match="side by side"):
        next(predict(store, heads, ["scan 1"], timesteps=(1,)))
    with pytest.raises(TedmError, match="no learned weights"):
        next(predict(store, heads, ["scan 1"], rule="learned"))
    assert read == []
