"""What a ridge logistic regression makes of one timestep or level: classifiers on all training subsets, and their scores.

The experiment of appendix B of arXiv:2311.07421, for anybody's features. A probe's activations are read once for all subsets,
strengths and folds, which advance together; what it predicts is scored on every image of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear.selection import Job
from tedm.heads.linear.solver import Solver, solve
from tedm.heads.linear.source import Source
from tedm.heads.metrics.scores import score_each
from tedm.heads.probing.classifiers import Fit, opinions
from tedm.heads.probing.plan import MEASURES, Plan, Probe
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.heads.voting.vote import vote
from tedm.store import Block, Features, OnLevels

# Folds and passes of a fit. A single head has more: what matters here is the order of timesteps, at hundreds of fits.
FOLDS = 3
ITERATIONS = 300
TOLERANCE = 1e-4
# Bytes of a logit, its probabilities and what is made of them.
BYTES_PER_LOGIT = 40


@dataclass(frozen=True)
class FittedProbe:
    """A probe with the classifiers of all training subsets and their scores.

    Parameters
    ----------
    probe : Probe
    fits : tuple of Fit
        One for each subset of the plan.
    scores : array of shape (subsets, images, classes, 3)
        Dice, precision and recall in [0, 1], NaN for 0/0, of the images that were scored.
    """

    probe: Probe
    fits: tuple[Fit, ...]
    scores: NDArray[np.float64]


def compute_probe(features: Features, plan: Plan, probe: Probe, strengths: Sequence[float], memory: int | None) -> FittedProbe:
    """Fit a probe on every subset of a plan and score it on every image.

    Parameters
    ----------
    features : Features
    plan : Plan
    probe : Probe
        One of the plan's.
    strengths : sequence of float
        Penalties; of several, each fit takes the best of a cross-validation of its own images by group.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Raises
    ------
    BudgetError
        If the memory does not hold a fit, or the predictions on an image.
    """
    view: Features = features if probe.level is None else OnLevels(features, [probe.level])
    budget = Budget(memory)
    fits = _fits(view, probe, plan, strengths, budget)
    return FittedProbe(probe, fits, _scores(view, probe, fits, plan.scored, budget))


def _fits(features: Features, probe: Probe, plan: Plan, strengths: Sequence[float], budget: Budget) -> tuple[Fit, ...]:
    """Return the classifier of each subset; all are fitted together."""
    names = list(dict.fromkeys(name for subset in plan.subsets for name in subset.images))
    timesteps = None if probe.timestep is None else [probe.timestep]
    data = TrainingData(features, names, rows="share", timesteps=timesteps, memory=budget)
    source = Source.from_training_data(data)
    jobs = []
    for subset in plan.subsets:
        labelled = [name for name in subset.images if name in source.counts]
        jobs.append(Job.cross_validated(source, labelled, tuple(strengths), FOLDS))
    labels = np.arange(len(features.labels.classes))
    solver = Solver(labels, data.n_features, None, True, ITERATIONS, TOLERANCE, "float32")
    return tuple(
        Fit(one.coef, one.intercept, one.ridge, one.chosen_by, one.n_iter, one.converged) for one in solve(source, jobs, solver)
    )


def _scores(features: Features, probe: Probe, fits: Sequence[Fit], names: Sequence[str], budget: Budget) -> NDArray[np.float64]:
    """Return the measures of all classifiers on some images, of shape (fits, images, classes, 3)."""
    settings = features.settings
    timesteps = settings.timesteps if probe.timestep is None else (probe.timestep,)
    classes = len(features.labels.classes)
    rows = len(timesteps) * settings.draws * settings.image_size**2
    predicting = rows * sum(len(fit.intercept) for fit in fits) * BYTES_PER_LOGIT
    budget.require(predicting, f"the predictions of {len(fits)} probes on an image")

    def measures(block: Block) -> NDArray[np.float64]:
        masks = np.empty((len(fits), block.size**2), np.uint8)
        for mask, opinion in zip(masks, opinions(block, fits), strict=True):
            mask[:] = (opinion[0] if len(opinion) == 1 else vote(opinion)).argmax(axis=-1)
        return score_each(features.mask(block.name).ravel(), masks, classes).stacked(MEASURES)

    threads = max(1, min(torch.get_num_threads(), budget.left() // (2 * predicting)))
    scores = np.full((len(fits), len(names), classes, len(MEASURES)), np.nan)
    for at, image_scores in enumerate(each_in_a_thread(measures, features.blocks(names, timesteps), threads)):
        scores[:, at] = image_scores
    return scores
