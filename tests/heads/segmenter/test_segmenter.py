"""From features to a saved head to scores: what is fitted is what predicts, and nothing is scored that was learned from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, method_named, predict, score, summarise, vote
from tedm.store.fingerprints import Fingerprint

TIMESTEPS = (1, 10, 50)
QUICK = {"iterations": 30}


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


def test_a_head_for_other_features_is_refused(heads, store):
    other = dataclasses.replace(store.settings, checkpoint_sha256="00" * 32, geometry="stretch")
    head = dataclasses.replace(heads["tedm"], settings=other)
    with pytest.raises(TedmError, match=r"(?s)made for other features.*checkpoint.*geometry: the head has stretch"):
        evaluate(store, {"h": head})
    with pytest.raises(TedmError, match="timesteps: 800 not in the store, which has 1, 10, 50"):
        list(predict(store, {"h": heads["tedm"]}, ["scan 5"], timesteps=[800]))
    with pytest.raises(TedmError, match=r"knows the mask values \[0, 7\]"):
        evaluate(store, {"h": dataclasses.replace(heads["tedm"], classes=(0, 7))})


def test_a_segmenter_says_in_a_line_what_it_is(make_store):
    head = fit(make_store(), method_named("timestep:50"))
    assert (
        repr(head) == "<Segmenter timestep:50: logistic, timesteps 50, rows share, learned from 4 images; class 0, class 255>"
    )
