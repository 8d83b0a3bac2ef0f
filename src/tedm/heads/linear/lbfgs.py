"""Several minimisations that advance together: one evaluation serves all that are waiting for one.

A pass over features costs reading and decoding whatever it is for. Ridge strengths and folds of a cross-validation differ in
what they minimise and not in what they read, so each pass evaluates all of them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Point = NDArray[np.float64]
Evaluate = Callable[[Mapping[int, Point]], Mapping[int, tuple[float, Point]]]


class _Abandoned(Exception):
    """Ends a minimisation whose evaluation failed."""


def minimise_together(evaluate: Evaluate, starts: Sequence[Point], options: Mapping[str, Any]) -> list[OptimizeResult]:
    """Minimise several functions with scipy's L-BFGS-B.

    Each is minimised exactly as it would be alone: they share evaluations, nothing else.

    Parameters
    ----------
    evaluate : callable
        From points of some of the functions, by number, to their values and gradients.
    starts : sequence of arrays
        One for each function.
    options : mapping
        Of `scipy.optimize.minimize(method="L-BFGS-B")`.

    Returns
    -------
    list of OptimizeResult
        In the order of `starts`.

    Raises
    ------
    Whatever `evaluate` raises.
    """
    if len(starts) == 1:
        return [_minimise(lambda point: evaluate({0: point})[0], starts[0], options)]
    # scipy calls the function and cannot be suspended: each runs in a thread of its own and sleeps while others think.
    asked: queue.Queue[tuple[int, Point | OptimizeResult | BaseException]] = queue.Queue()
    answers: list[queue.Queue[tuple[float, Point] | None]] = [queue.Queue() for _ in starts]

    def one(number: int) -> None:
        def function(point: Point) -> tuple[float, Point]:
            asked.put((number, point.copy()))
            answer = answers[number].get()
            if answer is None:
                raise _Abandoned
            return answer

        try:
            asked.put((number, _minimise(function, starts[number], options)))
        except _Abandoned:
            pass
        except BaseException as error:
            asked.put((number, error))

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(len(starts))]
    results: dict[int, OptimizeResult] = {}
    waiting: dict[int, Point] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(starts):
            while len(waiting) + len(results) < len(starts):
                number, message = asked.get()
                if isinstance(message, BaseException):
                    raise message
                if isinstance(message, np.ndarray):
                    waiting[number] = message
                else:
                    results[number] = message
            if waiting:
                # In order of number: which thread was first must not show in the result.
                values = evaluate(dict(sorted(waiting.items())))
                for number in list(waiting):
                    del waiting[number]
                    answers[number].put(values[number])
    finally:
        for queue_of_one in answers:
            queue_of_one.put(None)
    return [results[number] for number in range(len(starts))]


def _minimise(function: Callable[[Point], tuple[float, Point]], start: Point, options: Mapping[str, Any]) -> OptimizeResult:
    from scipy.optimize import minimize  # a third of a second to import, and heads that predict do not minimise

    solver: Any = minimize  # its annotations want every option by name
    result: OptimizeResult = solver(function, start, jac=True, method="L-BFGS-B", options=dict(options))
    return result
