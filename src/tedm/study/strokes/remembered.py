"""Features whose blocks stay in memory: the second look at an image costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.store import Block, Features
from tedm.store.features import Views

MOST = 2**30  # bytes of blocks


class Remembered:
    """Some features with those of their blocks that were asked for last; see `tedm.store.Features`.

    Parameters
    ----------
    features : Features
        A store, or a backbone that computes.
    most : int
        Bytes of blocks that are kept; at least one block is.
    """

    def __init__(self, features: Features, most: int = MOST) -> None:
        self.whole = features
        self.settings, self.arithmetic, self.storage = features.settings, features.arithmetic, features.storage
        self.labels = features.labels
        self._most = most
        self._blocks: OrderedDict[tuple[str, tuple[int, ...], tuple[str, ...] | None], Block] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def reads_ahead(self) -> bool:
        """Blocks that are in memory need no other thread."""
        return False

    @property
    def chunk_channels(self) -> int:
        """Length of the vectors that are read."""
        return self.whole.chunk_channels

    def views(self) -> Views | None:
        """Return the views of the features."""
        return self.whole.views()

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return self.whole.image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        return self.whole.mask(name)

    def has(self, name: str) -> bool:
        """Whether a block of this image is in memory."""
        with self._lock:
            return any(key[0] == name for key in self._blocks)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order; what was asked for before is not read or computed again."""
        wanted = self.settings.timesteps if timesteps is None else tuple(timesteps)
        for name in names:
            key = name, tuple(sorted(wanted)), None if levels is None else tuple(levels)
            with self._lock:
                block = self._blocks.get(key)
                if block is not None:
                    self._blocks.move_to_end(key)
            if block is None:
                (block,) = self.whole.blocks([name], wanted, levels)
                with self._lock:
                    self._blocks[key] = block
                    while len(self._blocks) > 1 and sum(each.nbytes for each in self._blocks.values()) > self._most:
                        self._blocks.popitem(last=False)
            yield block.at(wanted)
