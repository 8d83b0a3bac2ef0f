"""Fits: which images are learned from and decide, what is recorded of them, and what cannot be done."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, load_head, method_named, names_in_records, save_head
from tedm.store import FeatureStore, Registration

TIMESTEPS = (1, 10, 50)
QUICK = {"iterations": 30}


def test_training_subsets_are_nested_and_recorded(store):
    chosen = [fit(store, method_named("timestep:1"), images=n, seed=3).provenance.images for n in (1, 2, 4)]
    assert chosen[0] == chosen[2][:1]
    assert chosen[1] == chosen[2][:2]
    assert fit(store, method_named("timestep:1"), images=2, seed=3).provenance.labels_used == 2


def test_a_store_may_be_named_by_its_path(store):
    by_path, of_store = (fit(which, "timestep:1", images=1) for which in (str(store.path), store))
    assert by_path.provenance == of_store.provenance
    with pytest.raises(TedmError, match="does not exist; make one with tedm-extract"):
        fit("nowhere", "timestep:1")


def test_groups_are_learned_from_with_all_their_images_and_counted_as_such(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "store")
    copy = FeatureStore.open(tmp_path / "store")
    slices = [Registration(f"scan {at}", "train", group, "", (0, 0), None) for at, group in enumerate("aabb")]
    copy.relabel(slices, copy.labels.classes)
    probe = method_named("timestep:1")
    one, both = fit(copy, probe, groups=1, seed=3), fit(copy, probe, groups=2, seed=3)
    assert set(one.provenance.images) in ({"scan 0", "scan 1"}, {"scan 2", "scan 3"})
    assert one.provenance.images == both.provenance.images[:2] == fit(copy, probe, images=2, seed=3).provenance.images
    about = one.provenance
    assert (about.n, about.n_counts, about.groups, about.labels_used) == (1, "groups", 1, 2)
    records = evaluate(copy, {"one": one, "both": both})
    assert {(record.n, record.n_counts, record.labels_used) for record in records} == {(1, "groups", 2), (2, "groups", 4)}
    in_turn = fit(copy, probe, groups=2, images=2, seed=3)
    assert (in_turn.provenance.n, in_turn.provenance.n_counts) == (2, "images")
    assert len({name in ("scan 0", "scan 1") for name in in_turn.provenance.images}) == 2
    named = names_in_records({"a": in_turn, "b": fit(copy, probe, images=2, seed=3)})
    assert named == {"a": "timestep:1, training groups 2", "b": "timestep:1"}
    with pytest.raises(TedmError, match="there are only 2 to choose from"):
        fit(copy, probe, groups=3)


def test_labels_that_stop_a_fit_early_are_counted(store, dataset, tmp_path):
    head = fit(store, method_named("tedm", timesteps=TIMESTEPS), images=2, **QUICK)
    assert head.provenance.labels_used == 2
    with pytest.raises(TedmError, match="--patience needs labelled images of split 'val', and there are none"):
        fit(store, method_named("tedm", timesteps=TIMESTEPS), patience=3, **QUICK)


def test_the_images_that_stop_a_fit_are_recorded(store, dataset, tmp_path):
    shutil.copytree(store.path, tmp_path / "store")
    copy = FeatureStore.open(tmp_path / "store")
    copy.relabel([Registration("scan 3", "val", "", "", (0, 0), None)], copy.labels.classes)
    head = fit(copy, method_named("tedm", timesteps=TIMESTEPS), images=2, patience=3, **QUICK)
    assert head.provenance.validation_images == ["scan 3"]
    assert head.provenance.labels_used == 3
    with pytest.raises(TedmError, match="would mean nothing"):
        evaluate(copy, {"h": head}, split="val")


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


def test_a_head_that_needs_validation_by_its_parameters_says_which(store):
    """What decides may be hidden in --params, of which only the head knows the meaning."""
    with pytest.raises(TedmError, match="^--head mlp needs labelled images of split 'val', and there are none"):
        fit(store, method_named("tedm", timesteps=TIMESTEPS), params={"patience": 3}, **QUICK)


def test_class_weights_are_by_mask_value(store):
    method = method_named("timestep:10")
    by_value = fit(store, method, class_weight={"255": 3.0})
    assert by_value.estimator.class_weight == {"1": 3.0}
    plain = fit(store, method)
    (block,) = store.blocks(["scan 5"])
    assert by_value.probabilities(block)[..., 1].mean() > plain.probabilities(block)[..., 1].mean()
    with pytest.raises(TedmError, match="--class-weight is for 7, which is no mask value here; these are 0, 255"):
        fit(store, method, class_weight={"7": 3.0})


def test_pixels_are_drawn_as_the_method_says_unless_another_way_is_asked_for(store, tmp_path):
    method = replace(method_named("tedm", timesteps=TIMESTEPS), sampling="root")
    head, asked = fit(store, method, **QUICK), fit(store, method_named("tedm", timesteps=TIMESTEPS), sampling="root", **QUICK)
    assert [each.provenance.sampling for each in (head, asked)] == ["root", "root"]
    assert fit(store, method, sampling="balanced", **QUICK).provenance.sampling == "balanced"
    (block,) = store.blocks(["scan 5"])
    uniform = fit(store, method_named("tedm", timesteps=TIMESTEPS), **QUICK)
    assert np.array_equal(head.probabilities(block), asked.probabilities(block))
    assert not np.array_equal(head.probabilities(block), uniform.probabilities(block))
    for name, each, written in (("head", head, "root"), ("uniform", uniform, None)):
        save_head(each, tmp_path / name)
        assert json.loads((tmp_path / name / "head.json").read_text())["method"].get("sampling") == written
        assert load_head(tmp_path / name).method == each.method


def test_what_the_fit_was_asked_for_is_recorded(store):
    head = fit(store, method_named("timestep:1"), images=2, seed=3, pixels_per_image=9, sampling="balanced", domain="here")
    kept = head.provenance
    assert (kept.seed, kept.pixels_per_image, kept.sampling, kept.split, kept.domain) == (3, 9, "balanced", "train", "here")
    assert (len(kept.learned_from), kept.labels_used, kept.report) == (2, 2, head.estimator.report())
    assert {image.domain for image in kept.learned_from} == {"here"}
