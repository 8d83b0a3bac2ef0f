"""The waist of the hourglass: what a head sees of images, whatever they are kept in.

`Features` is a collection of images with labels that hands out one `Block` of activations an image. A store on disk is one; a
backbone that computes on the fly is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.jsons import JsonValue
from tedm.store.labels import Labels
from tedm.store.layout import Floats, Pixels, native_cells, stored, upsampled_array
from tedm.store.place import Location, is_url
from tedm.store.settings import Arithmetic, FeatureSettings, Layout, StorageType, Upsampling
from tedm.text import counted, listed, shown
from tedm.text import size as bytes_in_words
from tedm.views import ViewKind

if TYPE_CHECKING:
    from tedm.chunks.encoding import Parts


@dataclass(frozen=True)
class Block:
    """One image's activations, each level at its own resolution.

    Parameters
    ----------
    name : str
        The image.
    timesteps : tuple of int
        What the first axis of the cells counts.
    cells : tuple of arrays of shape (timesteps, draws, side, side, channels)
        One for each level, contiguous, in the store's type. Features that can only be had at image resolution (bilinear
        upsampled stores) are one level of stride 1.
    size : int
        Side of the image in pixels.
    upsampling : {"nearest", "bilinear"}
        How cells become pixels.
    image : array of shape (size, size, image channels), or None
        The image itself, in [0, 1], where somebody looks at it.
    """

    name: str
    timesteps: tuple[int, ...]
    cells: tuple[Floats, ...]
    size: int
    upsampling: Upsampling
    image: NDArray[np.float32] | None = None

    @property
    def draws(self) -> int:
        """Draws of noise at each timestep."""
        return int(self.cells[0].shape[1])

    @property
    def channels(self) -> int:
        """Length of a pixel's vector at one timestep."""
        return sum(int(cells.shape[-1]) for cells in self.cells)

    @property
    def nbytes(self) -> int:
        """Bytes of all cells."""
        return sum(cells.nbytes for cells in self.cells)

    def at_image_resolution(self) -> Floats:
        """Activations of every pixel: shape (timesteps, draws, size, size, channels), in the store's type."""
        return upsampled_array(list(self.cells), self.size, self.upsampling, self.cells[0].dtype)

    def at(self, timesteps: Sequence[int]) -> Self:
        """Return the block at some of its timesteps, in the order asked for."""
        if tuple(timesteps) == self.timesteps:
            return self
        rows = [self.timesteps.index(timestep) for timestep in timesteps]
        cells = tuple(np.ascontiguousarray(level[rows]) for level in self.cells)
        return replace(self, timesteps=tuple(timesteps), cells=cells)


class Features(Protocol):
    """Images with labels and activations."""

    @property
    def settings(self) -> FeatureSettings:
        """What the activations are."""

    @property
    def arithmetic(self) -> Arithmetic:
        """How they were, or are, computed."""

    @property
    def storage(self) -> Storage:
        """How they are rounded and laid out."""

    @property
    def labels(self) -> Labels:
        """Names, splits, groups, domains, classes."""

    @property
    def reads_ahead(self) -> bool:
        """Whether it pays to ask for the next block in another thread while this one is worked on.

        It does where blocks are read; where they are computed, the thread would take the processor from the work.
        """

    @property
    def chunk_channels(self) -> int:
        """Length of the pixels' vectors that are in memory while a block is read, whichever levels are asked for."""

    def views(self) -> Views | None:
        """Return the views that there are of training images; None if there are none."""

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order; all timesteps and levels if None."""


@dataclass(frozen=True)
class Views:
    """The views that some features have of their images (`tedm.views`).

    Parameters
    ----------
    features : Features
        One image for each view, by the names of `view_name`; without masks.
    kind : ViewKind
        How they were made.
    """

    features: Features
    kind: ViewKind


class OnLevels:
    """Some levels of features, as features of their own: nothing else of them is read.

    Parameters
    ----------
    features : Features
    levels : sequence of str
        Names of levels.

    Attributes
    ----------
    whole : Features
        With all levels.

    Raises
    ------
    TedmError
        If there is no such level.
    """

    def __init__(self, features: Features, levels: Sequence[str]) -> None:
        self.whole = features
        self._levels = tuple(levels)
        self.settings = features.settings.on(levels)
        self.arithmetic = features.arithmetic
        self.storage = features.storage
        self.labels = features.labels

    @property
    def reads_ahead(self) -> bool:
        """Whether it pays to ask for the next block in another thread: if it does for the features with all levels."""
        return self.whole.reads_ahead

    @property
    def chunk_channels(self) -> int:
        """Length of the vectors that are read: a chunk of pixels has the channels of all levels."""
        return self.whole.chunk_channels

    def views(self) -> Views | None:
        """Return the same views, on these levels."""
        whole = self.whole.views()
        return None if whole is None else replace(whole, features=OnLevels(whole.features, self._levels))

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return self.whole.image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        return self.whole.mask(name)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order."""
        if levels is not None:
            self.settings.positions(levels)
        return self.whole.blocks(names, timesteps, self._levels if levels is None else levels)


