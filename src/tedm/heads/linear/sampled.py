"""Where the solver begins, and in which variables: a solution on a sample of the rows, and how the loss curves there.

Channels say nearly the same as their neighbours, and most pixels are sure: L-BFGS spends its passes on directions along which
the loss hardly bends. A sample of the rows is solved in a moment. From its solution, and in variables in which its loss curves
alike in all directions, a fifth of the passes over all rows is left (sub-sampled Newton methods, Roosta-Khorasani and Mahoney
2016, arXiv:1601.04737). The minimum is the same to the solver's tolerance. Too few rows, too many features or a class that a
sample hardly shows make a sample say less than it costs: there the variables stay those of `Scaled`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.linear.lbfgs import CONVERGED, Goal, Point, minimise_together
from tedm.heads.linear.objective import Scaled
from tedm.heads.linear.passes import Effort, sums
from tedm.heads.linear.source import ArrayRows, Rows, Source
from tedm.heads.linear.stacks import Model, Sum
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.store.layout import Floats

# Rows of a sample for each feature, and how many there must be at least.
ROWS, LEAST_ROWS = 32, 16
# Rows of the rarest class for each feature: fewer leave its output to the penalty.
LEAST_OF_A_CLASS = 1
# More features make a curvature that takes longer than the passes it saves.
MOST_FEATURES = 1024
# What a row's certainty takes of its weight at most: a sample of sure rows has directions without any curvature.
FLOOR = 0.1
# Iterations on the sample: to have an opinion of where the loss bends, and to solve it; and how well, at most.
ITERATIONS, ENOUGH = (30, 200), 1e-5
# Rows whose curvature is added up at once.
AT_ONCE = 4096
# Relative rounding of products of float32, below which a curvature is none.
ROUNDING = 1e-7

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Metric:
    """Variables v of weights and intercepts w = Q (L + penalty)^-1/2 v, for a curvature Q L Q^T.

    All outputs have the same: the sum of the weights of all classes, which no loss depends on, then stays nought.

    Parameters
    ----------
    directions : array of shape (features + 1, features + 1)
        Q: a direction a column.
    curvatures : array of shape (features + 1,)
        L, along each of them.
    """

    directions: Point
    curvatures: Point

    def weights(self, variables: Point, penalty: float) -> Point:
        """Return weights from variables, both of shape (features + 1, outputs)."""
        return self.directions @ (variables / self._roots(penalty))

    def variables(self, weights: Point, penalty: float) -> Point:
        """Return the variables of some weights."""
        return (self.directions.T @ weights) * self._roots(penalty)

    def gradient(self, by_weights: Point, penalty: float) -> Point:
        """Return the gradient by the variables, from that by the weights."""
        return (self.directions.T @ by_weights) / self._roots(penalty)

    def gradient_by_weights(self, by_variables: Point, penalty: float) -> Point:
        """Return the gradient by the weights, from that by the variables."""
        return self.directions @ (by_variables * self._roots(penalty))

    def _roots(self, penalty: float) -> Point:
        curvatures: Point = np.sqrt(np.maximum(self.curvatures, ROUNDING * self.curvatures.max()) + penalty)
        return curvatures[:, None]


class Steered:
    """A problem in variables in which it curves alike in all directions, as far as a sample tells.

    Parameters
    ----------
    scaled : Scaled
    metric : Metric or None
        None leaves its variables as they are.
    start : array or None
        Where to begin, in the variables of `scaled`; None begins with zeros.
    """

    def __init__(self, scaled: Scaled, metric: Metric | None = None, start: Point | None = None) -> None:
        self.scaled = scaled
        self._metric = metric
        zeros = np.zeros((len(scaled.center) + 1) * scaled.problem.outputs)
        self.start: Point = zeros if start is None else self.variables(start)

    def model(self, variables: Point) -> Model:
        """Return weights and intercepts for features as they are."""
        return self.scaled.model(self.point(variables))

    def objective(self, variables: Point, total: Sum) -> tuple[float, Point]:
        """Return value and gradient for a mean row."""
        value, gradient = self.scaled.objective(self.point(variables), total)
        return value, gradient if self._metric is None else self._changed(gradient, self._metric.gradient)

    def steepness(self, gradient: Point) -> float:
        """Return the largest entry of a gradient by the variables of `scaled`, from one by those of this."""
        if self._metric is not None:
            gradient = self._changed(gradient, self._metric.gradient_by_weights)
        return float(np.abs(gradient).max())

    def point(self, variables: Point) -> Point:
        """Return the variables of `scaled`."""
        return variables if self._metric is None else self._changed(variables, self._metric.weights)

    def variables(self, point: Point) -> Point:
        """Return the variables for those of `scaled`."""
        return point if self._metric is None else self._changed(point, self._metric.variables)

    def _changed(self, point: Point, change: Callable[[Point, float], Point]) -> Point:
        return change(point.reshape(-1, self.scaled.problem.outputs), self.scaled.penalty).ravel()


def steered(
    source: Source, problems: Sequence[Scaled], rows: Mapping[str, int], goal: Goal, iterations: int, effort: Effort
) -> list[Steered]:
    """Return problems in variables that suit them: those with one set of images share what a sample of it tells.

    Parameters
    ----------
    source : Source
        Their images.
    problems : sequence of Scaled
    rows : mapping of str to int
        Labelled rows of each image.
    goal : Goal
        Of the minimisation on all rows.
    iterations : int
        Of that, at most; and of each on a sample.
    effort : Effort
        Of a pass over these.
    """
    sets: dict[tuple[str, ...], list[int]] = {}
    for number, scaled in enumerate(problems):
        if len(scaled.center) <= MOST_FEATURES and scaled.total >= LEAST_ROWS * len(scaled.center):
            sets.setdefault(scaled.problem.images, []).append(number)
    # Of each image as many rows as the set wants that wants most of them: a set of more images takes the first of these.
    wanted: dict[str, int] = {}
    for images, numbers in sets.items():
        for name in images:
            wanted[name] = max(wanted.get(name, 0), _share(problems[numbers[0]], rows[name]))
    found = [Steered(scaled) for scaled in problems]
    if not wanted or not _affordable(source, sum(wanted.values()), len(sets), len(problems[0].center)):
        return found
    names = [name for name in source.counts if name in wanted]
    of_images = {name: (x, y) for name, x, y in source.rows.workers.over(_some, source.rows, names, wanted, effort)}
    uses = Counter(name for images in sets for name in images)
    for images, numbers in sets.items():
        first = problems[numbers[0]]
        shares = [_share(first, rows[name]) for name in images]
        like = of_images[images[0]][0]
        x, labels = np.empty((sum(shares), like.shape[1]), like.dtype), np.empty(sum(shares), np.uint8)
        del like
        stop = 0
        for name, share in zip(images, shares, strict=True):
            uses[name] -= 1  # what no other set wants is let go of at once: half the memory, where there is one set
            its_x, its_labels = of_images[name] if uses[name] else of_images.pop(name)
            start, stop = stop, stop + share
            x[start:stop], labels[start:stop] = its_x[:share], its_labels[:share]
            del its_x, its_labels
        if np.bincount(labels, minlength=256)[first.problem.present].min() < LEAST_OF_A_CLASS * x.shape[1]:
            continue
        middle = problems[sorted(numbers, key=lambda number: problems[number].problem.strength)[len(numbers) // 2]]
        metric, point = _solved(x, labels, middle, goal, iterations, effort)
        for number in numbers:
            found[number] = Steered(problems[number], metric, point)
    return found


def _share(scaled: Scaled, rows: int) -> int:
    """Return how many of an image's rows a problem's sample has: all images give the same part."""
    return min(rows, -(-ROWS * len(scaled.center) * rows // scaled.total))


def _affordable(source: Source, rows: int, sets: int, features: int) -> bool:
    """Tell whether the budget has room for samples of so many rows in all, for a copy of these, and for the curvatures."""
    budget = source.rows.budget
    return budget is None or 2 * rows * features * 4 + (sets + 3) * features**2 * 8 <= budget.left() // 3


def _some(rows: Rows, names: Sequence[str], wanted: Mapping[str, int], effort: Effort) -> Iterator[tuple[str, Floats, Labels]]:
    """Yield some rows of each image, and their labels; for `Workers.over`."""
    yield from each_in_a_thread(
        lambda image: (image.name, *image.some(wanted[image.name])), rows.images(names, working=effort.working), effort.threads
    )


def _solved(x: Floats, labels: Labels, scaled: Scaled, goal: Goal, most: int, effort: Effort) -> tuple[Metric, Point]:
    """Return how the loss curves at the solution of a sample, and that solution; the rows are standardised where they lie."""
    x -= scaled.center.astype(x.dtype)
    x /= scaled.scale.astype(x.dtype)
    rows = ArrayRows(x, labels, np.zeros(len(x), np.intp))
    source = Source(rows, {}, rows.counts)
    of_sample, more = scaled.of_standardised_rows(), scaled.total / len(x)
    point = np.zeros((x.shape[1] + 1) * scaled.problem.outputs)
    for iterations in (min(most, each) for each in ITERATIONS):
        here = Steered(of_sample, _metric(x, labels, scaled, point), point)

        def evaluate(points: Mapping[int, Point], here: Steered = here) -> dict[int, tuple[float, Point]]:
            (total,) = sums(source, [here.model(points[0]).on(rows.counts)], effort)
            whole = Sum(total.loss * more, total.total * more, total.gradient * more, total.offset * more)
            return {0: here.objective(points[0], whole)}

        enough = Goal(max(ENOUGH, CONVERGED * goal.tolerance), goal.flat, here.steepness)
        (result,) = minimise_together(evaluate, [here.start], [enough], {"maxiter": iterations, "maxfun": 2 * iterations})
        point = here.point(result.point)
    return _metric(x, labels, scaled, point), point


def _metric(x: Floats, labels: Labels, scaled: Scaled, point: Point) -> Metric:
    """Return how the loss of a mean row curves at a point, on average over the outputs; the last feature is the intercept's."""
    from scipy.linalg import eigh
    from scipy.special import expit, softmax

    outputs = scaled.problem.outputs
    weights, shift = point[:-outputs].reshape(-1, outputs).astype(x.dtype), point[-outputs:]
    logits = (x @ weights).astype(np.float64) + shift
    chances = expit(logits) if outputs == 1 else softmax(logits, axis=1)
    bends = (chances * (1 - chances)).mean(axis=1)
    bends = scaled.problem.row_weights[labels] * np.maximum(bends, FLOOR * bends.mean())
    total = np.zeros((x.shape[1] + 1, x.shape[1] + 1))
    for start in range(0, len(x), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        rows = np.concatenate([x[part], np.ones((len(x[part]), 1), x.dtype)], axis=1)
        rows *= np.sqrt(bends[part], dtype=x.dtype)[:, None]
        total += rows.T @ rows
    curvatures, directions = eigh(total / len(x))
    return Metric(directions, curvatures)
