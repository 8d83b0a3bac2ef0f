"""What a head has learned from or was chosen on is told by pictures and groups, whatever the store and the names."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import calibrate, evaluate, fit, learn_weights, load_head, method_named, reliability, save_head
from tedm.store import Registration
from tedm.store.fingerprints import Fingerprint, digest

TIMESTEPS = (1, 50, 400)
QUICK = {"iterations": 10}
TRAIN, VAL, TEST = ["a", "b", "c"], ["d", "e"], ["f", "g"]
METHOD = method_named("tedm", timesteps=TIMESTEPS)


@pytest.fixture
def store(make_split_store):
    return make_split_store(own=True, draws=2)


@pytest.fixture
def make_other(write_store, tmp_path):
    """A store of other pictures unless told otherwise, all of one split."""

    def make(split="test", *, names=tuple("abc"), first=30, groups=None, domain="here"):
        other = write_store(tmp_path / f"{split}-{first}-{domain}", names=names, first=first, draws=2)
        groups = groups or names
        rows = zip(names, groups, strict=True)
        other.relabel([Registration(name, split, group, domain, (10, 12), None) for name, group in rows], other.labels.classes)
        return other

    return make


def test_fingerprints_of_what_was_learned_from_and_chosen_on_are_recorded(store):
    store.relabel([Registration("b", "train", "anna", "", (10, 12), None)], store.labels.classes)
    head = fit(store, METHOD, patience=5, calibrate=True, **QUICK)
    kept = json.loads(json.dumps(head.provenance.to_json()))["fingerprints"]
    expected = {
        role: [
            {"name": name, "group": "anna" if name == "b" else name, "domain": "here", "digest": digest(store.image(name))}
            for name in getattr(head.provenance, role)
        ]
        for role in ("images", "validation_images")
    }
    assert kept == expected
    assert (sorted(head.provenance.images), head.provenance.validation_images) == (TRAIN, VAL)
    plain = calibrate(fit(store, METHOD, **QUICK), store)
    assert plain.provenance.to_json()["fingerprints"]["validation_images"] == expected["validation_images"]
    assert plain.provenance.labels_used == head.provenance.labels_used == 3 + 2


def test_another_hospital_with_the_same_names_is_scored(store, make_other):
    head = fit(store, METHOD, **QUICK)
    records = evaluate(make_other(), {"h": head}, split="test")
    assert [record.image for record in records[::2]] == TRAIN
    assert len(reliability(make_other(first=60), {"h": head}, split="test")) == 1


def test_the_same_picture_under_another_name_is_not_scored(store, make_other):
    head = fit(store, METHOD, **QUICK)
    copies = make_other(names=("x", "y", "z"), first=2, domain="there")  # those of c, d and e
    for score in (evaluate, reliability):
        with pytest.raises(TedmError, match=r"1 of these .*\(the first: x\): x is the same picture as c; a score on them"):
            score(copies, {"h": head}, split="test")
    chosen = calibrate(head, store)
    with pytest.raises(TedmError, match=r"the head h .* 3 of these .*\(the first: x\)"):
        evaluate(copies, {"h": chosen}, split="test")


def test_another_slice_of_a_patient_is_not_scored(store, make_other):
    store.relabel([Registration("b", "train", "anna", "here", (10, 12), None)], store.labels.classes)
    head = fit(store, METHOD, **QUICK)
    slices = make_other(groups=("a", "b", "anna"))
    with pytest.raises(TedmError, match=r"1 of these .*: c is of the same group anna as b; a score on them would mean nothing"):
        evaluate(slices, {"h": head}, split="test")
    evaluate(make_other(groups=("a", "b", "anna"), domain="there"), {"h": head}, split="test")


@pytest.mark.parametrize("learn", [calibrate, learn_weights])
def test_a_vote_is_fitted_on_a_store_without_the_training_images(store, make_other, learn):
    head = fit(store, METHOD, **QUICK)
    other = make_other("val", names=("x", "y"))
    fitted = learn(head, other)
    assert fitted.provenance.validation_images == ["x", "y"]
    assert fitted.provenance.labels_used == 3 + 2
    with pytest.raises(TedmError, match="would mean nothing"):
        evaluate(other, {"h": fitted}, split="val")
    copies = make_other("val", names=("x", "y"), first=2)
    with pytest.raises(TedmError, match=r"not learn from; it learns from 1 of .*: x is the same picture as c; learn from"):
        learn(head, copies)


def test_other_pictures_of_the_same_names_count_as_used_labels(store, make_other):
    head = calibrate(fit(store, METHOD, **QUICK), store)
    again = calibrate(head, make_other("val", names=("d", "e")))
    assert again.provenance.validation_images == ["d", "e", "d", "e"]
    assert again.provenance.labels_used == 3 + 2 + 2
    assert calibrate(again, store).provenance.labels_used == 3 + 2 + 2


@pytest.mark.parametrize(
    ("method", "options", "purpose"),
    [
        (METHOD, {"patience": 5}, "--patience"),
        (method_named("tedm", timesteps=TIMESTEPS, head="logistic"), {"select": "val", "ridge": [1.0, 10.0]}, "--select val"),
    ],
)
def test_a_fit_is_not_chosen_on_images_that_it_learns_from(store, method, options, purpose):
    def fitting(*_):
        raise AssertionError("it has begun to fit")

    with pytest.raises(
        TedmError, match=rf"^{purpose} needs images of split 'val' that .* it learns from 2 of .*: d is the same picture as d"
    ):
        fit(store, method, split="val", progress=fitting, **options)
    rows = [Registration("b", "train", "anna", "", (10, 12), None), Registration("e", "val", "anna", "", (10, 12), None)]
    store.relabel(rows, store.labels.classes)
    with pytest.raises(TedmError, match=rf"^{purpose} needs .* it learns from 1 of .*: e is of the same group anna as b"):
        fit(store, method, progress=fitting, **options)
    fit(store, METHOD, split="val", **QUICK)  # nothing is chosen


def test_a_head_of_an_older_version_is_guarded_by_names(store, make_other, tmp_path):
    save_head(calibrate(fit(store, METHOD, **QUICK), store), tmp_path / "head")
    about = json.loads((tmp_path / "head" / "head.json").read_text())
    del about["provenance"]["fingerprints"]
    (tmp_path / "head" / "head.json").write_text(json.dumps(about))
    older = load_head(tmp_path / "head")
    assert sorted(older.provenance.learned_from, key=lambda one: one.name) == [Fingerprint(name) for name in TRAIN]
    evaluate(store, {"h": older}, split="test")
    for split in ("train", "val"):
        with pytest.raises(TedmError, match="would mean nothing"):
            evaluate(store, {"h": older}, split=split)
    with pytest.raises(TedmError, match=r"a has the same name as a; .*recorded names only.*fit it again"):
        evaluate(make_other(), {"h": older}, split="test")
    used = calibrate(older, store)
    assert used.provenance.labels_used == older.provenance.labels_used
    other = calibrate(older, make_other("val", names=("x", "y")))
    assert other.provenance.learned_from == older.provenance.learned_from
    assert [one.name for one in other.provenance.chosen_on] == [*VAL, "x", "y"]
    assert [bool(one.digest) for one in other.provenance.chosen_on] == [False, False, True, True]


def test_a_blank_image_identifies_nobody(store):
    for name in ("a", "f"):
        blocks = store.block(name).cells
        store.discard([name])
        store.write(name, np.zeros((8, 8, 1), np.float32), list(blocks))
    head = fit(store, METHOD, **QUICK)
    evaluate(store, {"h": head}, split="test")
    (blank,) = (image for image in head.provenance.learned_from if image.name == "a")
    only_blank = dataclasses.replace(head.provenance, learned_from=(blank,))
    with pytest.raises(TedmError, match="a has the same name as a"):
        evaluate(store, {"h": dataclasses.replace(head, provenance=only_blank)}, split="train")
