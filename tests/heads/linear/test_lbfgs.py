"""Minimisations that share evaluations end exactly where each would end alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tedm.heads.linear.lbfgs import Goal, minimise_together

OPTIONS, GOAL = {"maxiter": 200}, Goal(1e-9)


def bowl(number, point):
    """A narrow valley, another one for each number."""
    scale = np.array([1.0, 10.0 + number, 100.0])
    return float((scale * (point - number) ** 2).sum() + (point**4).sum()), 2 * scale * (point - number) + 4 * point**3


def test_together_is_as_alone_with_fewer_evaluations():
    calls = []

    def evaluate(points):
        calls.append(list(points))
        return {number: bowl(number, point) for number, point in points.items()}

    starts = [np.full(3, 5.0) for _ in range(4)]
    together = minimise_together(evaluate, starts, [GOAL] * 4, OPTIONS)
    shared, alone = len(calls), 0
    for number, found in enumerate(together):
        (one,) = minimise_together(lambda points, n=number: {0: bowl(n, points[0])}, [starts[number]], [GOAL], OPTIONS)
        assert np.array_equal(one.point, found.point)
        assert one.value == found.value
        alone += one.evaluations
    assert shared == max(found.evaluations for found in together) < alone
    assert calls[0] == [0, 1, 2, 3]


def test_an_error_reaches_the_caller_and_ends_the_threads():
    before = threading.active_count()

    def evaluate(points):
        if min(point.max() for point in points.values()) < 4:
            raise KeyboardInterrupt
        return {number: bowl(number, point) for number, point in points.items()}

    with pytest.raises(KeyboardInterrupt):
        minimise_together(evaluate, [np.full(3, 5.0)] * 3, [GOAL] * 3, OPTIONS)
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-"):
            thread.join(timeout=5)
    assert threading.active_count() <= before


def test_it_ends_where_the_goal_says_and_not_before():
    def steep(gradient):
        return float(np.abs(gradient).max() * 1000)

    (loose,) = minimise_together(lambda points: {0: bowl(0, points[0])}, [np.full(3, 5.0)], [Goal(1e-3)], OPTIONS)
    (strict,) = minimise_together(lambda points: {0: bowl(0, points[0])}, [np.full(3, 5.0)], [Goal(1e-3, 0.0, steep)], OPTIONS)
    assert np.abs(loose.gradient).max() <= 1e-3
    assert np.abs(strict.gradient).max() <= 1e-6
    assert loose.iterations < strict.iterations
    assert (Goal(1e-3).near(loose.gradient), Goal(1e-9).near(loose.gradient)) == (True, False)


def test_rounding_ends_it_near_a_minimum_and_nowhere_else():
    """Values and gradients that are rounded never come within the tolerance: a few evaluations later it gives up."""

    def rounded(number, point):
        value, gradient = bowl(number, point)
        return float(np.float32(value + 1)), gradient + 2e-5 * np.sign(np.sin(1e9 * point))

    (found,) = minimise_together(lambda points: {0: rounded(0, points[0])}, [np.full(3, 5.0)], [Goal(1e-6)], {"maxiter": 500})
    assert np.abs(found.point).max() < 1e-3
    assert found.evaluations < 60
    (far,) = minimise_together(lambda points: {0: rounded(0, points[0])}, [np.full(3, 5.0)], [Goal(1e-9)], {"maxiter": 500})
    assert not Goal(1e-9).near(far.gradient)
