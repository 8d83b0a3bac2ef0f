"""What a head is fitted on: images of some features, their labels, and the rows that these become.

Blocks are read again for every pass, the next while this one is computed on; those that fit a fixed part of the memory budget
stay in memory. Pixels without a label, and pixels that were not drawn where only some an image are wanted, are ignored.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.cell_counts import Part, Tally
from tedm.heads.data.design import BlockDesign, Scratch, design_bytes
from tedm.heads.data.rows import RowLayout, block_bytes, rows_at, single_rows
from tedm.heads.data.sampling import Sampling, draw_pixels
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.store import IGNORE, Block, Features
from tedm.store.layout import Floats
from tedm.threads import read_ahead


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


@dataclass(frozen=True)
class LabelledImage:
    """An image to learn from, as a linear solver sees it."""

    labelled: Labelled
    rows: RowLayout
    tally: Tally | None = None

    @property
    def name(self) -> str:
        """The image."""
        return self.labelled.block.name

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[Part]:
        """Yield design matrices, as small as they can be, with the class of each row; good until the next is asked for."""
        if self.tally is not None:
            yield from self.tally.parts(self.labelled.block, dtype)
            return
        mask = self.labelled.mask
        labels: NDArray[np.uint8] | None = None
        for part in BlockDesign(self.labelled.block, self.rows, dtype, scratch=scratch).parts():
            if labels is None or len(labels) != part.shape[0]:
                labels = np.tile(mask.ravel(), part.shape[0] // mask.size)
            yield Part(part, labels)

    def some(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return so many labelled rows at most, and the class of each; of a smaller number, these are the first.

        They are drawn at random, by the same numbers each time, and are of as many pixels as there can be.
        """
        block, mask = self.labelled.block, self.labelled.mask.ravel()
        known = np.flatnonzero(mask != IGNORE)
        repeats = block.draws * (len(block.timesteps) if self.rows == "share" else 1)
        number = np.arange(min(rows, len(known) * repeats))
        turn, place = np.divmod(number, len(known))
        pixels = np.random.default_rng(0).permutation(known)[place]
        return single_rows(block, pixels, (place + turn) % repeats, self.rows), mask[pixels]


