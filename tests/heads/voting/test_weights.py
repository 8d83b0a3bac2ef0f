"""Weights of voters: the optimum against another algorithm, and against the votes that they are used in."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads import VoterWeights, fit, learn_weights, load_head, method_named, predict, save_head
from tedm.heads.voting.weights import mixture_weights
from tedm.store import IGNORE

TIMESTEPS = (1, 50, 400)


def cross_entropy(pixels, weights):
    return float(-np.log(np.concatenate(pixels) @ weights).mean())


def true_probabilities(voters, seed, pixels=(40, 25)):
    """Voters of different worth, as they see the true class of the pixels of two images."""
    rng = np.random.default_rng(seed)
    return [rng.beta(np.linspace(1, 4, voters), 2.0, size=(count, voters)).clip(1e-6) for count in pixels]


def by_em(pixels, iterations=5000):
    """Expectation maximisation: slow, and known to reach the optimum."""
    seen = np.concatenate(pixels)
    weights = np.full(seen.shape[1], 1 / seen.shape[1])
    for _ in range(iterations):
        shares = weights * seen
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights


@pytest.mark.parametrize("seed", range(2))
def test_weights_are_those_of_expectation_maximisation(seed):
    pixels = true_probabilities(4, seed)
    weights, before, after = mixture_weights(pixels, 4)
    expected = by_em(pixels)
    np.testing.assert_allclose(weights, expected, atol=2e-3)
    assert after <= cross_entropy(pixels, expected) + 1e-7
    assert after == pytest.approx(cross_entropy(pixels, weights), abs=1e-12)
    assert before == pytest.approx(cross_entropy(pixels, np.full(4, 0.25)), abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_no_weights_are_better(voters, seed):
    pixels = true_probabilities(voters, seed)
    weights, _, after = mixture_weights(pixels, voters)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    for other in np.random.default_rng(seed).dirichlet(np.full(voters, 0.5), size=20):
        assert after <= cross_entropy(pixels, other) + 1e-6


def test_images_one_by_one_equal_all_at_once():
    pixels = true_probabilities(5, 3)
    np.testing.assert_allclose(mixture_weights(pixels, 5)[0], mixture_weights([np.concatenate(pixels)], 5)[0], atol=1e-6)


def test_equal_voters_and_voters_that_exclude_the_truth_are_no_trouble():
    (one,) = true_probabilities(1, 0, pixels=(50,))
    weights, before, after = mixture_weights([np.hstack([one, one])], 2)
    assert after == pytest.approx(before, abs=1e-7)
    np.testing.assert_allclose(weights, 0.5, atol=1e-4)
    never = np.zeros_like(one)
    np.testing.assert_allclose(mixture_weights([np.hstack([never, one, never])], 3)[0], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("kind", ["members and timesteps", "members", "timesteps"])
def test_a_fitted_vote_has_the_cross_entropy_that_it_says(voters, kind):
    """Recomputed from the masks and the head's probabilities: weights in a wrong order would give another number."""
    store, head = voters
    if kind == "members":
        head = fit(store, method_named("ledm", timesteps=TIMESTEPS, members=3), iterations=20)
    elif kind == "timesteps":
        head = fit(store, method_named("tedm", timesteps=TIMESTEPS, head="logistic"))
    head = learn_weights(head, store)
    said = head.provenance["learned_weights"]
    for rule, expected in (("learned", "cross_entropy"), ("soft", "cross_entropy_of_equal_weights")):
        true = []
        for image in store.labels.select(split="val"):
            mask = store.mask(image)
            rows = head.probabilities(store.block(image), rule=rule)[mask != IGNORE]
            true.append(rows[np.arange(len(rows)), mask[mask != IGNORE]])
        assert -np.log(np.concatenate(true, dtype=np.float64)).mean() == pytest.approx(said[expected], abs=1e-5)
    assert said["cross_entropy"] < said["cross_entropy_of_equal_weights"]
    assert head.provenance["validation_images"] == ["d", "e"]
    assert head.provenance["labels_used"] == 3 + 2


def test_draws_share_a_timesteps_weight_and_some_timesteps_share_all():
    weights = VoterWeights((1, 50, 400), ((0.1, 0.2, 0.1), (0.0, 0.6, 0.0)))
    np.testing.assert_allclose(weights.of_voters((1, 50, 400), 2), np.repeat([0.1, 0.2, 0.1, 0.0, 0.6, 0.0], 2) / 2)
    np.testing.assert_allclose(weights.of_voters((400, 1), 1), [0.5, 0.5, 0, 0])
    with pytest.raises(TedmError, match="weights for the timesteps 1, 50, 400, and none for 25; leave it out"):
        weights.of_voters((1, 25), 1)
    with pytest.raises(TedmError, match="weights of the timesteps 1 are all zero"):
        VoterWeights((1, 50), ((0.0, 1.0),)).of_voters((1,), 1)


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
    assert again.provenance["labels_used"] == 5  # the same labels are not counted twice
