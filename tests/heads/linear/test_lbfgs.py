"""Minimisations that share evaluations end exactly where each would end alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tedm.heads.linear.lbfgs import minimise_together

OPTIONS = {"maxiter": 200, "gtol": 1e-9, "ftol": 0}


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
    together = minimise_together(evaluate, starts, OPTIONS)
    shared, alone = len(calls), 0
    for number, found in enumerate(together):
        (one,) = minimise_together(lambda points, n=number: {0: bowl(n, points[0])}, [starts[number]], OPTIONS)
        assert np.array_equal(one.x, found.x)
        assert one.fun == found.fun
        alone += one.nfev
    assert shared == max(found.nfev for found in together) < alone
    assert calls[0] == [0, 1, 2, 3]


def test_an_error_reaches_the_caller_and_ends_the_threads():
    before = threading.active_count()

    def evaluate(points):
        if min(point.max() for point in points.values()) < 4:
            raise KeyboardInterrupt
        return {number: bowl(number, point) for number, point in points.items()}

    with pytest.raises(KeyboardInterrupt):
        minimise_together(evaluate, [np.full(3, 5.0)] * 3, OPTIONS)
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-"):
            thread.join(timeout=5)
    assert threading.active_count() <= before