class TrainingData:
    """Labelled images of some features; iterating makes one pass over them.

    Parameters
    ----------
    features : Features
        Activations and masks.
    names : sequence of str
        The images, distinct; those without a labelled pixel are left out.
    rows : {"share", "concatenate"}
        How activations become rows.
    timesteps : sequence of int or None
        None takes all.
    pixels_per_image : int or None
        Labelled pixels that are used of each image, drawn by `sampling`; None takes all.
    sampling : {"uniform", "balanced", "root", "boundary"}
        How pixels are drawn: here, where only some are used, else by heads that draw batches of pixels.
    seed : int
        Of that draw.
    memory : Budget, int or None
        What the process may take: bytes in all, or a budget that is shared with others; None takes half of what is free.
    workers : Workers
        Who computes what is computed image by image.
    views : collection of str
        Those of the names that are views of the others.

    Raises
    ------
    TedmError
        If no pixel has a label, all have the same, or the budget does not hold a block.
    """

    def __init__(
        self,
        features: Features,
        names: Sequence[str],
        *,
        rows: RowLayout,
        timesteps: Sequence[int] | None = None,
        pixels_per_image: int | None = None,
        sampling: Sampling = "uniform",
        seed: int = 0,
        memory: Budget | int | None = None,
        workers: Workers = HERE,
        views: Collection[str] = (),
    ) -> None:
        self.features = features
        self.rows: RowLayout = rows
        self.timesteps = features.settings.timesteps if timesteps is None else tuple(timesteps)
        self.classes = features.labels.classes
        # Pixels that were drawn by their weights here are not weighted again.
        self.sampling: Sampling = sampling if pixels_per_image is None else "uniform"
        self.budget = memory if isinstance(memory, Budget) else Budget(memory)
        self.workers = workers
        self.masks: dict[str, NDArray[np.uint8]] = {}
        for name in names:
            mask = features.mask(name)
            if pixels_per_image is not None:
                mask = draw_pixels(mask, pixels_per_image, sampling, seed, name)
            if (mask != IGNORE).any():
                self.masks[name] = mask
        if len(set(names)) < len(names):
            raise TedmError(f"an image is named twice: {next(name for name in names if list(names).count(name) > 1)}")
        self.names = list(self.masks)
        self.views = frozenset(views)
        self._kept: dict[str, Block] = {}
        self._tallies: dict[str, Tally] = {}
        self._lock = threading.Lock()
        if not self.budget.kept_was_given and len(self.names) * self.block_bytes > self.budget.keepable():
            # Where not all stay, two blocks are on their way: they come out of the same part, so that the peak stays flat.
            self.budget.keep(2 * self.block_bytes)
        self._require_two_classes(len(names))
        self.budget.require(
            self.block_bytes + self.reading_bytes,
            f"an image's activations ({self.block_bytes / 1e6:.0f} MB, and {self.reading_bytes / 1e6:.0f} MB to read them)",
        )

    def __len__(self) -> int:
        return len(self.names)

    def as_rows(self, rows: RowLayout, timesteps: Sequence[int]) -> TrainingData:
        """Return the same images, masks and budget as other rows; nothing is read or drawn again, and no block shared.

        Without timesteps, for heads that look at images, all of each, and change these themselves, there are no views and no
        pixels to draw.
        """
        other = TrainingData.__new__(TrainingData)
        other.__dict__.update(self.__dict__)
        other.rows, other.timesteps = rows, tuple(timesteps)
        if not timesteps:
            other.masks = {name: mask for name, mask in self.masks.items() if name not in self.views}
            other.names, other.views, other.sampling = list(other.masks), frozenset(), "uniform"
        other._kept, other._tallies, other._lock = {}, {}, threading.Lock()
        return other

    def thin(self, pixels: int, seed: int) -> None:
        """Learn from so many labelled pixels of each image at most, drawn uniformly; no other data are changed.

        Parameters
        ----------
        pixels, seed : int
            See `tedm.heads.data.sampling.draw_pixels`.
        """
        self.masks = {name: draw_pixels(mask, pixels, "uniform", seed, name) for name, mask in self.masks.items()}
        self.sampling = "uniform"

    def let_go(self) -> None:
        """Let go of the blocks that have stayed in memory between passes."""
        with self._lock:
            self.budget.give_back(sum(block.nbytes for block in self._kept.values()))
            self._kept.clear()

    def __iter__(self) -> Iterator[Labelled]:
        """Make one pass, image by image, in order."""
        return self.read(self.names)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is in memory here: other processes read and compute for themselves."""
        state = self.__dict__.copy()
        del state["_lock"]
        return state | {"_kept": {}, "workers": HERE}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        # Another process has memory of its own: as much as was granted here, or half of what is free there.
        self.budget = Budget(self.budget.total if self.budget.was_given else None)

    def read(self, names: Sequence[str], *, working: int = 0, keep: bool = True) -> Iterator[Labelled]:
        """Yield some of the images, in the order asked for.

        Parameters
        ----------
        names : sequence of str
            Some of `self.names`.
        working : int
            Bytes that the caller will take besides: where they leave no room for another block, none is read ahead.
        keep : bool
            Whether blocks may stay in memory for the next pass.
        """
        with self._lock:
            kept = dict(self._kept)  # as it is now: another pass may add to it while this one is under way
        missing = [name for name in names if name not in kept]
        room = self.budget.left() >= 2 * self.block_bytes + self.reading_bytes + working
        fresh = read_ahead(self.features.blocks(missing, self.timesteps), ahead=1 if room and len(missing) > 1 else 0)
        for name in names:
            block = kept.get(name)
            if block is None:
                block = next(fresh)
                with self._lock:
                    if keep and name not in self._kept and self.budget.keep(block.nbytes):
                        self._kept[name] = block
            yield Labelled(block, self.masks[name])
            del block

    def images(self, names: Sequence[str], *, working: int = 0) -> Iterator[LabelledImage]:
        """Yield what `read` does, as linear solvers see it."""
        for labelled in self.read(names, working=working):
            yield LabelledImage(labelled, self.rows, self._tally(labelled))

    def _tally(self, labelled: Labelled) -> Tally | None:
        """Count equal rows, where an image has such."""
        cells = labelled.block.cells
        side, size = cells[0].shape[2], labelled.block.size
        if self.rows != "share" or len(cells) > 1 or labelled.block.upsampling != "nearest" or side == size:
            return None
        name = labelled.block.name
        if name not in self._tallies:
            self._tallies[name] = Tally.from_mask(labelled.mask, side)
        return self._tallies[name]

    def row_chunks(
        self, names: Sequence[str], chunk_bytes: int, *, working: int | None = None
    ) -> Iterator[tuple[str, Floats, NDArray[np.uint8]]]:
        """Yield labelled rows, a part of an image at a time.

        Parameters
        ----------
        names : sequence of str
            Some of `self.names`.
        chunk_bytes : int
            Size of a part as float32, at most (one pixel at least).
        working : int or None
            Bytes that a part and all that the caller makes of it take; None for the part alone.

        Yields
        ------
        name : str
        rows : array of shape (rows, features), float32
        labels : array of shape (rows,)
            Class indices.
        """
        at_once = max(1, chunk_bytes // (self.rows_per_pixel * self.n_features * 4))
        for labelled in self.read(names, working=chunk_bytes if working is None else working):
            pixels = np.flatnonzero(labelled.mask.ravel() != IGNORE)
            for start in range(0, len(pixels), at_once):
                some = pixels[start : start + at_once]
                rows = rows_at(labelled.block, some, self.rows)
                yield labelled.block.name, rows, np.repeat(labelled.mask.ravel()[some], self.rows_per_pixel)

    @property
    def n_features(self) -> int:
        """Length of a row; of images that are looked at, that of a pixel."""
        if not self.timesteps:
            return self.features.settings.image_channels
        return self.features.settings.channels * (1 if self.rows == "share" else len(self.timesteps))

    @property
    def n_rows(self) -> int:
        """How many labelled rows there are."""
        return int(self.class_counts().sum()) * self.rows_per_pixel

    @property
    def rows_per_pixel(self) -> int:
        """Draws, times timesteps where those are rows."""
        return self.features.settings.draws * (len(self.timesteps) if self.rows == "share" else 1)

    @property
    def block_bytes(self) -> int:
        """An image's activations in memory."""
        return block_bytes(self.features, len(self.timesteps))[0]

    @property
    def reading_bytes(self) -> int:
        """What reading them takes besides."""
        return block_bytes(self.features, len(self.timesteps))[1]

    def design_bytes(self, outputs: int) -> int:
        """Return what products with an image's block take besides it, for so many outputs a row."""
        return design_bytes(self.features, len(self.timesteps), self.rows, outputs)

    def class_counts(self) -> NDArray[np.int64]:
        """Count the labelled pixels of each class."""
        counts = np.zeros(256, np.int64)
        for name in self.names:
            counts += np.bincount(self.masks[name].ravel(), minlength=256)
        return counts[: max(len(self.classes), 1)]

    def labelled_pixels(self, name: str) -> int:
        """Count the pixels of an image that are used."""
        return int((self.masks[name] != IGNORE).sum())

    def _require_two_classes(self, images: int) -> None:
        present = self.class_counts()
        if not present.any():
            raise TedmError(f"no pixel of these {images} images has a label; add masks with tedm-label STORE MANIFEST")
        if (present > 0).sum() < 2:
            only = self.classes[int(present.argmax())]
            raise TedmError(
                f"all labelled pixels of these {images} images have one class (mask value {only}); "
                "a head needs at least two: add images or labels that show another"
            )
