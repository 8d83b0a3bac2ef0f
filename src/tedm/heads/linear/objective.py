"""A ridge logistic regression in the variables of a solver that wants them all alike."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.linear.passes import center_and_variance
from tedm.heads.linear.stacks import Model, Sum
from tedm.store import IGNORE
from tedm.store.layout import Floats


@dataclass(frozen=True)
class Problem:
    """What is minimised: the loss on some images with one strength."""

    images: tuple[str, ...]
    strength: float
    present: NDArray[np.intp]
    row_weights: NDArray[np.float64]

    @property
    def outputs(self) -> int:
        """How many outputs it has: one for two classes, else one for each."""
        return 1 if len(self.present) == 2 else len(self.present)


class Scaled:
    """A problem in the solver's variables.

    These are weights of centred features of deviation one, whatever the penalty is on: of features as they are, a mean or a
    spread far from one costs thousands of passes. Weak features take their scale from the penalty.

    Parameters
    ----------
    problem : Problem
    moments : mapping
        Of each image: sums of its features and of their squares, and its labelled rows.
    standardize : bool
        Whether the penalty is on the weights of standardised features.
    """

    def __init__(self, problem: Problem, moments: Mapping[str, tuple[Floats, Floats, int]], standardize: bool) -> None:
        self.problem = problem
        self.center, variance, self.total = center_and_variance(moments, problem.images)
        scale = np.sqrt(variance if standardize else variance + problem.strength / self.total)
        self.scale = np.where(scale > 0, scale, 1.0)
        self._strength = problem.strength if standardize else problem.strength / self.scale[:, None] ** 2
        self._images = frozenset(problem.images)
        self._position = np.full(256, IGNORE, np.uint8)
        self._position[problem.present] = np.arange(len(problem.present))

    def model(self, point: NDArray[np.float64]) -> Model:
        """Return weights and intercepts for features as they are."""
        weights = self._weights(point) / self.scale[:, None]
        shift = point[-self.problem.outputs :] - self.center @ weights
        return Model(weights, shift, self._images, self._position, self.problem.row_weights)

    def objective(self, point: NDArray[np.float64], total: Sum) -> tuple[float, NDArray[np.float64]]:
        """Return value and gradient for a mean row, so that a tolerance means the same for one image and for many."""
        weights = self._weights(point)
        gradient = (total.gradient - np.outer(self.center, total.offset)) / self.scale[:, None] + self._strength * weights
        value = total.loss + 0.5 * float((self._strength * weights**2).sum())
        return value / self.total, np.concatenate([gradient.ravel(), total.offset]) / self.total

    def of_standardised_rows(self) -> Scaled:
        """Return the same problem for rows whose features have been centred and scaled as its are."""
        other = copy(self)
        other.center, other.scale = np.zeros_like(self.center), np.ones_like(self.scale)
        return other

    @property
    def penalty(self) -> float:
        """What the penalty curves the objective by along a weight, on average."""
        return float(np.mean(self._strength)) / self.total

    def _weights(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return point[: -self.problem.outputs].reshape(-1, self.problem.outputs)


def all_classes(coef: Floats, intercept: Floats, present: NDArray[np.intp], classes: int) -> tuple[Floats, Floats]:
    """Return weights for every class: those that no row shows get an intercept that leaves them nothing."""
    if len(present) == classes:
        return coef, intercept
    if len(present) == 2:  # one column for the second class; as a softmax, the first has logit zero
        coef, intercept = np.concatenate([0 * coef, coef]), np.concatenate([0 * intercept, intercept])
    all_coef, all_intercept = np.zeros((classes, coef.shape[1])), np.full(classes, -1e9)
    all_coef[present], all_intercept[present] = coef, intercept
    return all_coef, all_intercept
