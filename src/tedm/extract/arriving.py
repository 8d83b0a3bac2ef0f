"""Activations of a batch on their way into the cells of their images.

A batch holds entries of several images, and an image may have entries in two. Cells are opened when an image's first entry is
put into a batch, and filled as batches arrive.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.store import FeatureSettings
from tedm.store.layout import Floats, finite
from tedm.store.settings import StorageType


@dataclass(frozen=True)
class Computed:
    """One image and what the backbone made of it.

    Parameters
    ----------
    name : str
        The image.
    image : array of shape (size, size, channels)
        The square that the backbone saw, in [0, 1].
    cells : list of arrays of shape (timesteps, draws, side, side, channels)
        One for each level, in the type that was asked for.
    """

    name: str
    image: NDArray[np.float32]
    cells: list[Floats]


@dataclass
class Opened:
    """An image whose cells are being filled.

    Parameters
    ----------
    computed : Computed
        What is handed over once nothing is missing.
    rows : list of Tensor of shape (entries, side, side, channels)
        The cells of each level in the order of the entries: the same memory, pinned beside a GPU.
    left : int
        Entries that are missing.
    """

    computed: Computed
    rows: list[Tensor]
    left: int

    @classmethod
    def of(
        cls,
        name: str,
        image: NDArray[np.float32],
        settings: FeatureSettings,
        timesteps: int,
        dtype: StorageType,
        device: str,
    ) -> Opened:
        """Open an image at so many timesteps."""
        shapes = [
            (timesteps, settings.draws, settings.side(level), settings.side(level), level.channels) for level in settings.levels
        ]
        if device == "cuda":  # pinned memory is taken once, since each taking of it costs as much as copying a level
            sizes = [math.prod(shape) for shape in shapes]
            together = torch.split(torch.empty(sum(sizes), dtype=getattr(torch, dtype), pin_memory=True), sizes)
            cells = [part.view(shape).numpy() for part, shape in zip(together, shapes, strict=True)]
        else:
            cells = [np.empty(shape, dtype) for shape in shapes]
        rows = [torch.from_numpy(level).flatten(0, 1) for level in cells]
        return cls(Computed(name, image, cells), rows, timesteps * settings.draws)


@dataclass(frozen=True)
class Place:
    """Where neighbours in a batch go: all of one image's entries in it, which are neighbours in its cells, too.

    Parameters
    ----------
    first : int
        The first of them in the batch.
    rows : list of Tensor of shape (entries, side, side, channels)
        What they fill, a part of an image's rows, level by level.
    """

    first: int
    rows: list[Tensor]

    @property
    def entries(self) -> slice:
        """Which entries of the batch these are."""
        return slice(self.first, self.first + len(self.rows[0]))


class Arriving:
    """A batch's levels on their way into the cells of their images, channels last and in the cells' type.

    On a GPU they take that type there, and are copied by a stream of their own, which waits for those that compute and makes
    nobody wait; on a CPU they are there at once.

    Parameters
    ----------
    levels : sequence of Tensor of shape (entries, channels, side, side)
        Kept, with their memory, until they have arrived.
    places : sequence of Place
        For all of the entries; pinned memory beside a GPU.
    """

    def __init__(self, levels: Sequence[Tensor], places: Sequence[Place]) -> None:
        self._levels, self._places = levels, places
        self._fits: Tensor | None = None
        self._event = None
        if levels[0].device.type != "cuda":
            for at, level in enumerate(levels):
                self._copy(at, level.permute(0, 2, 3, 1))  # to their type on the way: one pass over the numbers
            return
        stream = _copying(levels[0].device)
        stream.wait_stream(torch.cuda.current_stream(levels[0].device))
        with torch.cuda.stream(stream):
            fits = []
            for at, level in enumerate(levels):
                pixels = level.permute(0, 2, 3, 1).to(places[0].rows[at].dtype).contiguous()
                fits.append(pixels.isfinite().all())
                self._copy(at, pixels)
            self._fits = torch.empty(len(levels), dtype=torch.bool, pin_memory=True)
            self._fits.copy_(torch.stack(fits), non_blocking=True)
        self._event = stream.record_event()

    def wait(self) -> None:
        """Wait until all is there: whoever lets go of the cells before leaves a copy that writes into the memory of others."""
        if self._event is not None:
            self._event.synchronize()

    def misfits(self) -> Iterator[tuple[int, int, Floats]]:
        """Wait until all is there; yield the level, the entry of the batch and the numbers of what is not finite in float16."""
        self.wait()
        if self._fits is not None and bool(self._fits.all()):
            return
        for level, numbers in enumerate(self._levels):
            for place in self._places:
                for entry, kept in enumerate(place.rows[level], place.first):
                    if kept.dtype == torch.float16 and not finite(kept.numpy()):
                        yield level, entry, numbers[entry].float().cpu().numpy()

    def _copy(self, level: int, pixels: Tensor) -> None:
        for place in self._places:
            place.rows[level].copy_(pixels[place.entries], non_blocking=True)


def places_of(batch: Sequence[tuple[int, int]], open_images: Mapping[int, Opened]) -> list[Place]:
    """Return where the entries of a batch go.

    Parameters
    ----------
    batch : sequence of (int, int)
        The number of each entry's image, and which of its entries it is.
    open_images : mapping of int to Opened
        These images by their numbers.
    """
    places, first = [], 0
    for number, of_image in itertools.groupby(batch, key=lambda entry: entry[0]):
        entries = [entry for _, entry in of_image]
        places.append(Place(first, [rows[entries[0] : entries[-1] + 1] for rows in open_images[number].rows]))
        first += len(entries)
    return places


@functools.cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The stream that copies: one for all batches, whose memory is then taken again by the next."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
