"""The files that a store's images were read from, so that people see these at their own size.

A store has images as its backbone sees them, and knows no paths. Whoever has the files hands them over; they are drawn if
they are still what the store has read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import LiveFeatures
from tedm.extract.images import Manifest, Rows, native_mask, to_square_mask
from tedm.store import Features
from tedm.text import shown

AT_ONCE = 2**22  # pixels of a band
LONGEST = 1024  # side of a picture in a report, in pixels


@dataclass(frozen=True)
class AtOwnSize:
    """An image at its own size, or shrunk to `LONGEST` pixels.

    Parameters
    ----------
    picture : array of shape (height, width) or (height, width, 3), uint8
    truth : array of shape (height, width), uint8
        Class indices, `tedm.store.IGNORE` where there is no label.
    masks : mapping of str to array of shape (height, width), uint8
        Class indices.
    """

    picture: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    masks: Mapping[str, NDArray[np.uint8]]


class Originals:
    """Files of the images of some features.

    Parameters
    ----------
    manifest : Manifest
        Where the files are, by the features' names; images that it does not have are drawn as the features have them.
    features : Features
        Of pictures. Slices of volumes are cropped, and stay as the features have them.
    """

    def __init__(self, manifest: Manifest, features: Features) -> None:
        self._manifest, self._features = manifest, features
        self._live = LiveFeatures(manifest, None, features.settings, features.arithmetic, features.storage)
        self._entries = {entry.name: entry for entry in manifest.entries if entry.volume is None}

    def rows(self, name: str) -> Rows | None:
        """Return an image at its own size, in [0, 1]; None if its file is not known, or is of another image by now."""
        if name not in self._entries or not np.array_equal(self._live.image(name), self._features.image(name)):
            return None
        return self._live.rows(name)

    def whole(self, name: str) -> Rows:
        """Return an image at its own size, in [0, 1]; of a slice of a volume, the part that is shown.

        Raises
        ------
        TedmError
            If its file is not known, or is of another image by now.
        """
        if name not in self._live.labels.names:
            raise TedmError(f"the file of image {shown(name)} is not known; name the images that the features are of")
        if not np.array_equal(self._live.image(name), self._features.image(name)):
            raise TedmError(f"the file of image {shown(name)} shows another image than the features are of; extract it anew")
        return self._live.rows(name)

    def shown(self, name: str, probabilities: Mapping[str, NDArray[np.floating]]) -> AtOwnSize | None:
        """Return an image with its truth and what heads make of it; None if its files are not those that were read.

        Parameters
        ----------
        name : str
        probabilities : mapping of str to array of shape (size, size, classes)
            Those that masks are taken from.
        """
        rows, entry = self.rows(name), self._entries.get(name)
        if rows is None or entry is None or entry.mask is None or self._manifest.classes is None:
            return None
        settings, truth = self._features.settings, self._manifest.read_mask(entry)
        scored = to_square_mask(truth, settings.image_size, settings.geometry)
        same_classes = tuple(self._manifest.classes) == self._features.labels.classes
        if not same_classes or not np.array_equal(scored, self._features.mask(name)):
            return None
        masks = {key: native_mask(values, entry.size, settings.geometry) for key, values in probabilities.items()}
        return AtOwnSize(
            _shrunk(eight_bits(rows), Image.Resampling.BOX),
            _shrunk(truth, Image.Resampling.NEAREST),
            {key: _shrunk(mask, Image.Resampling.NEAREST) for key, mask in masks.items()},
        )


def eight_bits(image: Rows) -> NDArray[np.uint8]:
    """Return an image as viewers take it, a band at a time: RGB, or the first of its channels as grey."""
    height, width, channels = image.shape
    kept = 3 if channels == 3 else 1
    drawn = np.empty((height, width, kept), np.uint8)
    step = max(1, AT_ONCE // max(1, width))
    for start in range(0, height, step):
        band = image[slice(start, min(height, start + step))][..., :kept]
        drawn[start : start + step] = np.rint(255 * np.clip(band, 0, 1))
    return drawn if kept == 3 else drawn[..., 0]


def _shrunk(pixels: NDArray[np.uint8], how: Image.Resampling) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, how))
