"""A sample of the rows tells the solver where to begin and how the loss curves: fewer passes end at the same minimum."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear import sampled
from tedm.heads.linear.lbfgs import Goal
from tedm.heads.linear.objective import Problem, Scaled
from tedm.heads.linear.passes import Effort, moments, sums
from tedm.heads.linear.sampled import Metric, Steered, steered
from tedm.heads.linear.selection import Job
from tedm.heads.linear.solver import Solver, solve
from tedm.heads.linear.source import ArrayRows, Source
from tedm.heads.runtime.memory import Budget

EFFORT, GOAL = Effort("float64", 8, 1), Goal(1e-8)


def alike(rng, classes=2, *, rows=6000, features=20, images=3):
    """Rows whose features say nearly the same, in images of different sizes; classes that a few directions tell."""
    common = rng.normal(size=(rows, 3))
    x = common @ rng.normal(size=(3, features)) * 10 + rng.normal(size=(rows, features)) * np.logspace(-2, 0, features) + 5
    y = np.argmax(common @ rng.normal(size=(3, classes)) + rng.normal(size=(rows, classes)), axis=1)
    return x, y.astype(np.uint8), np.sort(rng.integers(0, images, rows) * rng.integers(0, 2, rows))


def source_of(x, y, groups):
    rows = ArrayRows(x, y, groups)
    return Source(rows, {name: name for name in rows.counts}, rows.counts)


def scaled_of(source, images, strength=1.0, *, standardize=True):
    of_images = {name: found for name, *found in moments(source.rows, images, EFFORT)}
    present = source.present(images)
    problem = Problem(tuple(images), strength, present, np.ones(256))
    return Scaled(problem, of_images, standardize), {name: found[2] for name, found in of_images.items()}


def evaluate(source, problem, point):
    (total,) = sums(source, [problem.model(point)], EFFORT)
    return problem.objective(point, total)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_steered_problem_is_the_problem_in_other_variables(rng, classes, standardize):
    source = source_of(*alike(rng, classes))
    scaled, rows = scaled_of(source, list(source.counts), standardize=standardize)
    (problem,) = steered(source, [scaled], rows, GOAL, 100, EFFORT)
    plain = Steered(scaled)
    point = rng.normal(size=plain.start.shape) * 0.1
    there = problem.variables(point)
    assert not np.allclose(there, point)
    np.testing.assert_allclose(problem.point(there), point, rtol=0, atol=1e-9)
    (value, gradient), (expected, by_weights) = evaluate(source, problem, there), evaluate(source, plain, point)
    assert value == pytest.approx(expected, rel=1e-12)
    step = rng.normal(size=point.shape) * 1e-5
    assert gradient @ (problem.variables(point + step) - there) == pytest.approx(by_weights @ step, rel=1e-6)
    assert problem.steepness(gradient) == pytest.approx(np.abs(by_weights).max(), rel=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_begins_near_the_minimum_where_the_loss_curves_alike_in_all_directions(rng, classes):
    source = source_of(*alike(rng, classes))
    scaled, rows = scaled_of(source, list(source.counts))
    (problem,) = steered(source, [scaled], rows, GOAL, 100, EFFORT)
    solved = evaluate(source, problem, problem.start)[0]
    assert solved < 1.02 * evaluate(source, Steered(scaled), scaled_minimum(source, scaled))[0]

    if classes == 2:  # a softmax has directions without any curvature
        there = Steered(scaled, None, problem.point(problem.start))
        assert np.linalg.cond(hessian(source, problem)) < 20
        assert np.linalg.cond(hessian(source, there)) > 2000


def scaled_minimum(source, scaled):
    solver = Solver(scaled.problem.present, len(scaled.center), None, True, 1000, 1e-9, "float64")
    (found,) = solve(source, [Job(scaled.problem.images, (scaled.problem.strength,))], solver)
    coef = found.coef * scaled.scale
    return np.concatenate([coef.T.ravel(), found.intercept + found.coef @ scaled.center])


def hessian(source, one):
    """By differences of the gradient."""
    gradients = [evaluate(source, one, one.start + step)[1] for step in 1e-4 * np.eye(len(one.start))]
    return (np.array(gradients) - evaluate(source, one, one.start)[1]) / 1e-4


def passes_of(source, monkeypatch, *, steer):
    met = []
    monkeypatch.setattr(sampled, "MOST_FEATURES", 1024 if steer else 0)
    solver = Solver(np.arange(2), 20, None, True, 1000, 1e-7, "float32")
    (found,) = solve(source, [Job(tuple(source.counts), (1.0,))], solver, progress=lambda *_: met.append(None))
    return len(met), found


def test_a_few_passes_end_where_many_did(rng, monkeypatch):
    x, y, groups = alike(rng, rows=20000)
    source = source_of(x.astype(np.float32), y, groups)
    many, plain = passes_of(source, monkeypatch, steer=False)
    few, found = passes_of(source, monkeypatch, steer=True)
    assert 2 * few < many
    assert found.objective == pytest.approx(plain.objective, rel=1e-6)
    assert found.converged


def test_too_many_features_too_few_rows_and_rare_classes_are_left_as_they_are(rng, monkeypatch):
    def left(x, y, groups):
        source = source_of(x, y, groups)
        scaled, rows = scaled_of(source, list(source.counts))
        (problem,) = steered(source, [scaled], rows, GOAL, 100, EFFORT)
        return not problem.start.any() and np.array_equal(problem.point(problem.start + 1), problem.start + 1)

    x, y, groups = alike(rng)
    assert not left(x, y, groups)
    assert left(x[:300], y[:300], groups[:300])
    rare = np.zeros_like(y)
    rare[:15] = 1
    assert left(x, rare, groups)
    monkeypatch.setattr(sampled, "MOST_FEATURES", 19)
    assert left(x, y, groups)


def test_a_budget_without_room_for_a_sample_leaves_them_too(make_store, monkeypatch):
    store = make_store()
    monkeypatch.setattr(sampled, "LEAST_ROWS", 1)
    data = TrainingData(store, store.labels.names, rows="share", memory=Budget(None))
    source = Source.from_training_data(data)
    scaled, rows = scaled_of(source, data.names)
    assert steered(source, [scaled], rows, GOAL, 100, EFFORT)[0].start.any()
    monkeypatch.setattr(Budget, "left", lambda self: 1000)
    assert not steered(source, [scaled], rows, GOAL, 100, EFFORT)[0].start.any()


def test_strengths_of_one_set_of_images_share_a_sample_and_sets_have_their_own(rng):
    source = source_of(*alike(rng))
    every, some = list(source.counts), list(source.counts)[:2]
    scaled = [scaled_of(source, images, strength) for images in (every, some) for strength in (0.1, 10.0, 1000.0)]
    problems = steered(source, [one for one, _ in scaled], scaled[0][1], GOAL, 100, EFFORT)
    points = [one.point(one.start) for one in problems]
    for first in (0, 3):
        for other in points[first : first + 3]:
            np.testing.assert_allclose(other, points[first], rtol=0, atol=1e-9)
    assert not np.allclose(points[0], points[3])
    alone = steered(source, [scaled[4][0]], scaled[0][1], GOAL, 100, EFFORT)[0]
    np.testing.assert_allclose(alone.point(alone.start), points[4], rtol=0, atol=1e-9)


def test_a_metric_and_its_inverse_undo_each_other(rng):
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    metric, weights = Metric(turn, np.array([0.0, 1e-9, 1.0, 50.0])), rng.normal(size=(4, 2))
    there = metric.variables(weights, 0.01)
    np.testing.assert_allclose(metric.weights(there, 0.01), weights, rtol=1e-10)
    np.testing.assert_allclose(metric.gradient_by_weights(metric.gradient(weights, 0.01), 0.01), weights, rtol=1e-10)
    assert (there * metric.gradient(weights, 0.01)).sum() == pytest.approx((weights**2).sum())
