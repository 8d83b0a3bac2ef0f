"""Weights of voters: the optimum against another algorithm, and what is left of them for some timesteps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads import VoterWeights
from tedm.heads.voting.weights import mixture_weights


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


def test_some_timesteps_share_the_weights_of_all():
    weights = VoterWeights((1, 50, 400), ((0.1, 0.2, 0.1), (0.0, 0.6, 0.0)))
    np.testing.assert_allclose(weights.among((1, 50, 400)), [0.1, 0.2, 0.1, 0.0, 0.6, 0.0])
    np.testing.assert_allclose(weights.among((400, 1)), [0.5, 0.5, 0, 0])
    with pytest.raises(TedmError, match="weights for the timesteps 1, 50, 400, and none for 25; leave it out"):
        weights.among((1, 25))
    with pytest.raises(TedmError, match="weights of the timesteps 1 are all zero"):
        VoterWeights((1, 50), ((0.0, 1.0),)).among((1,))
