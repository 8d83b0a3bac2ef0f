"""What an image is like: its mean activations, taken while its block passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.store import Arithmetic, Block, Features, FeatureSettings, Labels, Storage, Views


def descriptor(block: Block) -> NDArray[np.float32]:
    """Return the mean activation of each channel over the image, the timesteps and the draws, of shape (channels,)."""
    return np.concatenate([level.mean(axis=(0, 1, 2, 3), dtype=np.float32) for level in block.cells])


class DescribingFeatures:
    """Features that describe each image whose block passes, so that no block is read for its descriptor alone.

    Parameters
    ----------
    features : Features
        Whose blocks they are.
    descriptors : array of shape (images, channels)
        Takes the descriptors of the images of a pass, in the order in which they are asked for.
    """

    def __init__(self, features: Features, descriptors: NDArray[np.float32]) -> None:
        self._features = features
        self.descriptors = descriptors

    @property
    def settings(self) -> FeatureSettings:
        """What the features are."""
        return self._features.settings

    @property
    def arithmetic(self) -> Arithmetic:
        """How they were computed."""
        return self._features.arithmetic

    @property
    def storage(self) -> Storage:
        """How they are kept."""
        return self._features.storage

    @property
    def labels(self) -> Labels:
        """Their masks, splits and groups."""
        return self._features.labels

    @property
    def reads_ahead(self) -> bool:
        """Whether reading the next block beside work pays."""
        return self._features.reads_ahead

    @property
    def chunk_channels(self) -> int:
        """Channels that are read at once."""
        return self._features.chunk_channels

    def views(self) -> Views | None:
        """Return their views."""
        return self._features.views()

    def image(self, name: str) -> NDArray[np.float32]:
        """Return a resized image."""
        return self._features.image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Return class indices."""
        return self._features.mask(name)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield blocks, and describe each before it is yielded."""
        for index, block in enumerate(self._features.blocks(names, timesteps, levels)):
            self.descriptors[index] = descriptor(block)
            yield block
