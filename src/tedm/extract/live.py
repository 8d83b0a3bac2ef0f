"""Features without a disk: activations computed when a head asks for them.

A head cannot tell them from a store's: they pass through the same rounding and the same layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone
from tedm.extract.images import Manifest, ManifestEntry, to_square_mask
from tedm.extract.images.geometry import Rows
from tedm.extract.images.square import naming, read_square, rows_of
from tedm.extract.pipeline import compute
from tedm.store import IGNORE, Arithmetic, Block, FeatureSettings, Labels, Storage
from tedm.store.volumes.columns import numbered
from tedm.store.volumes.volume import NO_SLICE


class LiveFeatures:
    """Features of a manifest's images; see `tedm.store.Features`.

    Parameters
    ----------
    manifest : Manifest
        The images.
    backbone : Backbone or None
        The one that the settings name; None where only images are looked at, and no block is asked for.
    settings, arithmetic, storage
        Those of the store that these features stand for.
    reading : FeatureSettings or None
        How files become intensities, if not as these settings say: another range, or another brain where a mask is not at hand.
    """

    def __init__(
        self,
        manifest: Manifest,
        backbone: Backbone | None,
        settings: FeatureSettings,
        arithmetic: Arithmetic,
        storage: Storage,
        reading: FeatureSettings | None = None,
    ) -> None:
        self.settings = settings
        self.arithmetic = arithmetic
        self.storage = storage
        self._reading = settings if reading is None else reading
        self._manifest = manifest
        self._backbone = backbone
        self._entries = {entry.name: entry for entry in manifest.entries}
        self.labels = labels_of(manifest)

    @property
    def reads_ahead(self) -> bool:
        """Blocks are computed: another thread would take the processor from whoever works on them."""
        return False

    @property
    def chunk_channels(self) -> int:
        """All levels are computed, and pixels of all levels laid out."""
        return self.settings.channels

    def views(self) -> None:
        """Return None: views are for fits, which read a store."""

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the files of an image's channels; of a slice of a DICOM series, the files of the series in their order."""
        entry = self._entries[name]
        if entry.volume is not None and entry.volume.kind == "dicom":
            return self._manifest.volume_headers[entry.volume.name][0].files
        return entry.files

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return square_image(self._entries[name], self._reading)

    def rows(self, name: str) -> Rows:
        """Return the image at its own size, in [0, 1], rows read when asked for; of a slice, the part that is shown."""
        entry, reading = self._entries[name], self._reading
        with naming(*entry.files):
            return rows_of(
                entry,
                channels=reading.image_channels,
                intensity_range=reading.intensity_range,
                normalisation=reading.normalisation,
            )

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        mask = square_mask(self._manifest, self._entries[name], self.settings)
        size = self.settings.image_size
        return np.full((size, size), IGNORE, np.uint8) if mask is None else mask

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order; the backbone runs for these timesteps only, and hands over these levels."""
        timesteps = self.settings.timesteps_asked_for(timesteps)
        settings = self.settings if levels is None else self.settings.on(levels)
        if self._backbone is None:
            raise TedmError("there is no backbone to compute activations with; name its checkpoint")
        images = ((name, self.image(name)) for name in names)
        for computed in compute(self._backbone, self.settings, self.arithmetic, images, timesteps):
            cells = computed.cells
            if levels is not None:
                cells = [cells[position] for position in self.settings.positions(levels)]
            yield self.storage.block(computed.name, timesteps, cells, settings)


def labels_of(manifest: Manifest) -> Labels:
    """Return what a manifest says of its images. `labelled` counts the file's pixels: nothing is resized for it."""
    entries = manifest.entries
    volumes = numbered((), [entry.volume for entry in entries])
    at = {volume.name: position for position, volume in enumerate(volumes)}
    return Labels(
        names=tuple(entry.name for entry in entries),
        splits=tuple(entry.split for entry in entries),
        groups=tuple(entry.group for entry in entries),
        domains=tuple(entry.domain for entry in entries),
        original_sizes=tuple(entry.size for entry in entries),
        labelled=tuple(0 if entry.mask is None else entry.size[0] * entry.size[1] for entry in entries),
        classes=tuple(manifest.classes or ()),
        class_names=manifest.class_names,
        class_colours=manifest.class_colours,
        volumes=volumes,
        slices=tuple(replace(entry.slice, volume=at[entry.volume.name]) if entry.volume else NO_SLICE for entry in entries)
        if volumes
        else (),
    )


def square_image(entry: ManifestEntry, settings: FeatureSettings) -> NDArray[np.float32]:
    """Read an image and bring it to the backbone's square: shape (size, size, channels), in [0, 1]."""
    return read_square(
        entry,
        settings.image_size,
        channels=settings.image_channels,
        geometry=settings.geometry,
        intensity_range=settings.intensity_range,
        normalisation=settings.normalisation,
    )


def square_mask(manifest: Manifest, entry: ManifestEntry, settings: FeatureSettings) -> NDArray[np.uint8] | None:
    """Read a mask and bring it to the backbone's square: class indices of shape (size, size); None if there is none."""
    if entry.mask is None:
        return None
    with naming(entry.mask):
        return to_square_mask(manifest.read_mask(entry), settings.image_size, settings.geometry)
