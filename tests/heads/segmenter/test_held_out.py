"""Passes over what the voters say of labelled images, within a budget."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads import calibrate, learn_weights
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.held_out import HeldOutOpinions
from tedm.heads.segmenter.predict import Ballots
from tedm.store import IGNORE


def test_passes_give_the_same_whether_memory_keeps_them_or_not(voters):
    store, head = voters
    ballots = Ballots.settled(store, {"head": head}, rule="soft", timesteps=None, memory=None, what="the store")

    def weighted(opinions, labels):
        return opinions.sum(axis=0, dtype=float) * labels[:, None]

    def passes(kept):
        answers = HeldOutOpinions(ballots, ["d", "e"], weighted)
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
