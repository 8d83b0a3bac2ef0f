"""Which images and pixels a step of an MLP learns from.

Where memory does not hold all images that pixels are drawn from, those in the window take turns. Every draw is a function of
the seed and of a number, so that what is drawn does not depend on where a fit was interrupted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.heads.data.dataset import Labelled, TrainingData
from tedm.heads.data.rows import as_tensor, empty_by_place
from tedm.heads.data.sampling import BY_CLASS, draw, pixel_weights
from tedm.store import IGNORE

# What is drawn: another stream of random numbers for each.
ROWS, PIXELS, IMAGES, UNITS = range(4)
# Where memory holds some of the images, batches of pixels still meet each this often, at least.
PASSES = 2
# Pixels of several iterations that are drawn together: a step drives what draws them out of the processor's cache, and fetching
# it again takes thrice as long as drawing.
DRAWN_AT_ONCE = 8192


@dataclass(frozen=True)
class Drawn:
    """Pixels of one iteration, for all members.

    Parameters
    ----------
    where : three tensors of shape (pixels,)
        Slot in the window, y and x of each.
    labels : tensor of shape (pixels,)
        Class indices, int64.
    """

    where: tuple[Tensor, Tensor, Tensor]
    labels: Tensor


@dataclass(frozen=True)
class Batches:
    """How an MLP's batches are made; see the arguments of `MLPHead`."""

    kind: Literal["pixels", "images"]
    members: int
    pixels_per_batch: int
    images_per_batch: int
    iterations: int
    seed: int

    def images_at_once(self, images: int) -> int:
        """Return how many whole images a batch has, where there are so many in all."""
        return min(self.images_per_batch, images)

    def whole_images(self, data: TrainingData, names: Sequence[str], iteration: int) -> list[str]:
        """Return a part of the epoch's permutation of all images, in the features' order."""
        at_once = self.images_at_once(len(names))
        epoch, batch = divmod(iteration, len(names) // at_once)
        order = draw(self.seed, IMAGES, epoch).permutation(len(names))
        chosen = [names[index] for index in order[batch * at_once : (batch + 1) * at_once]]
        return sorted(chosen, key=data.features.labels.index)

    def windows(
        self,
        data: TrainingData,
        names: Sequence[str],
        *,
        images: int,
        start: int,
        device: str,
        dtype: torch.dtype | None = None,
    ) -> Generator[tuple[Window, range]]:
        """Yield windows, each with the iterations that see it, from `start` to the last: the same object, whose images change.

        Parameters
        ----------
        data, names
            Images to draw pixels from.
        images : int
            How many are in memory at a time.
        start : int
            The first iteration.
        device : str
            Where the cells are to be.
        dtype : torch.dtype or None
            Their type; None keeps the store's.
        """
        every = self._turn_every(data, names)
        past = start // every if images < len(names) else 0
        # Image p of the stream lies in slot p % images: the one that it replaces is the oldest.
        window = Window(images, data, device, dtype)
        working = images * data.block_bytes
        for position, labelled in enumerate(data.read(self._stream(names, past, images), working=working, keep=False), past):
            window.put(position % images, labelled)
            del labelled
        if images == len(names):
            yield window, range(start, self.iterations)
            return
        turns = (self.iterations - 1) // every
        coming = data.read(self._stream(names, past + images, turns - past), keep=False)
        with contextlib.closing(coming):  # type: ignore[type-var]
            yield window, range(start, min(self.iterations, (past + 1) * every))
            for turn in range(past + 1, turns + 1):
                window.put((turn - 1) % images, next(coming))
                yield window, range(turn * every, min(self.iterations, (turn + 1) * every))

    def drawn(
        self,
        data: TrainingData,
        names: Sequence[str],
        *,
        images: int,
        start: int,
        device: str,
        dtype: torch.dtype | None = None,
    ) -> Generator[tuple[Window, Drawn]]:
        """Yield the window of each iteration from `start` to the last, and what is drawn from it; see `windows`."""
        windows = self.windows(data, names, images=images, start=start, device=device, dtype=dtype)
        at_once = max(1, DRAWN_AT_ONCE // (self.members * self.pixels_per_batch))
        with contextlib.closing(windows):
            for window, iterations in windows:
                for first in iterations[::at_once]:
                    together = range(first, min(first + at_once, iterations.stop))
                    for drawn in [self._drawn(window, iteration) for iteration in together]:
                        yield window, drawn

    def _drawn(self, window: Window, iteration: int) -> Drawn:
        image, pixel = window.draw(draw(self.seed, PIXELS, iteration), self.members * self.pixels_per_batch)
        labels = window.masks[image, pixel].to(torch.long)
        image, pixel = image.to(window.device), pixel.to(window.device)
        return Drawn((image, pixel // window.size, pixel % window.size), labels.to(window.device))

    def _stream(self, names: Sequence[str], start: int, count: int) -> list[str]:
        """Return a part of the endless stream of permutations of the images."""
        out: list[str] = []
        for epoch in range(start // len(names), (start + max(count, 0) - 1) // len(names) + 1):
            out += [names[index] for index in draw(self.seed, IMAGES, epoch).permutation(len(names))]
        return out[start % len(names) :][: max(count, 0)]

    def _turn_every(self, data: TrainingData, names: Sequence[str]) -> int:
        """Return the iterations between two turns: a pass over the pixels is one over the images, or there are `PASSES`."""
        pixels = sum(data.labelled_pixels(name) for name in names) // len(names)
        return max(1, min(pixels // self.pixels_per_batch, self.iterations // (PASSES * len(names))))


class Window:
    """Images in memory that pixels are drawn from: they lie where those before lay.

    Parameters
    ----------
    images : int
        How many at a time.
    data : TrainingData
    device : str
        Where the cells are; masks and draws stay with the processor.
    dtype : torch.dtype or None
        Type of the cells; None keeps the store's.
    """

    def __init__(self, images: int, data: TrainingData, device: str, dtype: torch.dtype | None = None) -> None:
        pixels = data.features.settings.image_size**2
        self.cells: list[Tensor] = []
        self.masks = torch.full((images, pixels), IGNORE, dtype=torch.uint8)
        self.device, self.size = device, data.features.settings.image_size
        self._images, self._dtype = images, dtype
        self._sampling = data.sampling
        self._counts = data.class_counts() if data.sampling in BY_CLASS else None
        self._pixels = np.zeros((images, pixels), np.int32)  # the labelled ones of each image, from the left
        self._totals = np.zeros(images)  # their weights: number, where all weigh the same
        self._cumulative: list[NDArray[np.float64]] = [np.zeros(0)] * images

    def put(self, slot: int, labelled: Labelled) -> None:
        """Replace an image."""
        cells = [as_tensor(level) for level in labelled.block.cells]
        if self._dtype is not None:  # by way of float32: torch is ten times as slow from one type of 16 bits to another
            cells = [level.to(torch.float32).to(self._dtype) for level in cells]
        if not self.cells:
            self.cells = [empty_by_place(self._images, level, self.device) for level in cells]
        for tensor, level in zip(self.cells, cells, strict=True):
            tensor[slot] = level
        mask = labelled.mask
        self.masks[slot] = as_tensor(mask).flatten()
        chosen = np.flatnonzero(mask.ravel() != IGNORE)
        self._pixels[slot, : len(chosen)] = chosen
        self._totals[slot] = len(chosen)
        if self._sampling != "uniform":
            self._cumulative[slot] = np.cumsum(pixel_weights(mask, self._sampling, self._counts).ravel()[chosen])
            self._totals[slot] = self._cumulative[slot][-1]

    def draw(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Draw labelled pixels by their weights, with replacement: slots, and positions in the flattened image."""
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
