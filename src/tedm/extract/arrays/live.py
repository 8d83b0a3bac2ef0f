"""Features of images in memory, computed when a head asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.extract.arrays.pictures import Picture
from tedm.extract.backbones import Backbone
from tedm.extract.images import Manifest, ManifestEntry
from tedm.extract.live import LiveFeatures
from tedm.store import Arithmetic, FeatureSettings, Storage


class LiveArrays(LiveFeatures):
    """Features of images that lie in no file; see `tedm.store.Features`.

    Parameters
    ----------
    pictures : sequence of Picture
        The images; nobody knows a mask of them.
    backbone, settings, arithmetic, storage
        See `LiveFeatures`.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        backbone: Backbone | None,
        settings: FeatureSettings,
        arithmetic: Arithmetic,
        storage: Storage,
    ) -> None:
        entries = [ManifestEntry(each.name, Path(each.name), None, "", each.name, "", each.size) for each in pictures]
        super().__init__(Manifest(tuple(entries), None), backbone, settings, arithmetic, storage)
        self._pictures = {each.name: each for each in pictures}

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return self._pictures[name].square(self.settings)
