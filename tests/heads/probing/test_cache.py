"""A finished probe comes back as it was, for the same run alone."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.probing.cache import ProbeCache, plan_key
from tedm.heads.probing.fit import compute_probe
from tedm.heads.probing.plan import STRENGTHS, Probe, plan_probes
from tedm.heads.probing.run import run_probes


def test_a_damaged_probe_is_computed_again(store, tmp_path):
    plan = plan_probes(store, sizes=(1,), repeats=1)
    whole = run_probes(store, plan, kept=tmp_path / "kept")
    (tmp_path / "timestep-50.npz").write_bytes(b"half a file")
    np.testing.assert_array_equal(run_probes(store, plan, kept=tmp_path)[1].scores, whole[1].scores)


def test_a_kept_probe_comes_back_in_bits(store, tmp_path):
    plan = plan_probes(store, sizes=(1, 3), repeats=1)
    fitted = compute_probe(store, plan, Probe(50), STRENGTHS, None)
    ProbeCache(tmp_path / "kept", store, plan, STRENGTHS).write(fitted)
    again = ProbeCache(tmp_path / "kept", store, plan, STRENGTHS).read(Probe(50))
    np.testing.assert_array_equal(again.scores, fitted.scores)
    for one, other in zip(again.fits, fitted.fits, strict=True):
        np.testing.assert_array_equal(one.coef, other.coef)
        np.testing.assert_array_equal(one.intercept, other.intercept)
        about = ("ridge", "chosen_by", "iterations", "converged")
        assert [getattr(one, name) for name in about] == [getattr(other, name) for name in about]
    assert ProbeCache(tmp_path / "kept", store, plan, STRENGTHS).read(Probe(1)) is None
    with pytest.raises(TedmError, match="is of another run"):
        ProbeCache(tmp_path / "kept", store, plan, (1.0,)).read(Probe(50))


def test_without_a_folder_nothing_is_kept(store):
    plan = plan_probes(store, sizes=(1,), repeats=1)
    cache = ProbeCache(None, store, plan, STRENGTHS)
    cache.write(compute_probe(store, plan, Probe(1), STRENGTHS, None))
    assert cache.read(Probe(1)) is None


def test_a_key_is_of_plan_penalties_and_masks(store, relabel):
    plan = plan_probes(store, sizes=(1,), repeats=1)
    key = plan_key(store, plan, STRENGTHS)
    assert key == plan_key(store, plan, list(STRENGTHS))
    assert key != plan_key(store, plan, STRENGTHS[1:])
    assert key != plan_key(store, plan_probes(store, sizes=(3,), repeats=1), STRENGTHS)
    relabel(store, h={"mask": store.mask("h")[::-1].copy()})
    assert key != plan_key(store, plan, STRENGTHS)
