"""What a look at the validation images finds: the loss that decides when to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout, row_labels
from tedm.store import IGNORE, Block


def mean_loss(opinions: Callable[[Block, RowLayout], NDArray[np.float32]], data: TrainingData) -> float:
    """Return the mean cross-entropy over all labelled rows and members.

    Parameters
    ----------
    opinions : callable (block, rows)
        Gives probabilities of shape (members, rows, classes).
    data : TrainingData
        The images to look at.
    """
    total, count = 0.0, 0
    for labelled in data:
        found = opinions(labelled.block, data.rows)
        labels = row_labels(labelled.mask, len(labelled.block.timesteps), labelled.block.draws, data.rows)
        used = np.flatnonzero(labels != IGNORE)
        own = found[:, used, labels[used]]
        total -= float(np.log(np.maximum(own, 1e-12), dtype=np.float64).mean(axis=0).sum())
        count += len(used)
    return total / count
