"""Which images a step learns from: whole ones, by an endless stream of permutations of all of them.

Every draw is a function of the seed and of a number, so that what is drawn does not depend on where a fit was interrupted, nor
on how many images memory holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import as_tensor
from tedm.heads.data.sampling import draw
from tedm.store import IGNORE

# What is drawn; `tedm.heads.unet.training` has another stream of random numbers.
IMAGES = 0


class Pictures:
    """Images with their masks as tensors: in memory where the budget keeps them, else read for every batch.

    Parameters
    ----------
    data : TrainingData
        Its budget decides.
    """

    def __init__(self, data: TrainingData) -> None:
        self.data = data
        self.names = [name for name in data.names if (data.masks[name] != IGNORE).any()]
        settings = data.features.settings
        self.held = len(self.names) * settings.image_size**2 * settings.image_channels * 4
        if not data.budget.keep(self.held):
            self.held = 0
        self._images = [self._read(name) for name in self.names] if self.held else None

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return images of shape (n, channels, size, size) in [0, 1] and labels of shape (n, size, size), int64."""
        images = [self._read(self.names[index]) if self._images is None else self._images[index] for index in chosen]
        labels = [as_tensor(self.data.masks[self.names[index]]).long() for index in chosen]
        return torch.stack(images), torch.stack(labels)

    def digest(self) -> int:
        """Return a checksum of images and masks."""
        crc = 0
        for index, name in enumerate(self.names):
            image = self._read(name) if self._images is None else self._images[index]
            crc = zlib.crc32(self.data.masks[name].tobytes(), zlib.crc32(image.numpy().tobytes(), crc))
        return crc

    def give_back(self) -> None:
        """Let go of what is in memory."""
        self._images = None
        self.data.budget.give_back(self.held)
        self.held = 0

    def _read(self, name: str) -> Tensor:
        return image_tensor(self.data.features.image(name))


def image_tensor(image: np.ndarray) -> Tensor:
    """Return an image of shape (size, size, channels) as a tensor of shape (channels, size, size)."""
    return as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))


def images_of_step(seed: int, iteration: int, batch: int, images: int) -> list[int]:
    """Return the indices of the images that a step learns from.

    Parameters
    ----------
    seed, iteration : int
    batch : int
        How many; more than there are take some of them again.
    images : int
        How many there are.
    """
    places = range(iteration * batch, (iteration + 1) * batch)
    order = {epoch: draw(seed, IMAGES, epoch).permutation(images) for epoch in {place // images for place in places}}
    return [int(order[place // images][place % images]) for place in places]
