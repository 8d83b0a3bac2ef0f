"""Regressions that are solved together: each ends where scikit-learn's does, in few passes that they share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear.logistic import LogisticHead
from tedm.heads.linear.selection import Job
from tedm.heads.linear.solver import Solver, solve
from tedm.heads.linear.source import Source
from tedm.heads.runtime.memory import Budget

RIDGE = 0.7


@pytest.mark.parametrize("values", [(0, 255), (3, 7, 9)])
def test_a_tight_tolerance_gives_the_same_coefficients(make_store, values, dense, theirs):
    store = make_store(values=values)
    coef, intercept, _ = weights_of(theirs(*dense(store, "share"), True))
    data = TrainingData(store, store.labels.names, rows="share")
    head = LogisticHead(RIDGE, dtype="float64", tol=1e-10).fit_blocks(data)
    np.testing.assert_allclose(head.coef_, coef, rtol=0, atol=1e-6 * np.abs(coef).max())
    np.testing.assert_allclose(head.intercept_, intercept, rtol=0, atol=1e-6 * np.abs(intercept).max())


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("scale", "mean"), [(1e-3, 0), (30, 5), (1, 300)])
def test_spread_and_mean_of_features_do_not_matter_to_the_solver(rng, scale, mean, standardize, theirs):
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) * scale + mean
    y = (x[:, 0] - x[:, 0].mean() + scale * rng.normal(size=500) > 0).astype(int)
    x = x.astype(np.float32).astype(np.float64)
    ridge = RIDGE * (1 if standardize else scale**2)
    centred = theirs(x - x.mean(axis=0), y, standardize, ridge)  # the intercept is free: a shift changes nothing but it
    minimum = objective(x - x.mean(axis=0), y, *weights_of(centred), ridge)
    for dtype in ("float32", "float64"):
        head = LogisticHead(ridge, standardize=standardize, dtype=dtype).fit(x, y)
        assert head.converged_
        assert head.n_iter_ < 60
        assert head.objective_ == pytest.approx(minimum, rel=1e-6)


def weights_of(model):
    """Of a pipeline, for features as they are: coefficients, intercepts, and the scale that the penalty sees."""
    last, scale, mean = model[-1], 1.0, 0.0
    if len(model) == 2:
        scale, mean = model[0].scale_, model[0].mean_
    coef = last.coef_ / scale
    return coef, last.intercept_ - (coef * mean).sum(axis=1), scale


def objective(x, y, coef, intercept, scale, ridge=RIDGE):
    logits = x @ coef.T + intercept
    if len(coef) == 1:
        logits = np.concatenate([0 * logits, logits], axis=1)
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y].sum() + ridge / 2 * ((coef * scale) ** 2).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_said_when_iterations_did_not_suffice(make_store, dtype):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="concatenate")
    assert not LogisticHead(1e-6, max_iter=2, dtype=dtype).fit_blocks(data).converged_
    assert LogisticHead(dtype=dtype).fit_blocks(data).converged_


def test_convergence_is_not_claimed_beyond_float32(make_store):
    data = TrainingData(make_store(), ["one", "two"], rows="share")
    assert LogisticHead(dtype="float64", tol=1e-10).fit_blocks(data).converged_
    assert not LogisticHead(dtype="float32", tol=1e-15).fit_blocks(data).converged_


def test_strengths_and_folds_share_their_passes(make_store):
    store, passes = make_store(), []

    class Counted(TrainingData):
        def images(self, names, **options):
            passes.append(list(names))
            return super().images(names, **options)

    data = Counted(store, store.labels.names, rows="share")
    head = LogisticHead((0.1, 1.0, 10.0), dtype="float64").fit_blocks(data)
    together = len(passes)
    passes.clear()
    LogisticHead(0.1, dtype="float64").fit_blocks(data)
    assert together < 3 * len(passes)  # for 15 problems
    assert head.n_iter_ < together


def test_images_side_by_side_give_the_same_bits_as_one_after_the_other(make_store):

    data, before, found = TrainingData(make_store(), list(make_store().labels.names), rows="concatenate"), [], []
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(LogisticHead().fit_blocks(data).coef_.tobytes())
    torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kept", [None, 0])
def test_jobs_that_are_solved_together_end_where_each_ends_alone(make_store, kept):
    """Whether the budget lets them share their passes or not."""
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share", memory=None if kept is None else Budget(kept=kept))
    source = Source.from_training_data(data)
    solver = Solver(np.arange(2), data.n_features, None, True, 1000, 1e-10, "float64")
    jobs = [Job(tuple(data.names), (1.0,)), Job(("one", "three"), (10.0,)), Job.cross_validated(source, data.names, [0.1, 5.0])]
    together = solve(source, jobs, solver)
    for job, solution in zip(jobs, together, strict=True):
        (alone,) = solve(source, [job], solver)
        assert (solution.ridge, solution.converged, solution.chosen_by) == (alone.ridge, True, job.chosen_by)
        np.testing.assert_allclose(solution.coef, alone.coef, rtol=0, atol=1e-8 * np.abs(alone.coef).max())
        assert solution.objective == pytest.approx(alone.objective, rel=1e-12)
