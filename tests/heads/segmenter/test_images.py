"""Heads that look at images keep every promise of a segmenter, and no activation is read or computed for them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.images import read_manifest
from tedm.extract.live import LiveFeatures
from tedm.heads import (
    Method,
    Segmenter,
    calibrate,
    evaluate,
    fit,
    identity_of,
    learn_weights,
    load_head,
    method_named,
    predict,
    rank,
    save_head,
)
from tedm.heads.base.registry import BUILT_IN
from tedm.heads.segmenter.methods import METHODS
from tedm.networks.pretrained import Pretrained
from tedm.store import Block, FeatureStore

METHOD = Method("bright-ness", (), "concatenate", "brightness", 1, "soft", settings={"sharpness": 50.0})
WEIGHTS = Pretrained("global-cl", 8, (1, 2), 1, 16, {}, "0" * 64)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN, "brightness", "brightness_head:BrightnessHead")
    monkeypatch.setitem(METHODS, METHOD.name, METHOD)


@pytest.fixture
def head(store: FeatureStore) -> Segmenter:
    return fit(store, METHOD, images=2)


def _forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocks(*_arguments: object, **_more: object) -> Iterator[Block]:
        raise AssertionError("activations were asked for")

    monkeypatch.setattr(FeatureStore, "blocks", blocks)


def test_no_activation_is_read_to_fit_to_score_or_to_predict(store, monkeypatch):
    _forbid(monkeypatch)
    head = fit(store, METHOD, images=2)
    scored = evaluate(store, {"h": head})
    assert {record.image for record in scored} == set(store.labels.select(split="test"))
    assert np.isfinite([record.dice for record in scored]).all()


def test_its_probabilities_are_those_of_the_image_alone(store, head):
    name = store.labels.names[-1]
    (prediction,) = predict(store, {"h": head}, [name])
    expected = head.estimator.opinions(
        Block(name, (), (), store.settings.image_size, store.settings.upsampling, store.image(name)), "concatenate"
    )
    assert prediction.probabilities.reshape(1, -1, 2).tobytes() == expected.tobytes()


def test_beside_heads_of_activations_it_says_what_it_says_alone(store, head):
    tedm = fit(store, method_named("tedm", timesteps=store.settings.timesteps[:1]), images=2, iterations=2)
    names = store.labels.select(split="test")
    together = list(predict(store, {"tedm": tedm, "h": head}, names))
    alone = {**_by_image(predict(store, {"h": head}, names)), **_by_image(predict(store, {"tedm": tedm}, names))}
    assert len(together) == len(alone) == 2 * len(names)
    for one in together:
        assert one.probabilities.tobytes() == alone[one.head, one.name]


def _by_image(predictions):
    return {(one.head, one.name): one.probabilities.tobytes() for one in predictions}


def test_saved_and_loaded_it_is_the_same_head(store, head, tmp_path):
    save_head(head, tmp_path / "head")
    again = load_head(tmp_path / "head")
    assert again.method == head.method
    assert identity_of(again) == identity_of(head)
    names = store.labels.names[-2:]
    assert _by_image(predict(store, {"h": again}, names)) == _by_image(predict(store, {"h": head}, names))


def test_its_temperature_and_weights_are_fitted_as_those_of_others(store, head, dataset):
    images = {"split": "test", "domain": None}
    tuned = calibrate(learn_weights(head, store, **images), store, **images)
    assert tuned.weights is not None
    assert tuned.weights.values == ((1.0,),)
    assert tuned.calibration is not None
    assert tuned.provenance.labels_used == 2 + len(store.labels.select(split="test"))


def test_images_are_predicted_without_a_backbone(store, head, dataset):
    live = LiveFeatures(read_manifest(dataset), None, head.settings, head.arithmetic, head.storage)
    names = store.labels.names[-2:]
    assert _by_image(predict(live, {"h": head}, names)) == _by_image(predict(store, {"h": head}, names))
    with pytest.raises(TedmError, match="no backbone"):
        next(live.blocks(names))


def test_features_of_another_backbone_will_do_and_other_images_will_not(store, head):
    settings = store.settings
    for change in ({"checkpoint_sha256": "1" * 64}, {"levels": settings.levels[:1]}, {"noise": "shared"}):
        other = dataclasses.replace(head, settings=dataclasses.replace(settings, **change))
        other.require(store, what="the store")
    for change in ({"image_size": 32}, {"geometry": "stretch"}, {"intensity_range": (0.0, 2.0)}):
        other = dataclasses.replace(head, settings=dataclasses.replace(settings, **change))
        with pytest.raises(TedmError, match="other features"):
            other.require(store, what="the store")


def test_weights_to_start_from_reach_the_head_and_no_other(store):
    started = fit(store, METHOD, images=2, start=WEIGHTS)
    assert started.provenance.report.details == {"start": "global-cl"}
    with pytest.raises(TedmError, match="--method tedm starts from none"):
        fit(store, method_named("tedm", timesteps=store.settings.timesteps[:1]), images=2, start=WEIGHTS)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda store, head: next(predict(store, {"h": head}, store.labels.names, timesteps=[50])), "reads no timesteps"),
        (lambda store, head: rank(store, head), "no activations to compare"),
        (lambda store, head: method_named(METHOD.name, timesteps=[50]), "leave out --timesteps"),
        (lambda store, head: method_named(METHOD.name, rows="share"), "leave out --rows"),
        (lambda store, head: method_named(METHOD.name, vote="hard"), "leave out --vote"),
        (lambda store, head: method_named(METHOD.name, head="mlp"), "--head mlp does not"),
        (lambda store, head: method_named("tedm", head="brightness"), "--method tedm does not"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(store, head, ask: Callable[..., object], text: str):
    with pytest.raises(TedmError, match=text) as caught:
        ask(store, head)
    assert len(str(caught.value).splitlines()) == 1


def test_a_head_of_activations_without_timesteps_is_damaged_and_one_of_images_with_some(store, head, tmp_path):
    tedm = fit(store, method_named("tedm", timesteps=store.settings.timesteps[:1]), images=2, iterations=2)
    for name, one, timesteps in (("tedm", tedm, []), ("images", head, list(store.settings.timesteps[:1]))):
        save_head(one, tmp_path / name)
        path = tmp_path / name / "head.json"
        written = json.loads(path.read_text())
        written["method"]["timesteps"] = timesteps
        written["features"] = 1 if not timesteps else store.settings.channels
        path.write_text(json.dumps(written))
        with pytest.raises(TedmError, match="is damaged"):
            load_head(tmp_path / name)
