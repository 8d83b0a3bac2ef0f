"""Weights and temperatures that are fitted to a head's votes: what they are worth, where they apply, which labels they use."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import (
    Calibration,
    VoterWeights,
    calibrate,
    evaluate,
    fit,
    learn_weights,
    load_head,
    method_named,
    predict,
    save_head,
)
from tedm.heads.voting.temperature import at_temperature
from tedm.store import IGNORE, Registration

TIMESTEPS = (1, 50, 400)
QUICK = {"iterations": 30}


@pytest.mark.parametrize("rule", ["soft", "hard", "geometric", "entropy", "learned"])
def test_a_calibrated_head_is_less_wrong_about_itself_and_draws_the_same_masks(voters, rule):
    store, head = voters
    head = dataclasses.replace(head, method=dataclasses.replace(head.method, vote=rule))
    head = calibrate(learn_weights(head, store) if rule == "learned" else head, store)
    bare = dataclasses.replace(head, calibration=None)
    assert head.calibration is not None
    assert abs(np.log(head.calibration.temperature)) > 0.01
    pairs = zip(predict(store, {"h": head}, list("abcdefg")), predict(store, {"h": bare}, list("abcdefg")), strict=True)
    for after, before in pairs:
        assert np.array_equal(after.mask, before.mask)
        assert not np.array_equal(after.probabilities, before.probabilities)
        expected = at_temperature(before.probabilities, head.calibration.temperature)
        assert after.probabilities.tobytes() == expected.tobytes()
        assert (after.uncalibrated.tobytes(), before.uncalibrated) == (before.probabilities.tobytes(), None)
        block = store.block(after.name)
        assert head.probabilities(block).tobytes() == after.probabilities.tobytes()
    np.testing.assert_equal([r.dice for r in evaluate(store, {"h": head})], [r.dice for r in evaluate(store, {"h": bare})])
    # What was written down is the cross-entropy of the val images, computed from their masks.
    said = head.provenance.calibration
    for which, expected in ((head, said.after), (bare, said.before)):
        true = []
        for image in ("d", "e"):
            mask = store.mask(image)
            rows = which.probabilities(store.block(image))[mask != IGNORE]
            true.append(rows[np.arange(len(rows)), mask[mask != IGNORE]].astype(np.float64))
        assert -np.log(np.maximum(np.concatenate(true), 2.0**-23)).mean() == pytest.approx(expected, abs=1e-5)
    assert said.after < said.before


def test_uncertainty_is_that_of_the_calibrated_vote(voters):
    store, head = voters
    hot = dataclasses.replace(head, calibration=Calibration(3.0, "soft", TIMESTEPS))
    (before,), (after,) = (list(predict(store, {"h": each}, ["f"], uncertainty=True)) for each in (head, hot))
    assert (after.entropy > before.entropy).all()
    assert np.array_equal(after.disagreement, before.disagreement)


def test_a_temperature_is_for_its_vote_alone(voters):
    store, head = voters
    head = calibrate(head, store)
    bare, block = dataclasses.replace(head, calibration=None), store.block("f")
    for asked in ({"rule": "hard"}, {"timesteps": (1,)}, {"rule": "soft", "timesteps": (50, 1)}):
        assert head.probabilities(block, **asked).tobytes() == bare.probabilities(block, **asked).tobytes()
    assert "fitted for the soft vote, and this is the hard vote" in head.temperature_not_applied(head.vote("hard"))
    reason = head.temperature_not_applied(head.vote(timesteps=(1,)))
    assert "the soft vote of the timesteps 1, 50, 400, and this is the soft vote of 1" in reason
    assert bare.temperature_not_applied(bare.vote("hard", (1,))) == ""
    for asked in ({"rule": "soft"}, {"timesteps": (400, 1, 50)}):  # the same vote, whatever it is called
        assert head.temperature_not_applied(head.vote(**asked)) == ""
        assert not np.array_equal(head.probabilities(block, **asked), bare.probabilities(block, **asked))
    one = calibrate(bare, store, rule="hard", timesteps=(1, 50))
    assert one.calibration is not None
    assert (one.calibration.rule, one.calibration.timesteps) == ("hard", (1, 50))
    assert one.temperature_not_applied(one.vote("hard", (1, 50))) == ""


def test_a_calibrated_head_is_saved_and_loaded_and_older_heads_are_too(voters, tmp_path):
    store, head = voters
    head = calibrate(head, store)
    save_head(head, tmp_path / "head")
    loaded, block = load_head(tmp_path / "head"), store.block("f")
    assert loaded.calibration == head.calibration
    assert loaded.probabilities(block).tobytes() == head.probabilities(block).tobytes()
    about = json.loads((tmp_path / "head" / "head.json").read_text())
    assert about.pop("calibration")["temperature"] == head.calibration.temperature
    (tmp_path / "head" / "head.json").write_text(json.dumps(about))
    older = load_head(tmp_path / "head")
    assert older.calibration is None
    bare = dataclasses.replace(head, calibration=None)
    assert older.probabilities(block).tobytes() == bare.probabilities(block).tobytes()
    save_head(bare, tmp_path / "bare")
    assert set(json.loads((tmp_path / "bare" / "head.json").read_text())) == set(about)


def test_labels_of_the_val_split_count_once_and_are_not_scored_on(make_split_store):
    store = make_split_store(draws=2)
    method = method_named("tedm", timesteps=TIMESTEPS, vote="learned")
    head = fit(store, method, images=2, calibrate=True, patience=5, **QUICK)
    assert head.provenance.labels_used == 2 + 2
    assert head.provenance.validation_images == ["d", "e"]
    with pytest.raises(TedmError, match="would mean nothing"):
        evaluate(store, {"h": head}, split="val")


@pytest.mark.parametrize(
    ("options", "vote", "purpose"), [({"calibrate": True}, None, "--calibrate"), ({}, "learned", "--vote learned")]
)
def test_what_cannot_be_validated_is_refused_before_any_fitting(make_store, make_split_store, options, vote, purpose):
    def fitting(*_):
        raise AssertionError("it has begun to fit")

    method = method_named("tedm", timesteps=TIMESTEPS, vote=vote)
    without = make_store(draws=2)
    with pytest.raises(TedmError, match=f"^{purpose} needs labelled images of split 'val', and there are none; add some.*$"):
        fit(without, method, progress=fitting, **options, **QUICK)
    store = make_split_store(draws=2)
    with pytest.raises(TedmError, match="of split 'val' of domain 'there', and there are none"):
        fit(store, method, split=None, domain="there", progress=fitting, **options, **QUICK)
    with pytest.raises(TedmError, match=r"it learns from 2 of these images or their groups \(the first: d\): d is the"):
        fit(store, method, split=None, progress=fitting, **options, **QUICK)


def test_a_val_split_without_labels_is_none(make_store):
    store = make_store(own=True)
    blank = np.full((8, 8), IGNORE, np.uint8)
    store.relabel([Registration("four", "val", "", "", (10, 12), blank)], store.labels.classes)
    with pytest.raises(TedmError, match="needs labelled images of split 'val', and there are none"):
        fit(store, method_named("tedm", timesteps=TIMESTEPS), calibrate=True, **QUICK)


@pytest.mark.parametrize("kind", ["members and timesteps", "members", "timesteps"])
def test_a_fitted_vote_has_the_cross_entropy_that_it_says(voters, kind):
    """Recomputed from the masks and the head's probabilities: weights in a wrong order would give another number."""
    store, head = voters
    if kind == "members":
        head = fit(store, method_named("ledm", timesteps=TIMESTEPS, members=3), iterations=20)
    elif kind == "timesteps":
        head = fit(store, method_named("tedm", timesteps=TIMESTEPS, head="logistic"))
    head = learn_weights(head, store)
    said = head.provenance.learned_weights
    for rule, expected in (("learned", said.after), ("soft", said.before)):
        true = []
        for image in store.labels.select(split="val"):
            mask = store.mask(image)
            rows = head.probabilities(store.block(image), rule=rule)[mask != IGNORE]
            true.append(rows[np.arange(len(rows)), mask[mask != IGNORE]])
        assert -np.log(np.concatenate(true, dtype=np.float64)).mean() == pytest.approx(expected, abs=1e-5)
    assert said.after < said.before
    assert head.provenance.validation_images == ["d", "e"]
    assert head.provenance.labels_used == 3 + 2


