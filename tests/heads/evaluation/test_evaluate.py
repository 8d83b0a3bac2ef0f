"""A record holds every measure of a predicted mask, and says on what and at which cost."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import Cleaning, evaluate, predict
from tedm.heads.metrics.measures import METRICS, measure


def test_a_record_has_every_measure_of_the_predicted_mask(voters):
    store, head = voters
    records = evaluate(store, {"mine": head})
    masks = {prediction.name: prediction.mask for prediction in predict(store, {"mine": head}, ["f", "g"])}
    assert [(record.image, record.class_value) for record in records] == [("f", 0), ("f", 255), ("g", 0), ("g", 255)]
    for record in records:
        measures = measure(store.mask(record.image), masks[record.image], 2)
        index = store.labels.classes.index(record.class_value)
        np.testing.assert_array_equal([getattr(record, name) for name in METRICS], [measures[name][index] for name in METRICS])
        assert (record.n, record.labels_used) == (len(head.provenance.images), head.provenance.labels_used)
        assert (record.domain, record.split) == ({"f": "here", "g": "there"}[record.image], "test")


def test_a_record_says_what_its_class_is_called(voters):
    store, head = voters
    named = copy(store)
    named.labels = replace(store.labels, class_names=("background", "left lung"))
    called = {record.class_value: record.class_name for record in evaluate(named, {"mine": head})}
    assert called == {0: "background", 255: "left lung"}
    assert {record.class_name for record in evaluate(store, {"mine": head})} == {""}


def test_a_cleaned_mask_is_scored_as_a_method_of_its_own(voters):
    store, head = voters
    largest = Cleaning(largest=1)
    records = evaluate(store, {"a": head}, cleaning=largest)
    cleaned = [record for record in records if "+" in record.method]
    (plain,) = {record.method for record in records if record not in cleaned}
    assert {record.method for record in cleaned} == {f"{plain}+{largest}"}
    (prediction,) = predict(store, {"a": head}, ["f"])
    expected = measure(store.mask("f"), largest(prediction.mask), 2)["dice"][1]
    (dice,) = [record.dice for record in cleaned if (record.image, record.class_value) == ("f", 255)]
    assert dice == expected


def test_progress_is_told_after_each_image(voters):
    store, head = voters
    told: list[tuple[int, int]] = []
    evaluate(store, {"a": head}, progress=lambda done, images: told.append((done, images)))
    assert told == [(1, 2), (2, 2)]


def test_heads_of_other_classes_are_refused(voters, make_split_store):
    _, head = voters
    with pytest.raises(TedmError, match=r"the head a knows the mask values \[0, 255\], the features have \[0, 1, 2\]"):
        evaluate(make_split_store(values=(0, 1, 2), draws=2), {"a": head})
