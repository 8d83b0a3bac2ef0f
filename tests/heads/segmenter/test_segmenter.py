"""From features to a saved head to scores: what is fitted is what predicts, and nothing is scored that was learned from."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone
from tedm.extract.images import read_manifest
from tedm.extract.live import LiveFeatures
from tedm.extract.run import extract
from tedm.heads import evaluate, fit, load_head, method_named, predict, save_head, score, summarise, vote
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.network import Committee, hidden_sizes
from tedm.store import FeatureStore, Registration
from tedm.store.fingerprints import Fingerprint

TIMESTEPS = (1, 10, 50)
QUICK = {"iterations": 30}


@pytest.fixture(scope="module")
def store(dataset, checkpoint, tmp_path_factory) -> FeatureStore:
    path = tmp_path_factory.mktemp("stores") / "store"
    settings = {"timesteps": TIMESTEPS, "layout": "native", "precision": "float32", "threads": 1, "draws": 2}
    return extract(read_manifest(dataset), path, load_backbone(checkpoint), device="cpu", **settings).store


@pytest.fixture(scope="module")
def heads(store):
    """One head of each kind of rows and classifier."""
    return {
        "tedm": fit(store, method_named("tedm", timesteps=TIMESTEPS), **QUICK),
        "ledm": fit(store, method_named("ledm", timesteps=TIMESTEPS, members=3), images=2, **QUICK),
        "probe": fit(store, method_named("timestep:10"), images=3, seed=1),
        "both": fit(store, method_named("tedm", timesteps=TIMESTEPS, head="logistic", rows="concatenate")),
    }


def test_methods_are_the_papers():
    tedm, ledm, ledme = (method_named(name) for name in ("tedm", "ledm", "ledme"))
    assert tedm.timesteps == ledme.timesteps == (1, 10, 25, 50, 200, 400, 600, 800)
    assert ledm.timesteps == (50, 150, 250)
    assert [(m.rows, m.members, m.vote) for m in (tedm, ledm, ledme)] == [
        ("share", 1, "soft"),
        ("concatenate", 10, "hard"),
        ("concatenate", 10, "hard"),
    ]
    probe = method_named("timestep:50")
    assert (probe.head, probe.timesteps, probe.name) == ("logistic", (50,), "timestep:50")
    assert method_named("tedm", head="logistic").name == "tedm-logistic"
    for wrong in ("unet", "timestep", "timestep:-1", "timestep:x"):
        with pytest.raises(TedmError, match="there is no method"):
            method_named(wrong)
    with pytest.raises(TedmError, match="5 members of logistic would be equal; --members is for --head mlp"):
        method_named("tedm", head="logistic", members=5)


@pytest.mark.parametrize("name", ["tedm", "ledm", "probe", "both"])
def test_a_saved_and_loaded_head_predicts_the_same_bits(heads, store, tmp_path, name):
    save_head(heads[name], tmp_path / "head")
    loaded = load_head(tmp_path / "head")
    for image in store.labels.names[:2]:
        block = store.block(image)
        assert loaded.opinions(block).tobytes() == heads[name].opinions(block).tobytes()
        assert loaded.probabilities(block).tobytes() == heads[name].probabilities(block).tobytes()
    assert loaded.provenance == heads[name].provenance
    assert loaded.method == heads[name].method
    assert sorted(file.name for file in (tmp_path / "head").iterdir()) == ["head.json", "weights.safetensors"]


def test_a_tedm_head_of_full_width_is_under_a_megabyte(heads, tmp_path):
    import torch

    network = Committee(1, 960, hidden_sizes(2), 2, torch.Generator())
    estimator = MLPHead()
    estimator.network_, estimator.n_features_in_ = network.eval(), 960
    save_head(dataclasses.replace(heads["tedm"], estimator=estimator), tmp_path / "head")
    assert sum(file.stat().st_size for file in (tmp_path / "head").iterdir()) < 1_000_000


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


def test_voters_are_members_timesteps_and_draws(heads, store):
    block = store.block("scan 5")
    assert heads["tedm"].opinions(block).shape == (3 * 2, 256, 2)
    assert heads["ledm"].opinions(block).shape == (3 * 2, 256, 2)
    assert heads["probe"].opinions(block).shape == (2, 256, 2)
    opinions = heads["tedm"].opinions(block)
    merged = heads["tedm"].probabilities(block)
    assert merged.tobytes() == vote(opinions, rule="soft").reshape(16, 16, 2).tobytes()
    alone = heads["tedm"].opinions(block, timesteps=[50])
    assert alone.tobytes() == opinions[4:].tobytes()  # the last of three timesteps, two draws


def test_training_subsets_are_nested_and_recorded(store):
    chosen = [fit(store, method_named("timestep:1"), images=n, seed=3).provenance.images for n in (1, 2, 4)]
    assert chosen[0] == chosen[2][:1]
    assert chosen[1] == chosen[2][:2]
    assert fit(store, method_named("timestep:1"), images=2, seed=3).provenance.labels_used == 2


def test_labels_that_stop_a_fit_early_are_counted(store, dataset, tmp_path):
    head = fit(store, method_named("tedm", timesteps=TIMESTEPS), images=2, **QUICK)
    assert head.provenance.labels_used == 2
    with pytest.raises(TedmError, match="--patience needs labelled images of split 'val', and there are none"):
        fit(store, method_named("tedm", timesteps=TIMESTEPS), patience=3, **QUICK)


def test_scores_are_those_of_the_predicted_masks(heads, store):
    records = evaluate(store, heads)
    names = store.labels.select(split="test")
    assert len(records) == len(heads) * len(names) * 2
    predictions = {(p.head, p.name): p.mask for p in predict(store, heads, names)}
    for record in records:
        key = next(key for key, head in heads.items() if head.method.name == record.method)
        by_hand = score(store.mask(record.image), predictions[key, record.image], 2)
        np.testing.assert_equal(record.dice, by_hand.dice[store.labels.classes.index(record.class_value)])
        assert record.domain == store.labels.domains[store.labels.index(record.image)]
        assert (record.split, record.resolution) == ("test", "feature")


def test_a_head_learns_what_a_bright_blob_is(store):
    records = evaluate(store, {"probe": fit(store, method_named("timestep:1"))})
    foreground = [record.dice for record in records if record.class_value == 255]
    assert np.mean(foreground) > 0.6
    assert "timestep:1" in summarise(records).to_text()


def test_one_timestep_may_vote_alone(heads, store):
    whole = {record.method for record in evaluate(store, {"h": heads["tedm"]})}
    alone = {record.method for record in evaluate(store, {"h": heads["tedm"]}, timesteps=[1])}
    assert (whole, alone) == ({"tedm"}, {"tedm@1"})
    with pytest.raises(TedmError, match="side by side"):
        evaluate(store, {"h": heads["ledm"]}, timesteps=[1])


def test_nothing_is_scored_that_was_learned_from(heads, store):
    with pytest.raises(TedmError, match="would mean nothing"):
        evaluate(store, heads, split="train")
    stopped = dataclasses.replace(heads["tedm"].provenance, chosen_on=(Fingerprint("scan 5"),))
    with pytest.raises(TedmError, match=r"1 of these images .*\(the first: scan 5\)"):
        evaluate(store, {"h": dataclasses.replace(heads["tedm"], provenance=stopped)})


def test_the_images_that_stop_a_fit_are_recorded(store, dataset, tmp_path):
    shutil.copytree(store.path, tmp_path / "store")
    copy = FeatureStore.open(tmp_path / "store")
    copy.relabel([Registration("scan 3", "val", "", "", (0, 0), None)], copy.labels.classes)
    head = fit(copy, method_named("tedm", timesteps=TIMESTEPS), images=2, patience=3, **QUICK)
    assert head.provenance.validation_images == ["scan 3"]
    assert head.provenance.labels_used == 3
    with pytest.raises(TedmError, match="would mean nothing"):
        evaluate(copy, {"h": head}, split="val")


def test_a_mask_is_read_once_for_all_heads(heads, store, monkeypatch):
    read = []
    mask = FeatureStore.mask
    monkeypatch.setattr(FeatureStore, "mask", lambda self, name: (read.append(name), mask(self, name))[1])
    evaluate(store, heads)
    assert read == store.labels.select(split="test")


def test_a_head_for_other_features_is_refused(heads, store):
    other = dataclasses.replace(store.settings, checkpoint_sha256="00" * 32, geometry="stretch")
    head = dataclasses.replace(heads["tedm"], settings=other)
    with pytest.raises(TedmError, match=r"(?s)made for other features.*checkpoint.*geometry: the head has stretch"):
        evaluate(store, {"h": head})
    with pytest.raises(TedmError, match="timesteps: 800 not in the store, which has 1, 10, 50"):
        list(predict(store, {"h": heads["tedm"]}, ["scan 5"], timesteps=[800]))
    with pytest.raises(TedmError, match=r"knows the mask values \[0, 7\]"):
        evaluate(store, {"h": dataclasses.replace(heads["tedm"], classes=(0, 7))})


def test_what_a_fit_cannot_do_is_said(store, tmp_path):
    with pytest.raises(TedmError, match="there are only 4"):
        fit(store, method_named("timestep:1"), images=9)
    with pytest.raises(TedmError, match="no labelled image of split 'val'"):
        fit(store, method_named("timestep:1"), split="val")
    with pytest.raises(TedmError, match="reads timesteps that are not there: 200, 400; the features have 1, 10, 50"):
        fit(store, method_named("tedm", timesteps=(1, 200, 400)))
    with pytest.raises(TedmError, match="--ridge is for --head logistic"):
        fit(store, method_named("tedm", timesteps=TIMESTEPS), ridge=2.0)
    with pytest.raises(TedmError, match="--learning-rate is for --head mlp"):
        fit(store, method_named("timestep:1"), learning_rate=0.1)


def test_a_damaged_or_newer_head_is_said(heads, tmp_path):
    with pytest.raises(TedmError, match="does not exist"):
        load_head(tmp_path / "head")
    save_head(heads["tedm"], tmp_path / "head")
    with pytest.raises(TedmError, match="is not empty"):
        save_head(heads["tedm"], tmp_path / "head")
    about = json.loads((tmp_path / "head" / "head.json").read_text())
    (tmp_path / "head" / "head.json").write_text(json.dumps({**about, "format": 2}))
    with pytest.raises(TedmError, match="install a newer tedm"):
        load_head(tmp_path / "head")
    (tmp_path / "head" / "head.json").write_text(json.dumps(about))
    weights = tmp_path / "head" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")
    (tmp_path / "head" / "head.json").write_text("{")
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")


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