@dataclass(frozen=True)
class Storage:
    """How activations are kept.

    Parameters
    ----------
    layout : {"upsampled", "native"}
        At image resolution in one array, or one array a level.
    dtype : {"float16", "float32"}
        Type on disk.
    """

    layout: Layout
    dtype: StorageType

    def to_json(self) -> dict[str, JsonValue]:
        """Plain JSON values."""
        return {"layout": self.layout, "dtype": self.dtype}

    def arrays(self, cells: Sequence[Floats], settings: FeatureSettings) -> list[Floats]:
        """Return what a store of this kind keeps of freshly computed cells: one array a level, or one at image resolution.

        Parameters
        ----------
        cells : sequence of arrays of shape (timesteps, draws, side, side, channels)
            Native levels, float32; for nearest neighbours and the native layout, rounded ones will do.
        """
        return [parts[(slice(None),) * len(parts.shape)] for parts in self.parts(cells, settings)]

    def type_of_cells(self, settings: FeatureSettings) -> StorageType:
        """Return the type in which cells may be computed for a store of this kind: its own where rounding comes first."""
        return "float32" if self.layout == "upsampled" and settings.upsampling == "bilinear" else self.dtype

    def parts(self, cells: Sequence[Floats], settings: FeatureSettings) -> Sequence[Parts]:
        """Return the same, made chunk by chunk where that can be.

        Nearest neighbours are rounded before they are copied: the same bits, and a fraction of the memory.
        """
        if self.layout == "upsampled" and settings.upsampling == "bilinear":
            pixels = upsampled_array(list(cells), settings.image_size, settings.upsampling, np.float32)
            return [stored(pixels, self.dtype)]
        rounded = [stored(level, self.dtype) for level in cells]
        return rounded if self.layout == "native" else [Pixels(rounded, settings.image_size)]

    def block(self, name: str, timesteps: Sequence[int], cells: Sequence[Floats], settings: FeatureSettings) -> Block:
        """Return the block that a store of this kind would give back for freshly computed cells, without the disk.

        Parameters
        ----------
        cells : sequence of arrays of shape (timesteps, draws, side, side, channels)
            Native levels, float32.
        """
        if self.layout == "upsampled" and settings.upsampling == "bilinear":
            return self.read_upsampled(name, timesteps, self.arrays(cells, settings)[0], settings)
        rounded = tuple(stored(level, self.dtype) for level in cells)
        return Block(name, tuple(timesteps), rounded, settings.image_size, settings.upsampling)

    def read_upsampled(self, name: str, timesteps: Sequence[int], pixels: Floats, settings: FeatureSettings) -> Block:
        """Return a block from activations at image resolution, in native cells where those can be had back."""
        cells = [pixels]
        if settings.upsampling == "nearest":
            levels = settings.levels
            cells = native_cells(pixels, [level.channels for level in levels], [level.stride for level in levels])
        return Block(name, tuple(timesteps), tuple(cells), settings.image_size, settings.upsampling)


class Kept(Features, Protocol):
    """Features that lie somewhere: `FeatureStore`."""

    @property
    def path(self) -> Location:
        """Where they lie."""

    def files(self) -> Mapping[str, int]:
        """Every file with its bytes."""

    def missing(self) -> list[str]:
        """Images that are not whole yet."""


def in_words(store: Kept) -> str:
    """Say what is in a store: images by split, classes, size, timesteps, levels, layout, and the bytes of one on a disk."""
    settings, labels = store.settings, store.labels
    classes = ", ".join(f"{value} {name}".strip() for value, name in _classes(store))
    levels = ", ".join(f"{level.name} ({level.channels} x 1/{level.stride})" for level in settings.levels)
    lines = [
        f"FeatureStore({shown(str(store.path))!r})",
        labels.summary(),
        f"classes {shown(classes)}" if classes else "no masks",
        f"{settings.image_size} x {settings.image_size} pixels, {counted(settings.image_channels, 'channel')}",
        f"timesteps {listed(settings.timesteps)}, {counted(settings.draws, 'draw')}",
        f"levels {levels}, {settings.upsampling}; {store.storage.layout}, {store.storage.dtype}",
    ]
    if not is_url(store.path):  # to list a bucket takes a while
        try:
            missing = len(store.missing())
            still = f", {missing} of {counted(len(labels), 'image')} still missing" if missing else ""
            lines.append(f"{bytes_in_words(sum(store.files().values()))}{still}")
        except TedmError as error:
            lines.append(str(error))
    return "\n  ".join(lines)


def _classes(store: Kept) -> list[tuple[int, str]]:
    labels = store.labels
    return list(zip(labels.classes, labels.class_names or ("",) * len(labels.classes), strict=True))
