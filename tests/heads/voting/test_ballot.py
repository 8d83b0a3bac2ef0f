"""A vote as it is held: weights spread over draws, and the temperature after it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tedm.heads.voting.ballot import Vote, merging_bytes
from tedm.heads.voting.temperature import at_temperature
from tedm.heads.voting.vote import vote


@pytest.fixture
def opinions(rng: np.random.Generator) -> np.ndarray:
    """Of two members at three timesteps with two draws each."""
    return rng.dirichlet((0.5, 0.7, 0.9), size=(12, 30))


@pytest.mark.parametrize("rule", ["soft", "hard", "geometric", "entropy"])
def test_it_is_the_vote_of_its_rule(opinions, rule):
    merged = Vote(rule, (1, 50, 400)).merge(opinions)
    assert merged.tobytes() == vote(opinions, rule=rule).tobytes()


def test_draws_share_the_weight_of_their_member_and_timestep_equally(opinions):
    weights = (0.1, 0.2, 0.1, 0.0, 0.6, 0.0)
    merged = Vote("learned", (1, 50, 400), weights).merge(opinions)
    assert merged.tobytes() == vote(opinions, rule="learned", weights=np.repeat(weights, 2) / 2).tobytes()
    by_hand = np.tensordot(np.array(weights), opinions.reshape(6, 2, 30, 3).mean(axis=1), 1)
    np.testing.assert_allclose(merged, by_hand, rtol=1e-12)


def test_the_temperature_comes_after_the_vote_and_can_be_left_out(opinions):
    calibrated = Vote("hard", (1, 50, 400), temperature=2.5)
    bare = calibrated.uncalibrated()
    assert bare == Vote("hard", (1, 50, 400))
    assert calibrated.merge(opinions).tobytes() == at_temperature(bare.merge(opinions), 2.5).tobytes()
    assert not np.array_equal(calibrated.merge(opinions), bare.merge(opinions))


def test_a_merge_takes_what_is_said_of_it(opinions):
    tracemalloc.start()
    try:
        given = opinions.copy()
        vote(given, rule="entropy")
        assert given.nbytes < tracemalloc.get_traced_memory()[1] <= merging_bytes(*opinions.shape)
    finally:
        tracemalloc.stop()
