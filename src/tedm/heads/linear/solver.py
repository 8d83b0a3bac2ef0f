"""Ridge logistic regressions on several sets of images, with several strengths and folds, that are solved together.

L-BFGS needs a loss and a gradient; both are sums over blocks, and a block gives them through products with its cells. Nothing
is sampled and nothing grows with the number of images but the time. The objective is scikit-learn's: the sum of the weighted
cross-entropies plus ridge / 2 times the squared weights, the intercepts free (C = 1 / ridge).

A pass over the blocks serves every problem that is not solved yet, whatever images count for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.heads.data.sampling import ClassWeight, class_weights
from tedm.heads.linear.lbfgs import MEMORY, Goal, minimise_together
from tedm.heads.linear.objective import Problem, Scaled, all_classes
from tedm.heads.linear.passes import Effort, moments, sums
from tedm.heads.linear.sampled import steered
from tedm.heads.linear.selection import Job
from tedm.heads.linear.source import Source
from tedm.heads.linear.stacks import Model, Sum
from tedm.heads.runtime.workers import HERE
from tedm.store.layout import Floats

# Copies of the variables that L-BFGS keeps (pairs of steps and gradients, and its work arrays).
SOLVER_COPIES = 2 * MEMORY + 12
# An iteration that lowers a value by less, relative to it, lowered its rounding: sums of products of this type.
FLAT = {"float32": 1e-8, "float64": 0.0}


@dataclass(frozen=True)
class Solver:
    """What all problems have in common; the arguments of `LogisticHead`.

    Parameters
    ----------
    labels : array of shape (classes,)
        The classes, as `class_weight` names them.
    features : int
        Length of a row.
    class_weight, standardize, max_iter, tol, dtype
        See `LogisticHead`.
    """

    labels: NDArray[Any]
    features: int
    class_weight: ClassWeight
    standardize: bool
    max_iter: int
    tol: float
    dtype: str


@dataclass(frozen=True)
class Solution:
    """A fitted classifier; see the attributes of `LogisticHead`."""

    coef: Floats
    intercept: Floats
    ridge: float
    path: list[dict[str, float]]
    chosen_by: str
    n_iter: int
    objective: float
    converged: bool


def solve(
    source: Source,
    jobs: Sequence[Job],
    solver: Solver,
    *,
    held_out: Source | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[Solution]:
    """Fit classifiers, as many together as the budget holds: each is what it would be alone.

    Parameters
    ----------
    source : Source
        The images of all jobs.
    jobs : sequence of Job
    solver : Solver
    held_out : Source or None
        Images that choose among the strengths of jobs without folds.
    progress : callable (evaluations, `max_iter`, loss) or None
        Called after each pass.

    Raises
    ------
    TedmError
        If the budget does not hold one job.
    """
    solutions: list[Solution] = []
    while len(solutions) < len(jobs):
        rest = jobs[len(solutions) :]
        problems = [_problems(source, job, solver) for job in rest]
        together = max(1, _held_at_once(source, problems, solver.features))
        effort = _effort(source, [one for some in problems[:together] for one in some], solver)
        solutions += _solved(source, rest[:together], problems[:together], solver, effort, held_out, progress)
    return solutions


def _problems(source: Source, job: Job, solver: Solver) -> list[Problem]:
    """Return all strengths on all images, then all strengths on each fold's images."""
    problems = []
    for images in (job.images, *(inside for inside, _ in job.folds)):
        counts = np.sum([source.counts[name] for name in images], axis=0)
        weights = np.ones(256)
        classes = len(solver.labels)
        weights[:classes] = class_weights(solver.class_weight, list(solver.labels), counts[:classes])
        present = source.present(images)
        problems += [Problem(tuple(images), strength, present, weights) for strength in job.strengths]
    return problems


