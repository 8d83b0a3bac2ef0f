"""Uncertainty: values that can be computed by hand, and what a command writes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.heads import fit, method_named, predict
from tedm.heads.voting.uncertainty import disagreement, entropy


def test_entropy_is_relative_to_a_guess():
    rows = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], np.float32)
    np.testing.assert_allclose(entropy(rows), [0, 1, 0.5], atol=1e-7)
    assert np.array_equal(entropy(np.ones((3, 1))), np.zeros(3))


def test_voters_disagree_where_each_is_sure_of_something_else():
    alike = np.tile([[0.3, 0.7]], (5, 1, 1))
    np.testing.assert_allclose(disagreement(alike), [0], atol=1e-12)
    np.testing.assert_allclose(disagreement(np.eye(2)[:, None]), [1])
    np.testing.assert_allclose(disagreement(np.eye(4)[:2, None]), [0.5])  # two of four classes: half the entropy of a guess
    unsure = np.full((3, 1, 2), 0.5)
    assert (disagreement(unsure), entropy(unsure.mean(axis=0))) == (0, 1)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_disagreement_is_within_the_entropy_of_the_mean(voters, classes, seed):
    opinions = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=(voters, 7))
    found = disagreement(opinions)
    assert (found >= 0).all()
    assert (found <= entropy(opinions.mean(axis=0)) + 1e-12).all()


@pytest.mark.parametrize("name", ["tedm", "timestep:50"])
def test_predictions_tell_their_uncertainty_if_asked(make_store, name):
    store = make_store()
    timesteps = {"timesteps": (1, 50, 400)} if name == "tedm" else {}
    head = fit(store, method_named(name, **timesteps), images=2, iterations=20)
    (plain,) = predict(store, {"a": head}, ["one"])
    (asked,) = predict(store, {"a": head}, ["one"], uncertainty=True)
    assert plain.entropy is None
    assert plain.disagreement is None
    assert asked.probabilities.tobytes() == plain.probabilities.tobytes()
    opinions = head.opinions(store.block("one"))
    np.testing.assert_allclose(asked.entropy.ravel(), entropy(opinions.mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(asked.disagreement.ravel(), disagreement(opinions), atol=1e-12)
    assert (asked.disagreement.max() > 0) == (len(opinions) > 1)
