"""A vote that travels is the vote of `tedm.heads`, by every rule, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tedm.heads import RULES, Vote
from tedm.study.export.models.ballots import Ballot


def as_network(vote: Vote, opinions: np.ndarray) -> np.ndarray:
    """Opinions of shape (voters, pixels, classes) by the network, which has classes second and pixels in two axes."""
    tensor = torch.from_numpy(opinions.astype(np.float32)).movedim(2, 1)[..., None]
    return Ballot(vote, len(opinions))(tensor)[0, :, :, 0].T.numpy()


def drawn(rng: np.random.Generator, voters: int, classes: int, sharpness: float) -> np.ndarray:
    raw = np.exp(sharpness * rng.standard_normal((voters, 40, classes)))
    return (raw / raw.sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("temperature", [None, 0.4, 2.5])
@pytest.mark.parametrize("rule", RULES)
@given(st.integers(1, 5), st.integers(2, 4), st.sampled_from([0.1, 1.0, 8.0]), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_vote_as_a_network_is_the_vote(rule, temperature, voters, classes, sharpness, seed):
    opinions = drawn(np.random.default_rng(seed), voters, classes, sharpness)
    weights = tuple(np.arange(1, voters + 1) / sum(range(1, voters + 1))) if rule == "learned" else None
    vote = Vote(rule, (1,), weights, temperature)
    merged, ours = as_network(vote, opinions), vote.merge(opinions)
    np.testing.assert_allclose(merged, ours, atol=1e-5)
    decided = np.sort(ours, -1)[:, -1] - np.sort(ours, -1)[:, -2] > 1e-5
    np.testing.assert_array_equal(merged.argmax(-1)[decided], ours.argmax(-1)[decided])


def test_a_tied_majority_goes_to_the_class_with_the_larger_mean():
    """Two votes each; the second class is surer. Without a rule the first class would win."""
    opinions = np.array([[[0.6, 0.4]], [[0.55, 0.45]], [[0.1, 0.9]], [[0.2, 0.8]]], np.float32)
    merged = as_network(Vote("hard", (1,)), opinions)
    assert merged.argmax(-1).tolist() == [1]
    np.testing.assert_allclose(merged, 0.5, atol=1e-6)


def test_what_one_voter_excludes_has_no_chance_in_a_geometric_mean():
    opinions = np.array([[[1.0, 0.0, 0.0]], [[0.0, 0.5, 0.5]], [[0.2, 0.6, 0.2]]], np.float32)
    vote = Vote("geometric", (1,))
    np.testing.assert_allclose(as_network(vote, opinions), vote.merge(opinions), atol=1e-6)


def test_voters_that_know_nothing_count_the_same():
    opinions = np.full((3, 2, 3), 1 / 3, np.float32)
    np.testing.assert_allclose(as_network(Vote("entropy", (1,)), opinions), 1 / 3, atol=1e-6)


def test_a_temperature_leaves_the_class_that_it_found():
    """So hot that rounding makes a tie of it."""
    opinions = np.array([[[0.4999999, 0.5000001]]], np.float32)
    vote = Vote("soft", (1,), None, 100.0)
    assert as_network(vote, opinions).argmax(-1).tolist() == vote.merge(opinions).argmax(-1).tolist() == [1]


def test_draws_of_noise_share_the_weight_of_their_voter():
    opinions = drawn(np.random.default_rng(3), 4, 2, 1.0)
    vote = Vote("learned", (1, 50), (0.9, 0.1))
    np.testing.assert_allclose(as_network(vote, opinions), vote.merge(opinions), atol=1e-6)