def _solved(
    source: Source,
    jobs: Sequence[Job],
    problems: Sequence[Sequence[Problem]],
    solver: Solver,
    effort: Effort,
    held_out: Source | None,
    progress: Callable[[int, int, float], None] | None,
) -> list[Solution]:
    every = [problem for job_problems in problems for problem in job_problems]
    wanted = frozenset(name for job in jobs for name in job.images)
    names = [name for name in source.counts if name in wanted]
    moments_of: dict[str, tuple[Floats, Floats, int]] = {}
    for name, first, second, total in source.rows.workers.over(moments, source.rows, names, effort):
        moments_of[name] = (first, second, total)
    scaled = [Scaled(problem, moments_of, solver.standardize) for problem in every]
    goal = Goal(solver.tol, FLAT[solver.dtype])
    rows = {name: found[2] for name, found in moments_of.items()}
    problems_of = steered(source, scaled, rows, goal, solver.max_iter, effort)
    passes = 0

    def evaluate(points: Mapping[int, NDArray[np.float64]]) -> dict[int, tuple[float, NDArray[np.float64]]]:
        nonlocal passes
        models = [problems_of[number].model(point) for number, point in points.items()]
        totals = sums(source, models, effort)
        values = {
            number: problems_of[number].objective(point, total)
            for (number, point), total in zip(points.items(), totals, strict=True)
        }
        passes += 1
        if progress is not None:
            progress(min(passes, solver.max_iter), solver.max_iter, next(iter(values.values()))[0])
        return values

    goals = [replace(goal, steepness=one.steepness) for one in problems_of]
    options = {"maxiter": solver.max_iter, "maxfun": 2 * solver.max_iter}
    results = minimise_together(evaluate, [one.start for one in problems_of], goals, options)
    models = [one.model(result.point) for one, result in zip(problems_of, results, strict=True)]
    means = _held_out_losses(source, jobs, models, held_out, effort)
    solutions = []
    start = 0
    for job, job_problems, mean_losses in zip(jobs, problems, means, strict=True):
        best = int(np.nanargmin(mean_losses)) if mean_losses else 0
        at = start + best
        result, model = results[at], models[at]
        coef, intercept = all_classes(model.weights.T, model.shift, every[at].present, len(solver.labels))
        # Products in float32 can end in a line search that improves nothing, or in equal losses; what counts is the gradient.
        converged = goals[at].near(result.gradient)
        path = [{"ridge": s, "loss": loss} for s, loss in zip(job.strengths, mean_losses, strict=bool(mean_losses))]
        objective = float(result.value) * scaled[at].total
        solutions.append(
            Solution(coef, intercept, job.strengths[best], path, job.chosen_by, result.iterations, objective, converged)
        )
        start += len(job_problems)
    return solutions


def _held_out_losses(
    source: Source, jobs: Sequence[Job], models: Sequence[Model], held_out: Source | None, effort: Effort
) -> list[list[float]]:
    """Return for each job and strength the mean loss on images that were not fitted on; nothing for a single strength."""
    tested: list[Model] = []
    on_held_out: list[Model] = []
    first = 0
    for job in jobs:
        strengths = len(job.strengths)
        if strengths > 1 and held_out is not None:
            on_held_out += [model.on(held_out.counts) for model in models[first : first + strengths]]
        elif strengths > 1:
            for fold, (_, outside) in enumerate(job.folds, 1):
                start = first + fold * strengths
                tested += [model.on(outside) for model in models[start : start + strengths]]
        first += strengths * (1 + len(job.folds))
    totals = iter(sums(source, tested, effort, gradients=False) if tested else [])
    totals_held_out = iter(sums(held_out, on_held_out, effort, gradients=False) if held_out is not None and on_held_out else [])
    means: list[list[float]] = []
    for job in jobs:
        strengths = len(job.strengths)
        if strengths == 1:
            means.append([])
        elif held_out is not None:
            means.append([_mean([next(totals_held_out)]) for _ in range(strengths)])
        else:
            on_folds = [next(totals) for _ in range(strengths * len(job.folds))]
            means.append([_mean(on_folds[number::strengths]) for number in range(strengths)])
    return means


def _mean(totals: Sequence[Sum]) -> float:
    return sum(one.loss for one in totals) / sum(one.total for one in totals)


def _fixed_bytes(source: Source, outputs: int, features: int) -> int:
    """Return what does not depend on how a pass is cut, for problems of so many outputs in all."""
    blocks = 2 * source.rows.block_bytes + source.rows.reading_bytes
    return features * 8 * (outputs * SOLVER_COPIES + 4 * len(source.counts)) + blocks


def _held_at_once(source: Source, problems: Sequence[Sequence[Problem]], features: int) -> int:
    """Count the jobs whose problems a third of the budget's rest holds; the others are for what a pass takes."""
    if source.rows.budget is None:
        return len(problems)
    room = source.rows.budget.left() // 3
    outputs = np.cumsum([sum(problem.outputs for problem in job_problems) for job_problems in problems])
    return int(sum(_fixed_bytes(source, int(total), features) <= room for total in outputs))


def _effort(source: Source, problems: Sequence[Problem], solver: Solver) -> Effort:
    """Take as many outputs and images at once as the budget and the threads allow."""
    every, largest = sum(problem.outputs for problem in problems), max(problem.outputs for problem in problems)
    rows, budget = source.rows, source.rows.budget
    if budget is None:
        return Effort(solver.dtype, every, 1)
    fixed = _fixed_bytes(source, every, solver.features)
    gradient = solver.features * 8 * every
    budget.require(
        fixed + gradient + rows.design_bytes(largest),
        f"a logistic regression of {solver.features} features x {every} outputs",
    )
    room = budget.left() - fixed
    columns, threads = largest, 1
    while columns < every and room > gradient + rows.design_bytes(2 * columns):
        columns *= 2
    each = gradient + rows.design_bytes(min(columns, every))
    # On a cluster every part is one thread of a worker.
    most = torch.get_num_threads() if rows.workers is HERE else 1
    while threads < min(most, len(source.counts)) and room > (threads + 1) * (each + rows.block_bytes):
        threads += 1
    return Effort(solver.dtype, min(columns, every), threads, threads * each)
