"""Cross-entropies of rows under linear models, and their derivatives by the logits.

Models of two classes that want the same of the same rows are computed side by side: what a row costs is then arithmetic in a
cache, and not the calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.store import IGNORE

# Bytes of logits that are worked on at once: they and what is made of them stay in a cache.
PART_BYTES = 2**18


@dataclass(frozen=True)
class Aim:
    """What rows should give: computed once for all models and parts that want the same.

    Parameters
    ----------
    position : array of shape (rows,)
        Of the true class among the outputs (0 or 1 for one output); anything where a row does not count.
    weights : array of shape (rows,)
        What each row counts; 0 where it does not.
    total : float
        Sum of the weights.
    """

    position: NDArray[np.intp]
    weights: NDArray[np.float64]
    total: float

    @classmethod
    def from_labels(
        cls,
        labels: NDArray[np.uint8],
        position: NDArray[np.uint8],
        row_weights: NDArray[np.float64],
        counts: NDArray[np.int64] | None = None,
    ) -> Aim:
        """Take class indices, the output of each class, what each class counts, and how often each row is there."""
        at = position[labels]
        weights = row_weights[labels] * (at != IGNORE)
        if counts is not None:
            weights *= counts
        return cls(np.where(at == IGNORE, 0, at).astype(np.intp), weights, float(weights.sum()))


def two_classes(logits: NDArray[np.float64], aim: Aim) -> NDArray[np.float64]:
    """Return weighted losses of models with one output each; the logits are overwritten with the weighted derivatives.

    Parameters
    ----------
    logits : array of shape (rows, models)
    aim : Aim
        The same for all.

    Returns
    -------
    array of shape (models,)
        Sums over the rows.
    """
    rows, models = logits.shape
    losses = np.zeros(models)
    at_once = max(1, PART_BYTES // (8 * models))
    for start in range(0, rows, at_once):
        part = slice(start, start + at_once)
        column = torch.from_numpy(logits[part])  # several times faster than NumPy at these functions
        truth = torch.from_numpy(aim.position[part, None])
        weights = aim.weights[part]
        each = column.abs().neg_().exp_().log1p_().add_(column.clamp(min=0)).addcmul_(column, truth, value=-1)
        losses += weights @ each.numpy()
        column.sigmoid_().sub_(truth).mul_(torch.from_numpy(weights[:, None]))
    return losses


def many_classes(logits: NDArray[np.float64], aim: Aim) -> float:
    """Return the loss of a model with an output for each class; the logits, of shape (rows, classes), become derivatives."""
    # A row a class: few classes make short rows, over which everything is slow.
    columns = torch.from_numpy(logits).T.contiguous()
    own = torch.from_numpy(aim.position)[None]
    true = columns.gather(0, own)[0]
    largest = columns.amax(dim=0)
    columns.sub_(largest).exp_()
    total = columns.sum(dim=0)
    loss = total.log().add_(largest).sub_(true)
    weights = torch.from_numpy(aim.weights)
    columns.mul_(weights / total)
    columns.scatter_add_(0, own, -weights[None])
    logits[:] = columns.numpy().T
    return float(aim.weights @ loss.numpy())
