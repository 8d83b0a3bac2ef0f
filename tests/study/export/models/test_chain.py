"""A head and its backbone as one network come to the head's own probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from travelling import both, made_head, made_store

import tedm.heads as heads
from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.heads import load_head
from tedm.store import FeatureStore
from tedm.study.export.models.chain import Chain, require_tensors

# Stores by their settings, and heads on each.
PLAIN: dict = {}
BILINEAR = {"upsampling": "bilinear", "layout": "upsampled", "noise": "shared", "draws": 2}
WITHOUT_NOISE = {"noise": "none", "geometry": "stretch"}
KINDS = {
    "one MLP shared": (PLAIN, {}),
    "several MLPs side by side, a majority": (PLAIN, {"method": "ledm", "members": 3}),
    "a geometric mean, smoothed": (PLAIN, {"vote": "geometric", "members": 2, "smoothing": 1.3}),
    "by how sure they are, calibrated": (PLAIN, {"vote": "entropy", "temperature": 1.7}),
    "learned weights": (PLAIN, {"learned": ((0.7, 0.3),)}),
    "a logistic regression": (PLAIN, {"method": "timestep:50"}),
    "a logistic regression side by side": (PLAIN, {"head": "logistic", "rows": "concatenate"}),
    "bilinear, two draws of one noise": (BILINEAR, {}),
    "bilinear side by side": (BILINEAR, {"method": "ledm", "members": 2, "vote": "soft"}),
    "without noise": (WITHOUT_NOISE, {}),
}


@pytest.fixture(scope="module")
def stores(dataset, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return {
        str(options): made_store(folder / f"store{number}", dataset, checkpoint, **options)
        for number, options in enumerate((PLAIN, BILINEAR, WITHOUT_NOISE))
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_comes_to_the_heads_probabilities(kind, stores, checkpoint):
    options, asked = KINDS[kind]
    head = made_head(stores[str(options)], **asked)
    (probabilities, opinions), (merged, theirs) = both(head, checkpoint)
    assert np.ptp(opinions) > 0.1  # it has something to say
    np.testing.assert_allclose(theirs, opinions, atol=2e-5)
    np.testing.assert_allclose(merged, probabilities, atol=2e-5)


@pytest.mark.parametrize("classes", [(0, 7, 255)])
@pytest.mark.parametrize("method", ["tedm", "timestep:50"])
def test_three_classes_and_three_channels(method, classes, write_images, tmp_path):
    save_backbone(random_backbone(image_channels=3), tmp_path / "rgb.safetensors")
    manifest = write_images(tmp_path / "data", classes=classes)
    store = made_store(tmp_path / "store", manifest, tmp_path / "rgb.safetensors", threads=2)
    head = made_head(store, method)
    (probabilities, opinions), (merged, theirs) = both(head, tmp_path / "rgb.safetensors")
    assert opinions.shape[-1] == 3
    np.testing.assert_allclose(theirs, opinions, atol=2e-5)
    np.testing.assert_allclose(merged, probabilities, atol=2e-5)


def test_a_class_that_no_pixel_showed_has_no_chance(dataset, checkpoint, stores):
    head = made_head(stores["{}"])
    head.estimator.network_.get_buffer("seen")[1] = False
    _, (merged, _) = both(head, checkpoint)
    assert (merged[:, 1] == 0).all()


def test_some_levels_are_enough(dataset, checkpoint, tmp_path):
    backbone = load_backbone(checkpoint)
    settings = {"layout": "native", "precision": "float32", "device": "cpu", "threads": 1}
    extract(read_manifest(dataset), tmp_path / "store", backbone.with_levels(["level0"]), timesteps=[1, 50], **settings)
    head = made_head(FeatureStore.open(tmp_path / "store"))
    (probabilities, _), (merged, _) = both(head, checkpoint)
    np.testing.assert_allclose(merged, probabilities, atol=2e-5)


def test_its_inputs_are_an_image_and_the_noise_of_its_timesteps(stores, checkpoint):
    def inputs(options):
        return Chain(made_head(stores[str(options)]), load_backbone(checkpoint)).inputs

    assert inputs(BILINEAR) == {"image": (1, 1, 16, 16), "noise": (2, 2, 1, 16, 16)}
    assert inputs(WITHOUT_NOISE) == {"image": (1, 1, 16, 16)}


def test_heads_that_are_no_tensors_are_refused_by_what_they_are(stores, fitted):
    forest = heads.fit(stores["{}"], "timestep:1", head="sklearn:ensemble.RandomForestClassifier", params={"n_estimators": 2})
    with pytest.raises(TedmError, match=r"--onnx is for the heads mlp and logistic, .* and forest is sklearn:ensemble.Random"):
        require_tensors(forest, "forest")
    network = dataclasses.replace(forest, method=heads.method_named("unet"))
    with pytest.raises(TedmError, match=r"and pictures \(unet\) looks at images; leave out --onnx"):
        require_tensors(network, "pictures")
    jury = heads.fit(stores["{}"], heads.method_named("jury", timesteps=(1, 50), views=0), iterations=2)
    with pytest.raises(TedmError, match=r"and mine \(jury\) has a network besides; leave out --onnx, or fit its MLPs alone"):
        require_tensors(jury, "mine")
    require_tensors(load_head(fitted), "mlp")
