"""The classifiers of a probe, one for each training subset, and what they think of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.design import BlockDesign
from tedm.heads.linear.logistic import class_probabilities
from tedm.store import Block
from tedm.store.layout import Floats


@dataclass(frozen=True)
class Fit:
    """A ridge logistic regression on one training subset.

    Parameters
    ----------
    coef : array of shape (outputs, channels), intercept : array of shape (outputs,)
        The classifier.
    ridge : float
        The strength that was taken.
    chosen_by : str
        How it was found, in words.
    iterations : int
    converged : bool
        Of the solver.
    """

    coef: Floats
    intercept: Floats
    ridge: float
    chosen_by: str
    iterations: int
    converged: bool


def opinions(block: Block, fits: Sequence[Fit]) -> Iterator[NDArray[np.float64]]:
    """Yield what each of some classifiers on the same features thinks of a block.

    Yields
    ------
    array of shape (voters, pixels, classes)
        Probabilities; voters are timesteps x draws.
    """
    logits = BlockDesign(block, "share").matmat(np.concatenate([fit.coef for fit in fits]).T)
    first = 0
    for fit in fits:
        outputs = len(fit.intercept)
        own = logits[:, first : first + outputs].astype(np.float64) + fit.intercept
        yield class_probabilities(own).reshape(-1, block.size**2, max(2, outputs))
        first += outputs
