"""Images in memory that random pixels are drawn from.

Where memory does not hold all images, those in the window take turns. Every draw is a function of the seed and of a number, so
that what is drawn does not depend on where a fit was interrupted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.heads.data.dataset import Labelled, TrainingData
from tedm.heads.data.rows import as_tensor
from tedm.heads.data.sampling import pixel_weights
from tedm.store import IGNORE

# What is drawn: another stream of random numbers for each.
ROWS, PIXELS, IMAGES = range(3)


def draw(seed: int, what: int, number: int) -> np.random.Generator:
    """Random numbers of an iteration or an epoch."""
    return np.random.default_rng([seed % 2**64, what, number])


class Window:
    """Images in memory that pixels are drawn from: they lie where those before lay, in the store's type.

    Parameters
    ----------
    images : int
        How many at a time.
    data : TrainingData
    device : str
        Where the cells are; masks and draws stay with the processor.
    """

    def __init__(self, images: int, data: TrainingData, device: str) -> None:
        pixels = data.features.settings.image_size**2
        self.cells: list[Tensor] = []
        self.masks = torch.full((images, pixels), IGNORE, dtype=torch.uint8)
        self._images, self._device = images, device
        self._sampling = data.sampling
        self._counts = data.class_counts() if data.sampling == "balanced" else None
        self._pixels = np.zeros((images, pixels), np.int32)  # the labelled ones of each image, from the left
        self._totals = np.zeros(images)  # their weights: number, where all weigh the same
        self._cumulative: list[NDArray[np.float64]] = [np.zeros(0)] * images

    def put(self, slot: int, labelled: Labelled) -> None:
        """Replace an image."""
        if not self.cells:
            self.cells = [
                torch.empty((self._images, *level.shape), dtype=as_tensor(level).dtype, device=self._device)
                for level in labelled.block.cells
            ]
        for tensor, level in zip(self.cells, labelled.block.cells, strict=True):
            tensor[slot] = as_tensor(level)
        mask = labelled.mask
        self.masks[slot] = as_tensor(mask).flatten()
        chosen = np.flatnonzero(mask.ravel() != IGNORE)
        self._pixels[slot, : len(chosen)] = chosen
        self._totals[slot] = len(chosen)
        if self._sampling != "uniform":
            self._cumulative[slot] = np.cumsum(pixel_weights(mask, self._sampling, self._counts).ravel()[chosen])
            self._totals[slot] = self._cumulative[slot][-1]

    def draw(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """So many labelled pixels by their weights, with replacement: slots and positions in the flattened image."""
        edges = np.cumsum(self._totals)
        if self._sampling == "uniform":
            drawn: NDArray[Any] = random.integers(int(edges[-1]), size=count)
        else:
            drawn = random.random(count) * edges[-1]
        slots = np.searchsorted(edges, drawn, side="right").clip(max=self._images - 1)
        places = drawn - (edges - self._totals)[slots]
        if self._sampling != "uniform":
            for slot in np.unique(slots):
                here, cumulative = slots == slot, self._cumulative[slot]
                places[here] = np.searchsorted(cumulative, places[here], side="right").clip(max=len(cumulative) - 1)
        return torch.from_numpy(slots), torch.from_numpy(self._pixels[slots, places.astype(np.intp)].astype(np.int64))
