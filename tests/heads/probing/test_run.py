"""Probes go on where they were stopped, and in processes they are the same."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import advice, probe
from tedm.heads.probing import run
from tedm.heads.probing.plan import plan_probes
from tedm.heads.probing.run import run_probes
from tedm.heads.runtime.memory import BudgetError, resident

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_stopped_probes_go_on_and_end_the_same(store, tmp_path, relabel, counting):
    plan = plan_probes(store, sizes=(1, 3), repeats=2)
    whole = run_probes(store, plan)

    def stop(done, every, name):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probes(store, plan, kept=tmp_path / "kept", progress=stop)
    features = counting(store)
    resumed = run_probes(features, plan, kept=tmp_path / "kept")
    assert {timesteps for _, timesteps in features.read} == {(400,)}
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        for mine, theirs in zip(one.fits, other.fits, strict=True):
            assert mine.chosen_by == theirs.chosen_by
            np.testing.assert_array_equal(mine.coef, theirs.coef)
    changed = plan.subsets[0].images[0]
    mask = store.mask(changed)[::-1].copy()
    with pytest.raises(TedmError, match="is of another run"):
        run_probes(relabel(store, **{changed: {"mask": mask}}), plan, kept=tmp_path / "kept")


def test_an_unknown_convention_is_refused_before_anything_is_fitted(store, counting):
    with pytest.raises(TedmError, match="no convention 'ignore' for empty truths"):
        probe(counting(store), empty="ignore")


def test_one_labelled_image_is_enough(store, relabel):
    relabel(store, **{name: {"mask": np.full((8, 8), 255, np.uint8)} for name in TRAIN[1:]})
    found = probe(store, sizes=(1, None))
    assert [(subset.n, subset.repeat) for subset in found.plan.subsets] == [(1, 0)]
    assert "they take the default penalty, 1" in advice(found)[0]


def test_two_processes_give_the_same_bits_as_one(store, tmp_path):
    plan = plan_probes(store, sizes=(1, 3), repeats=1)
    alone, together = run_probes(store, plan), run_probes(store, plan, processes=2, memory=4 * 10**9, kept=tmp_path / "kept")
    for one, other in zip(alone, together, strict=True):
        assert one.probe == other.probe
        np.testing.assert_array_equal(one.scores, other.scores)
        for mine, theirs in zip(one.fits, other.fits, strict=True):
            np.testing.assert_array_equal(mine.coef, theirs.coef)
    assert len(list((tmp_path / "kept").iterdir())) == len(plan.probes)


def test_processes_that_share_too_little_memory_say_so(store, monkeypatch):
    monkeypatch.setattr(run, "PROCESS_BYTES", 1)
    with pytest.raises(BudgetError, match=r"is not enough for(.|\n)*2 processes share the memory; --processes 1 gives all"):
        run_probes(store, plan_probes(store, sizes=(3,), repeats=1), processes=2, memory=resident() + 10**8)
