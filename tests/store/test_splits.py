"""Who may be learned from, chosen on and scored on, asked of a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.store import IGNORE, Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage
from tedm.store.fingerprints import Fingerprint, fingerprints
from tedm.store.splits import (
    held_back,
    images_to_choose_on,
    images_to_learn_from,
    images_to_score_on,
    labelled_images,
    require_apart,
    require_whole_groups,
    seen_by_label,
)

SETTINGS = FeatureSettings(
    "ab" * 32, (Level("level0", 2, 4),), 8, 1, "pad", (-1.0, 1.0), None, "nearest", "per-image", 0, (1,), 1
)
# Name, split, group, picture; c has no mask.
IMAGES = [
    ("a", "train", "a", 1),
    ("b", "train", "anna", 2),
    ("c", "train", "c", 3),
    ("d", "val", "d", 4),
    ("e", "test", "e", 5),
    ("f", "test", "bert", 6),
]


def make(path: Path, images=IMAGES, domain: str = "here") -> FeatureStore:
    storage = Storage("native", "float32")
    store = FeatureStore.create(path, SETTINGS, Arithmetic("cpu", "float32", False, 4, 1, "2", "p"), storage, {})
    mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % 2
    masks = {name: None if name == "c" else mask for name, *_ in images}
    store.register([Registration(n, split, group, domain, (8, 8), masks[n]) for n, split, group, _ in images], (0, 1))
    for name, _, _, number in images:
        rng = np.random.default_rng(number)
        store.write(name, rng.random((8, 8, 1), dtype=np.float32), [rng.normal(size=(1, 1, 2, 2, 4)).astype(np.float32)])
    return store


@pytest.fixture
def store(tmp_path):
    return make(tmp_path / "store")


def seen(store: FeatureStore) -> list[Fingerprint]:
    return fingerprints(store, ["a", "b"])


def test_each_question_has_its_images(store):
    assert images_to_learn_from(store.labels, split="train", domain=None) == ["a", "b"]
    chosen = images_to_choose_on(store, seen(store), split="val", domain="here", purpose="--calibrate")
    assert chosen == fingerprints(store, ["d"])
    assert images_to_score_on(store, {"h": seen(store), "g": ()}, split="test", domain=None) == ["e", "f"]
    assert labelled_images(store.labels, split=None, domain=None) == ["a", "b", "d", "e", "f"]
    assert labelled_images(store.labels, split="val", domain="there") == []


def test_there_must_be_some(store):
    with pytest.raises(TedmError, match="there is no labelled image of split 'val' and domain 'there'"):
        images_to_learn_from(store.labels, split="val", domain="there")
    with pytest.raises(TedmError, match="no labelled image of domain 'there'"):
        images_to_score_on(store, {}, split=None, domain="there")
    with pytest.raises(
        TedmError, match="^--calibrate needs labelled images of split 'val' of domain 'there', and there are none; add some"
    ):
        images_to_choose_on(store, [], split="val", domain="there", purpose="--calibrate")
    with pytest.raises(TedmError, match="needs labelled images of domain 'there', and"):
        images_to_choose_on(store, [], split=None, domain="there", purpose="--calibrate")


def test_the_same_picture_and_another_slice_are_not_chosen_on(store, tmp_path):
    again = make(tmp_path / "again", [("p", "val", "p", 9), ("q", "val", "q", 1), ("r", "val", "anna", 8)])
    with pytest.raises(
        TedmError,
        match=r"^--calibrate needs images of split 'val' that the head does not learn from; it learns from 2 of these images "
        r"or their groups \(the first: q\): q is the same picture as a; learn from another split, or move images",
    ):
        images_to_choose_on(again, seen(store), split="val", domain=None, purpose="--calibrate")


def test_the_same_picture_and_another_slice_are_not_scored_on(store, tmp_path):
    again = make(tmp_path / "again", [("p", "test", "p", 9), ("r", "test", "anna", 8)])
    with pytest.raises(
        TedmError,
        match=r"^the head h has learned from, or was chosen on, 1 of these images or their groups \(the first: r\): r is of "
        r"the same group anna as b; a score on them would mean nothing: choose another --split$",
    ):
        images_to_score_on(again, {"g": [], "h": seen(store)}, split="test", domain=None)


def test_another_hospital_with_the_same_names_is_scored_on(store, tmp_path):
    there = make(tmp_path / "there", [(name, "test", group, number + 10) for name, _, group, number in IMAGES], "there")
    assert images_to_score_on(there, {"h": seen(store)}, split="test", domain=None) == ["a", "b", "d", "e", "f"]
    older = [Fingerprint("a"), Fingerprint("b")]
    with pytest.raises(
        TedmError, match=r"a has the same name as a; .*: choose another --split. The head has recorded names only"
    ):
        images_to_score_on(there, {"h": older}, split="test", domain=None)


def test_parts_that_share_nothing_are_apart(store):
    require_apart(store, {"learned from": ["a", "b"], "chosen on": ["d"], "scored on": ["e", "f"]})
    require_apart(store, {"learned from": ["a", "b"], "chosen on": [], "scored on": ["e", "f"]})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            (["a", "b"], ["b"], ["e"]),
            r"1 of .* to be learned from and chosen.*\(the first: b\): b is the same picture as b",
        ),
        (
            (["a"], ["d"], ["d", "e"]),
            r"1 of .* to be chosen on and scored.*\(the first: d\): d is the same picture as d",
        ),
        (
            (["a"], [], ["e", "a"]),
            r"1 of .* to be learned from and scored.*\(the first: a\): a is the same picture as a",
        ),
    ],
)
def test_parts_that_share_an_image_are_refused(store, parts, message):
    with pytest.raises(TedmError, match=message):
        require_apart(store, dict(zip(("learned from", "chosen on", "scored on"), parts, strict=True)))


def test_parts_that_share_a_group_are_refused(tmp_path):
    store = make(tmp_path / "torn", [("a", "train", "anna", 1), ("d", "val", "anna", 2)])
    with pytest.raises(TedmError, match="d is of the same group anna as a; .*put each group into one split with tedm-label"):
        require_apart(store, {"learned from": ["a"], "chosen on": ["d"]})


def test_a_patient_of_the_test_split_is_of_the_test_split(store):
    labels = replace(store.labels, groups=("bert", "anna", "", "", "e", "bert"))
    assert held_back(labels, ["test"]) == {"a", "e", "f"}
    assert held_back(labels, ["val"]) == {"d"}
    assert held_back(labels, []) == set()


def test_a_group_is_not_torn_apart(store):
    require_whole_groups(store.labels, [("new", "anna", "train"), ("b", "anna", "train"), ("other", "anna", "")])
    require_whole_groups(store.labels, [("b", "anna", "test")])
    with pytest.raises(TedmError, match=r"(?s)belongs into one split.*new: group anna would be in val, and b, .*is in train"):
        require_whole_groups(store.labels, [("new", "anna", "val"), ("x", "y", "test")])


def test_an_image_without_labels_is_not_chosen_on(store):
    store.relabel([Registration("d", "val", "d", "here", (8, 8), np.full((8, 8), IGNORE, np.uint8))], (0, 1))
    with pytest.raises(TedmError, match="and there are none"):
        images_to_choose_on(store, [], split="val", domain=None, purpose="--calibrate")


def test_names_and_groups_tell_what_is_learned_from_before_there_are_pictures(store):
    labels = replace(store.labels, groups=("bert", "anna", "", "", "e", "bert"))
    assert seen_by_label(labels, ["a"], ["b", "c", "d"]) is None
    assert seen_by_label(labels, ["c"], ["d"]) is None  # no group is not a group
    assert seen_by_label(labels, ["a", "b"], ["c", "b"]) == "b is learned from"
    assert seen_by_label(labels, ["a"], ["e", "f"]) == "f is of the group bert, which is learned from"
