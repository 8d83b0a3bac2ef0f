"""A temperature: its optimum, that no mask changes, where it is applied and where not."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tedm.errors import TedmError
from tedm.heads import Calibration, calibrate, evaluate, fit, learn_weights, load_head, method_named, predict, save_head, vote
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.held_out import Answers
from tedm.heads.voting.temperature import best_temperature, scaled
from tedm.store import IGNORE, Registration

TIMESTEPS = (1, 50, 400)
QUICK = {"iterations": 30}


def logarithms(seed, pixels=(60, 35), classes=3, sharpness=4.0):
    """Of probabilities that are surer than right, the true class first."""
    rng = np.random.default_rng(seed)
    found = []
    for count in pixels:
        scores = sharpness * (rng.normal(size=(count, classes)) + np.eye(classes)[0])
        found.append(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_the_one_of_least_cross_entropy(seed):
    rows = np.exp(np.concatenate(logarithms(seed)))

    def cross_entropy(log_temperature):
        powers = rows ** (1 / np.exp(log_temperature))
        return -np.log(powers[:, 0] / powers.sum(axis=1)).mean()

    best = minimize_scalar(cross_entropy, bounds=np.log([0.01, 100]), method="bounded", options={"xatol": 1e-9})
    assert best_temperature(logarithms(seed)) == pytest.approx(np.exp(best.x), rel=1e-4)
    assert best_temperature(logarithms(seed)) > 1.5
    assert best_temperature([np.log(rows)]) == pytest.approx(best_temperature(logarithms(seed)), rel=1e-6)


def test_the_temperature_stays_within_its_bounds():
    all_right, all_wrong = np.log([[0.8, 0.2]] * 5), np.log([[0.2, 0.8]] * 5)
    assert best_temperature([all_right]) == 0.01
    assert best_temperature([all_wrong]) == 100


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rule", ["soft", "hard"])
@given(st.integers(1, 8), st.integers(1, 5), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_no_temperature_changes_the_most_probable_class(dtype, rule, voters, classes, temperature, seed):
    """Ties of a majority included, whose winner is ahead by one unit in the last place."""
    opinions = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=(voters, 30)).astype(dtype)
    merged = vote(opinions, rule=rule)
    found = scaled(merged, temperature)
    assert np.array_equal(found.argmax(axis=1), merged.argmax(axis=1))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.sum(axis=1, dtype=np.float64), 1, atol=0.01 if dtype == np.float16 else 1e-6)


def test_scaling_is_a_power_and_brings_back_what_was_excluded():
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    np.testing.assert_allclose(scaled(rows, 2.5), rows**0.4 / (rows**0.4).sum(axis=1, keepdims=True), rtol=1e-12)
    sure = scaled(np.array([[1.0, 0.0]]), 5.0)
    np.testing.assert_allclose(sure[0, 1] / sure[0, 0], 2 ** (-23 / 5))


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
        expected = scaled(before.probabilities, head.calibration.temperature)
        assert after.probabilities.tobytes() == expected.tobytes()
        assert (after.uncalibrated.tobytes(), before.uncalibrated) == (before.probabilities.tobytes(), None)
        block = store.block(after.name)
        assert head.probabilities(block).tobytes() == after.probabilities.tobytes()
    np.testing.assert_equal([r.dice for r in evaluate(store, {"h": head})], [r.dice for r in evaluate(store, {"h": bare})])
    # What was written down is the cross-entropy of the val images, computed from their masks.
    said = head.provenance["calibration"]
    for which, expected in ((head, said["cross_entropy_after"]), (bare, said["cross_entropy_before"])):
        true = []
        for image in ("d", "e"):
            mask = store.mask(image)
            rows = which.probabilities(store.block(image))[mask != IGNORE]
            true.append(rows[np.arange(len(rows)), mask[mask != IGNORE]].astype(np.float64))
        assert -np.log(np.maximum(np.concatenate(true), 2.0**-23)).mean() == pytest.approx(expected, abs=1e-5)
    assert said["cross_entropy_after"] < said["cross_entropy_before"]


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
    assert "fitted for the soft vote, and this is the hard vote" in head.not_applied("hard", None)
    assert "the soft vote of the timesteps 1, 50, 400, and this is the soft vote of 1" in head.not_applied(None, (1,))
    assert bare.not_applied("hard", (1,)) == ""
    for asked in ({"rule": "soft"}, {"timesteps": (400, 1, 50)}):  # the same vote, whatever it is called
        assert head.not_applied(asked.get("rule"), asked.get("timesteps")) == ""
        assert not np.array_equal(head.probabilities(block, **asked), bare.probabilities(block, **asked))
    one = calibrate(bare, store, rule="hard", timesteps=(1, 50))
    assert one.calibration is not None
    assert (one.calibration.rule, one.calibration.timesteps) == ("hard", (1, 50))
    assert one.not_applied("hard", (1, 50)) == ""


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
    assert head.provenance["labels_used"] == 2 + 2
    assert head.provenance["validation_images"] == ["d", "e"]
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


def test_passes_give_the_same_whether_memory_keeps_them_or_not(voters):
    store, head = voters

    def passes(kept):
        answers = Answers(head, store, ["d", "e"], lambda opinions, labels: opinions.sum(axis=0, dtype=float) * labels[:, None])
        answers._budget = Budget(kept=kept)
        return answers, [[array.copy() for array in answers] for _ in range(2)]

    labelled = [int((store.mask(name) != IGNORE).sum()) for name in ("d", "e")]
    few, kept_one = passes(0), passes(labelled[0] * 2 * 8)
    assert [list(answers._kept) for answers, _ in (few, kept_one)] == [[], ["d"]]
    for first, second in zip(few[1], kept_one[1], strict=True):
        for ours, theirs in zip(first, second, strict=True):
            assert ours.tobytes() == theirs.tobytes()
    assert [len(array) for array in few[1][0]] == labelled


def test_a_budget_that_holds_no_votes_is_refused(voters):
    store, head = voters
    for learn in (calibrate, learn_weights):
        with pytest.raises(TedmError, match="not enough for a validation image and the votes on its pixels"):
            learn(head, store, memory=10**6)
