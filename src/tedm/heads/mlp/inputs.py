"""Mean and deviation of the training images' features, from their cells: what a network is trained on can be made alike."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.heads.data.dataset import TrainingData


def input_statistics(data: TrainingData, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Return what brings features to the mean 0 and the deviation 1, in one pass over the images.

    Parameters
    ----------
    data : TrainingData
        All pixels of its images count, with a label or without.
    device : str
        Where the result is to be.

    Returns
    -------
    offset, factor : tensors of shape (features,), float32
        Standardised is (feature - offset) * factor. A feature that is the same everywhere has the factor 1.
    """
    moments = np.zeros((2, data.n_features))
    for labelled in data.read(data.names):
        cells = [level.astype(np.float64) for level in labelled.block.cells]
        means = [[level.mean(axis=(1, 2, 3)), np.square(level).mean(axis=(1, 2, 3))] for level in cells]
        moments += [_joined([level[moment] for level in means], data.rows) for moment in (0, 1)]
    mean, square = moments / len(data.names)
    variance = np.maximum(square - mean**2, 0)
    # what the rounding of large means leaves is no deviation
    constant = variance <= 1e-12 * (mean**2)
    deviation = np.sqrt(np.where(constant, 1.0, variance))
    offset, factor = (torch.from_numpy(values.astype(np.float32)).to(device) for values in (mean, 1 / deviation))
    return offset, factor


def row_statistics(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same of rows in memory, a tensor of shape (rows, features)."""
    deviation = rows.std(dim=0, correction=0)
    return rows.mean(dim=0), 1 / torch.where(deviation > 0, deviation, 1)


def _joined(levels: list[NDArray[np.float64]], rows: str) -> NDArray[np.float64]:
    """Return values of shape (timesteps, channels) of each level as those of a row's features, in their order."""
    together = np.concatenate(levels, axis=1)
    return together.mean(axis=0) if rows == "share" else together.ravel()