def test_a_head_with_weights_is_saved_and_loaded(voters, tmp_path):
    store, head = voters[0], learn_weights(voters[1], voters[0])
    save_head(head, tmp_path / "head")
    loaded = load_head(tmp_path / "head")
    assert loaded.weights == head.weights
    assert json.loads((tmp_path / "head" / "head.json").read_text())["weights"]["timesteps"] == [1, 50, 400]
    for asked in ({}, {"timesteps": (400, 1)}, {"rule": "entropy"}):
        pairs = zip(predict(store, {"h": head}, ["f"], **asked), predict(store, {"h": loaded}, ["f"], **asked), strict=True)
        for ours, theirs in pairs:
            assert ours.probabilities.tobytes() == theirs.probabilities.tobytes()


def test_learned_votes_without_weights_are_refused_before_any_prediction(voters):
    store, plain = voters
    with pytest.raises(TedmError, match="has no learned weights; fit one with tedm-fit --vote learned"):
        next(predict(store, {"h": plain}, ["f"], rule="learned"))
    some = dataclasses.replace(learn_weights(plain, store), weights=VoterWeights((1, 50), ((0.2, 0.3), (0.5, 0.0))))
    with pytest.raises(TedmError, match="weights for the timesteps 1, 50, and none for 400"):
        next(predict(store, {"h": some}, ["f"]))
    next(predict(store, {"h": some}, ["f"], timesteps=(50,)))


def test_weights_come_later_too_and_undo_a_temperature_of_their_rule(voters):
    store, plain = voters
    method = dataclasses.replace(plain.method, vote="learned")
    at_once = fit(store, method, calibrate=True, iterations=30)
    later = learn_weights(plain, store)
    assert later.weights == at_once.weights
    assert later.method == at_once.method
    assert at_once.calibration is not None
    again = learn_weights(at_once, store)
    assert again.calibration is None
    assert again.provenance.labels_used == 5  # the same labels are not counted twice
