"""What a head is fitted on: images of some features, their labels, and the rows that these become.

Blocks are read again for every pass; those that fit the memory budget stay in memory. Pixels without a label, and pixels that
were not drawn where only some an image are wanted, are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.algebra import BlockDesign
from tedm.heads.rows import RowLayout, row_labels
from tedm.store import IGNORE, Block, Features


@dataclass(frozen=True)
class Labelled:
    """One image to learn from.

    Parameters
    ----------
    block : Block
        Its activations.
    mask : array of shape (size, size)
        Class indices; `IGNORE` where a pixel is not used.
    """

    block: Block
    mask: NDArray[np.uint8]


class TrainingData:
    """Labelled images of some features; iterating makes one pass over them.

    Parameters
    ----------
    features : Features
        Activations and masks.
    names : sequence of str
        The images, each with at least one labelled pixel.
    rows : {"share", "concatenate"}
        How activations become rows.
    timesteps : sequence of int or None
        None takes all.
    pixels_per_image : int or None
        Labelled pixels that are used of each image, drawn at random; None takes all.
    seed : int
        Of that draw.
    memory : int or None
        Bytes of activations that may stay in memory between passes; None takes half of what is free.

    Raises
    ------
    TedmError
        If no pixel has a label, or all have the same.
    """

    def __init__(
        self,
        features: Features,
        names: Sequence[str],
        *,
        rows: RowLayout,
        timesteps: Sequence[int] | None = None,
        pixels_per_image: int | None = None,
        seed: int = 0,
        memory: int | None = None,
    ) -> None:
        self.features = features
        self.names = list(names)
        self.rows: RowLayout = rows
        self.timesteps = features.settings.timesteps if timesteps is None else tuple(timesteps)
        self.classes = features.labels.classes
        self.memory = psutil.virtual_memory().available // 2 if memory is None else memory
        self.masks = {name: _drawn(features.mask(name), pixels_per_image, seed, name) for name in self.names}
        self._kept: dict[str, Block] = {}
        self._kept_bytes = 0
        present = self.class_counts()
        if not present.any():
            raise TedmError(f"no pixel of these {len(self.names)} images has a label; add masks with tedm-label STORE MANIFEST")
        if (present > 0).sum() < 2:
            only = self.classes[int(present.argmax())]
            raise TedmError(
                f"all labelled pixels of these {len(self.names)} images have one class (mask value {only}); "
                "a head needs at least two: add images or labels that show another"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Labelled]:
        """One pass, image by image, in order."""
        kept = dict(self._kept)  # as it is now: another pass may add to it while this one is under way
        fresh = self.features.blocks([name for name in self.names if name not in kept], self.timesteps)
        for name in self.names:
            block = kept.get(name)
            if block is None:
                block = next(fresh)
                if name not in self._kept and self._kept_bytes + block.nbytes <= self.memory:
                    self._kept[name] = block
                    self._kept_bytes += block.nbytes
            yield Labelled(block, self.masks[name])

    def read(self, names: Sequence[str]) -> Iterator[Labelled]:
        """Some of the images, in the order asked for, past the memory."""
        for block in self.features.blocks(names, self.timesteps):
            yield Labelled(block, self.masks[block.name])

    def designs(self, dtype: str) -> Iterator[tuple[BlockDesign, NDArray[np.uint8]]]:
        """One pass of design matrices and row labels, for linear solvers."""
        for labelled in self:
            block = labelled.block
            labels = row_labels(labelled.mask, len(block.timesteps), block.draws, self.rows)
            yield BlockDesign(block, self.rows, dtype), labels

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return self.features.settings.channels * (1 if self.rows == "share" else len(self.timesteps))

    def class_counts(self) -> NDArray[np.int64]:
        """Labelled pixels of each class."""
        counts = np.zeros(256, np.int64)
        for mask in self.masks.values():
            counts += np.bincount(mask.ravel(), minlength=256)
        return counts[: max(len(self.classes), 1)]


def _drawn(mask: NDArray[np.uint8], pixels: int | None, seed: int, name: str) -> NDArray[np.uint8]:
    """The mask with all but some random labelled pixels ignored; the draw depends on the seed and the name alone."""
    if pixels is None:
        return mask
    if pixels < 1:
        raise TedmError(f"--pixels-per-image is {pixels}; it must be at least 1")
    labelled = np.flatnonzero(mask.ravel() != IGNORE)
    order = np.random.default_rng([seed, *name.encode()]).random(len(labelled)).argsort(kind="stable")
    drawn = np.full(mask.size, IGNORE, np.uint8)
    chosen = labelled[order[:pixels]]
    drawn[chosen] = mask.ravel()[chosen]
    return drawn.reshape(mask.shape)
