"""Several minimisations that advance together: one evaluation serves all that are waiting for one.

A pass over features costs reading and decoding whatever it is for. Ridge strengths and folds of a cross-validation differ in
what they minimise and not in what they read, so each pass evaluates all of them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Point = NDArray[np.float64]
Evaluate = Callable[[Mapping[int, Point]], Mapping[int, tuple[float, Point]]]


# Pairs of steps and gradients that L-BFGS remembers. Ten, scipy's own number, take up to twice the evaluations here.
MEMORY = 20
# Evaluations of one line search, near a minimum, after which rounding and not the step is what it meets.
SEARCHED = 4
# Tolerances within which a gradient counts as zero: sums of float32 products of a few hundred rows were seen to stop at 11.
CONVERGED = 30


class _Abandoned(Exception):
    """Ends a minimisation whose evaluation failed."""


class _Reached(Exception):
    """Ends a minimisation that rounding lets go no further."""


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Parameters
    ----------
    point, gradient : arrays of shape (variables,)
    value : float
    iterations, evaluations : int
    """

    point: Point
    value: float
    gradient: Point
    iterations: int
    evaluations: int


@dataclass(frozen=True)
class Goal:
    """When a function has its minimum.

    Parameters
    ----------
    tolerance : float
        What no entry of the gradient exceeds at a minimum.
    flat : float
        Where a gradient is within `CONVERGED` tolerances, an iteration that lowers the value by no more than this part of it
        was the last: rounding, and not the gradient, decides from there on.
    steepness : callable or None
        From a gradient to its largest entry as it is meant, in other variables perhaps; None takes it as it is.
    """

    tolerance: float
    flat: float = 0.0
    steepness: Callable[[Point], float] | None = None

    def steep(self, gradient: Point) -> float:
        """Return the largest entry of a gradient, as it is meant."""
        return float(np.abs(gradient).max()) if self.steepness is None else self.steepness(gradient)

    def near(self, gradient: Point) -> bool:
        """Tell whether a gradient counts as zero."""
        return self.steep(gradient) <= CONVERGED * self.tolerance


def minimise_together(
    evaluate: Evaluate, starts: Sequence[Point], goals: Sequence[Goal], options: Mapping[str, Any]
) -> list[Minimum]:
    """Minimise several functions with scipy's L-BFGS-B.

    Each is minimised exactly as it would be alone: they share evaluations, nothing else.

    Parameters
    ----------
    evaluate : callable
        From points of some of the functions, by number, to their values and gradients.
    starts : sequence of arrays
        One for each function.
    goals : sequence of Goal
        One for each function.
    options : mapping
        Others of `scipy.optimize.minimize(method="L-BFGS-B")`.

    Returns
    -------
    list of Minimum
        In the order of `starts`.

    Raises
    ------
    Whatever `evaluate` raises.
    """
    if len(starts) == 1:
        return [_minimise(lambda point: evaluate({0: point})[0], starts[0], goals[0], options)]
    # scipy calls the function and cannot be suspended: each runs in a thread of its own and sleeps while others think.
    asked: queue.Queue[tuple[int, Point | Minimum | BaseException]] = queue.Queue()
    answers: list[queue.Queue[tuple[float, Point] | None]] = [queue.Queue() for _ in starts]

    def one(number: int) -> None:
        def function(point: Point) -> tuple[float, Point]:
            asked.put((number, point.copy()))
            answer = answers[number].get()
            if answer is None:
                raise _Abandoned
            return answer

        try:
            asked.put((number, _minimise(function, starts[number], goals[number], options)))
        except _Abandoned:
            pass
        except BaseException as error:
            asked.put((number, error))

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(len(starts))]
    results: dict[int, Minimum] = {}
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


def _minimise(
    function: Callable[[Point], tuple[float, Point]], start: Point, goal: Goal, options: Mapping[str, Any]
) -> Minimum:
    from scipy.optimize import minimize  # a third of a second to import, and heads that predict do not minimise

    solver: Any = minimize  # its annotations want every option by name
    gradient, best, evaluations, searched = np.zeros(0), Minimum(start, np.inf, np.zeros(0), 0, 0), 0, 0

    def evaluated(point: Point) -> tuple[float, Point]:
        nonlocal gradient, evaluations, searched
        if searched == SEARCHED and best.iterations and goal.near(best.gradient):
            raise _Reached
        value, gradient = function(point)
        evaluations, searched = evaluations + 1, searched + 1
        return value, gradient

    def accepted(intermediate_result: OptimizeResult) -> None:
        nonlocal best, searched
        value = float(intermediate_result.fun)
        flat = best.value - value <= goal.flat * abs(value)
        # The gradient is the last one that was computed: an iteration ends with the evaluation that it accepts.
        best = Minimum(intermediate_result.x.copy(), value, gradient.copy(), best.iterations + 1, evaluations)
        searched = 0
        if goal.steep(gradient) <= goal.tolerance or (flat and goal.near(gradient)):
            raise StopIteration

    # A loss of many rows changes little long before its gradient is small: only the goal ends it, or the iterations.
    settings = {"maxcor": MEMORY, **options, "ftol": 0, "gtol": 0}
    try:
        found = solver(evaluated, start, jac=True, method="L-BFGS-B", callback=accepted, options=settings)
    except _Reached:
        return replace(best, evaluations=evaluations)
    return Minimum(found.x, float(found.fun), found.jac, int(found.nit), evaluations)
