"""What a ridge logistic regression makes of one timestep or level: fits on all training subsets, and their scores.

The experiment of appendix B of arXiv:2311.07421, for anybody's features. A probe's activations are read once for all subsets,
strengths and folds, which advance together; what it predicts is scored on every image of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import BlockDesign
from tedm.heads.linear.logistic import class_probabilities
from tedm.heads.linear.selection import Job
from tedm.heads.linear.solver import Solver, solve
from tedm.heads.linear.source import Source
from tedm.heads.metrics.scores import score_each
from tedm.heads.probing.plan import Plan, Probe
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.heads.voting.vote import vote
from tedm.store import Block, Features, OnLevels
from tedm.store.layout import Floats

METRICS = ("dice", "precision", "recall")

# Fewer strengths and folds than a single head tries: what matters here is the order of timesteps, at hundreds of fits.
STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
FOLDS = 3
ITERATIONS = 300
TOLERANCE = 1e-4
# Bytes of a logit, its probabilities and what is made of them.
BYTES_PER_LOGIT = 40


@dataclass(frozen=True)
class Fit:
    """One probe on one subset.

    Parameters
    ----------
    coef : array of shape (outputs, channels), intercept : array of shape (outputs,)
        The classifier.
    ridge, chosen_by
        The strength that was taken, and how it was found.
    iterations, converged
        Of the solver.
    """

    coef: Floats
    intercept: Floats
    ridge: float
    chosen_by: str
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Probed:
    """All fits of one probe.

    Parameters
    ----------
    probe : Probe
    fits : tuple of Fit
        One for each subset.
    scores : array of shape (subsets, images, classes, 3)
        Dice, precision and recall in [0, 1], NaN for 0/0, of the images that were scored.
    """

    probe: Probe
    fits: tuple[Fit, ...]
    scores: NDArray[np.float64]


def compute_probe(features: Features, plan: Plan, probe: Probe, ridge: Sequence[float], memory: int | None) -> Probed:
    """Fit a probe on every subset of a plan and score it on every image; see `tedm.heads.probing.run` for the arguments."""
    view: Features = features if probe.level is None else OnLevels(features, [probe.level])
    budget = Budget(memory)
    fits = _fit(view, probe, plan, ridge, budget)
    return Probed(probe, fits, _score(view, probe, fits, plan.scored, budget))


def opinions(block: Block, fits: Sequence[Fit]) -> Iterator[NDArray[np.float64]]:
    """What classifiers on the same features think of a block: for each, probabilities of shape (voters, pixels, classes)."""
    weights = np.concatenate([fit.coef for fit in fits]).T
    design = BlockDesign(block, "share")
    logits = design.matmat(weights)
    first = 0
    for fit in fits:
        outputs = len(fit.intercept)
        own = logits[:, first : first + outputs].astype(np.float64) + fit.intercept
        yield class_probabilities(own).reshape(-1, block.size**2, max(2, outputs))
        first += outputs


def _fit(features: Features, probe: Probe, plan: Plan, ridge: Sequence[float], budget: Budget) -> tuple[Fit, ...]:
    names = list(dict.fromkeys(name for subset in plan.subsets for name in subset.images))
    timesteps = None if probe.timestep is None else [probe.timestep]
    data = TrainingData(features, names, rows="share", timesteps=timesteps, memory=budget)
    source = Source.of(data)
    jobs = []
    for subset in plan.subsets:
        labelled = [name for name in subset.images if name in source.counts]
        jobs.append(Job.cross_validated(source, labelled, tuple(ridge), FOLDS))
    labels = np.arange(len(features.labels.classes))
    solver = Solver(labels, data.n_features, None, True, ITERATIONS, TOLERANCE, "float32")
    return tuple(
        Fit(one.coef, one.intercept, one.ridge, one.chosen_by, one.n_iter, one.converged) for one in solve(source, jobs, solver)
    )


def _score(features: Features, probe: Probe, fits: Sequence[Fit], names: Sequence[str], budget: Budget) -> NDArray[np.float64]:
    """Shape (fits, images, classes, 3)."""
    settings = features.settings
    timesteps = settings.timesteps if probe.timestep is None else (probe.timestep,)
    classes = len(features.labels.classes)
    rows = len(timesteps) * settings.draws * settings.image_size**2
    outputs = sum(len(fit.intercept) for fit in fits)
    budget.require(rows * outputs * BYTES_PER_LOGIT, f"the predictions of {len(fits)} probes on an image")
    scores = np.full((len(fits), len(names), classes, len(METRICS)), np.nan)

    def of(numbered: tuple[int, Block]) -> tuple[int, NDArray[np.float64]]:
        at, block = numbered
        masks = np.empty((len(fits), block.size**2), np.uint8)
        for mask, opinion in zip(masks, opinions(block, fits), strict=True):
            mask[:] = (opinion[0] if len(opinion) == 1 else vote(opinion)).argmax(axis=-1)
        found = score_each(features.mask(block.name).ravel(), masks, classes)
        return at, np.stack([found.dice, found.precision, found.recall], axis=-1)

    threads = max(1, min(torch.get_num_threads(), budget.left() // (2 * rows * outputs * BYTES_PER_LOGIT)))
    for at, found in each_in_a_thread(of, enumerate(features.blocks(names, timesteps)), threads):
        scores[:, at] = found
    return scores
