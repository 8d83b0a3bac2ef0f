"""Timesteps are taken one by one, each the best on val, and nothing is chosen without val."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import advice, vote
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.plan import Probe, plan_probes
from tedm.heads.probing.run import run_probes
from tedm.heads.probing.voting_path import voting_paths

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_the_voting_path_is_greedy_on_val_and_its_scores_are_those_of_the_vote(probed, mean_opinion, dice_by_hand):
    store, found = probed
    for path in found.paths:
        numbers = [at for at, subset in enumerate(found.plan.subsets) if subset.n == path.n]

        def mean_dice(timesteps, names, numbers=numbers):
            return np.mean(
                [
                    dice_by_hand(
                        store,
                        name,
                        vote(np.stack([mean_opinion(store, found, name, t, number) for t in timesteps])).argmax(axis=1),
                    )
                    for name in names
                    for number in numbers
                ]
            )

        taken: list[int] = []
        for timestep, val in zip(path.timesteps, path.val, strict=True):
            candidates = {t: mean_dice([*taken, t], VAL) for t in store.settings.timesteps if t not in taken}
            assert timestep == max(candidates, key=candidates.get)
            assert val == pytest.approx(candidates[timestep])
            taken.append(timestep)
        assert path.chosen == 1 + int(np.argmax(path.val))
        (point,) = [p for p in found.votes if (p.n, p.voters, p.domain, p.split) == (path.n, 2, "far", "test")]
        far = [name for name in TEST if store.labels.domains[store.labels.index(name)] == "far"]
        assert point.mean == pytest.approx(100 * mean_dice(path.timesteps[:2], far))
        assert point.gain == pytest.approx(100 * (mean_dice(path.timesteps[:2], far) - mean_dice(path.timesteps[:1], far)))
        assert point.cost == pytest.approx(2 / 3)


def test_val_images_that_show_no_class_choose_nothing(probed_with_empty_truths):
    store, plan, done = probed_with_empty_truths
    only = dataclasses.replace(plan, scored=(VAL[0], *plan.scored[2:]), val=1)
    at = [plan.scored.index(name) for name in only.scored]
    done = [dataclasses.replace(one, scores=one.scores[:, at]) for one in done]
    with pytest.raises(TedmError, match="no val image shows a foreground class"):
        voting_paths(store, only, done)
    levels = [dataclasses.replace(one, probe=Probe(level="level0")) for one in done[:1]]
    assert "so no level is chosen: give val other images" in advice(Findings(store, only, levels, []))[-1]


def test_a_level_has_no_path(store):
    plan = plan_probes(store, sizes=(1,), repeats=1, by="level")
    assert voting_paths(store, plan, run_probes(store, plan)) == []


def test_the_fewest_that_come_near_are_found(probed):
    _, found = probed
    path = dataclasses.replace(found.paths[0], val=(0.6, 0.69, 0.7))
    assert [path.nearly(within) for within in (0.0, 0.01, 0.2)] == [3, 2, 1]
