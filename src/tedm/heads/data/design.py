"""Products with a design matrix that is never made.

Upsampling is linear and works on channels one by one, so X w = upsample(cells w) and X^T r = cells^T pool(r): both run at the
levels' own resolution, exact to rounding. This is all that linear models, standardisation and principal components need
(decision 7 in docs/design.md). Levels of one stride are added up before they are upsampled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.rows import RowLayout
from tedm.store import Block, Features
from tedm.store.layout import Floats, bilinear_matrix, pool, upsample

# Bytes of converted cells that are in flight at once, where that leaves one timestep at least: more fall out of the caches.
PART_BYTES = 2**23
# Numbers that NumPy converts in about the time that an import of torch takes.
WITHOUT_TORCH = 2**29
# Bytes for each row and output of a part: products, what is upsampled of them, logits, exponentials, residuals and their like.
BYTES_PER_OUTPUT = 64


def timesteps_together(cell_bytes: int) -> int:
    """Return how many timesteps of shared rows are computed at once, where one has so many bytes of cells; at least one."""
    return max(1, PART_BYTES // cell_bytes)


def design_bytes(features: Features, timesteps: int, rows: RowLayout, outputs: int) -> int:
    """Return the bytes that products with a block take besides it, and what a solver makes of so many outputs a row."""
    settings = features.settings
    cells = sum(level.channels * settings.side(level) ** 2 for level in settings.levels) * settings.draws
    together = min(timesteps_together(cells * 8), timesteps) if rows == "share" else 1
    # Cells in float64 for the moments, and the products of neighbours; less later on.
    cell_bytes = together * cells * 8 * 2
    return cell_bytes + together * settings.draws * settings.image_size**2 * (outputs * BYTES_PER_OUTPUT + 32)


class Design(Protocol):
    """Rows of a classifier, as far as a linear solver sees them."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""

    def parts(self) -> Iterable[Design]:
        """Give designs that have these rows one after the other, each good until the next is asked for."""

    def matmat(self, weights: Floats) -> Floats:
        """Return X @ weights: from (features, outputs) to (rows, outputs)."""

    def rmatmat(self, residuals: Floats) -> Floats:
        """Return X.T @ residuals: from (rows, outputs) to (features, outputs)."""

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return sums over rows of weight * x and of weight * x**2, float64, each of shape (features,)."""


class ArrayDesign:
    """Rows that are in memory as they stand.

    Parameters
    ----------
    rows : array of shape (rows, features)
        Float32 or float64.
    """

    def __init__(self, rows: Floats) -> None:
        self._rows = rows
        self.shape: tuple[int, int] = (int(rows.shape[0]), int(rows.shape[1]))

    def parts(self) -> list[ArrayDesign]:
        """Return the design itself: its rows are in memory."""
        return [self]

    def matmat(self, weights: Floats) -> Floats:
        """Return X @ weights."""
        return np.asarray(self._rows @ weights)

    def rmatmat(self, residuals: Floats) -> Floats:
        """Return X.T @ residuals."""
        return np.asarray(self._rows.T @ residuals)

    def at(self, positions: NDArray[np.intp]) -> Floats:
        """Return some of the rows."""
        return self._rows[positions]

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return weighted sums of x and x**2."""
        weights = weights.astype(np.float64)
        return weights @ self._rows, weights @ np.square(self._rows, dtype=np.float64)


class Scratch:
    """Room for cells in the type of the products, used again and again: fresh memory costs more than the conversion.

    One design at a time may use it.
    """

    def __init__(self) -> None:
        self._rooms: dict[tuple[int, str], tuple[Floats, object]] = {}

    def converted(self, cells: Floats, level: int, dtype: np.dtype[np.floating], of: object) -> Floats:
        """Return cells in another type; what was converted last for that level, if it was `of` the same."""
        if cells.dtype == dtype:
            return cells
        key = (level, dtype.char)  # its name is made anew each time, which takes longer than a small product
        room, whose = self._rooms.get(key, (None, None))
        if room is None or room.size < cells.size:
            room, whose = np.empty(cells.size, dtype), None
        here: Floats = room[: cells.size].reshape(cells.shape)
        if whose != of:
            _convert(cells, here)
            self._rooms[key] = (room, of)
        return here


class _Converter:
    """Writes numbers in another type: by torch where it is there, whose conversion from float16 is many times as fast.

    Parameters
    ----------
    without_torch : int
        Where it is not, so many numbers are converted by NumPy before it is imported for the rest.
    """

    def __init__(self, without_torch: int) -> None:
        self._left = without_torch

    def __call__(self, cells: Floats, here: Floats) -> None:
        if "torch" not in sys.modules and self._left > 0:
            self._left -= cells.size
            np.copyto(here, cells)
            return
        import torch

        torch.from_numpy(here).copy_(torch.from_numpy(cells))


_convert = _Converter(WITHOUT_TORCH)


class BlockDesign:
    """The rows of one image, held as native cells.

    Parameters
    ----------
    block : Block
        Activations of one image.
    rows : {"share", "concatenate"}
        The layout.
    dtype : {"float32", "float64"}
        Type of the products.
    scratch : Scratch or None
        Room that other designs have used and are done with; None makes some.
    at : range or None
        Positions of the timesteps whose rows are meant, if they are shared; None takes all.
    whose : object
        What marks cells in the scratch as this block's; None is a mark of its own.
    """

    def __init__(
        self,
        block: Block,
        rows: RowLayout,
        dtype: str = "float32",
        *,
        scratch: Scratch | None = None,
        at: range | None = None,
        whose: object = None,
    ) -> None:
        self.block = block
        self.rows = rows
        self._dtype: np.dtype[np.floating] = np.dtype(dtype)
        self._scratch = scratch or Scratch()
        self._whose = whose or object()
        self._at = range(len(block.timesteps)) if at is None else at
        self._edges = np.cumsum([0, *(cells.shape[-1] for cells in block.cells)])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        pixels = self.block.draws * self.block.size**2
        channels = int(self._edges[-1])
        if self.rows == "share":
            return len(self._at) * pixels, channels
        return pixels, len(self._at) * channels

    def parts(self) -> Iterator[BlockDesign]:
        """Yield designs that have these rows one after the other: small enough that what is in flight stays in a cache."""
        if self.rows == "concatenate":
            yield self
            return
        cells = sum(level[0].size for level in self.block.cells)
        together = timesteps_together(cells * self._dtype.itemsize)
        for start in range(0, len(self._at), together):
            yield BlockDesign(
                self.block,
                self.rows,
                self._dtype.name,
                scratch=self._scratch,
                at=self._at[start : start + together],
                whose=self._whose,
            )

    def matmat(self, weights: Floats) -> Floats:
        """Return X @ weights, upsampled after the product."""
        outputs = weights.shape[1]
        weights = weights.astype(self._dtype, copy=False)
        if self.rows == "share":
            lead = (len(self._at), self.block.draws)
            small = {side: np.zeros((*lead, side, side, outputs), self._dtype) for side in self._sides()}
            for level, cells in self._cells(self._at):
                small[cells.shape[-2]] += cells @ weights[self._features(level)]
        else:
            per_timestep = weights.reshape(len(self._at), -1, outputs)
            small = {side: np.zeros((self.block.draws, side, side, outputs), self._dtype) for side in self._sides()}
            for timestep in self._at:
                for level, cells in self._cells(range(timestep, timestep + 1)):
                    small[cells.shape[-2]] += cells[0] @ per_timestep[timestep][self._features(level)]
        return self._spread(small).reshape(-1, outputs)

    def rmatmat(self, residuals: Floats) -> Floats:
        """Return X.T @ residuals, pooled before the product."""
        outputs = residuals.shape[1]
        small = self._pooled(residuals.astype(self._dtype, copy=False))
        if self.rows == "share":
            total = np.empty((int(self._edges[-1]), outputs), self._dtype)
            for level, cells in self._cells(self._at):
                np.matmul(self._flat(cells).T, self._flat(small[cells.shape[-2]]), out=total[self._features(level)])
            return total
        stacked = np.empty((len(self._at), int(self._edges[-1]), outputs), self._dtype)
        for timestep in self._at:
            for level, cells in self._cells(range(timestep, timestep + 1)):
                np.matmul(self._flat(cells).T, self._flat(small[cells.shape[-2]]), out=stacked[timestep, self._features(level)])
        return stacked.reshape(-1, outputs)

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return weighted sums of x and x**2; for bilinear upsampling, the squares need neighbouring cells too."""
        width = self.shape[1] // self._repeats()
        sums, squares = np.zeros((2, 1 if self.rows == "share" else len(self._at), width))
        pooled = self._pooled(weights.astype(np.float64)[:, None])
        pairs = {side: self._pairs(weights.astype(np.float64), side) for side in self._sides()}
        for timestep in self._at:
            row = 0 if self.rows == "share" else timestep
            for level, its_cells in self._cells(range(timestep, timestep + 1), np.dtype(np.float64)):
                cells, features = its_cells[0], self._features(level)
                side = cells.shape[1]
                spread = pooled[side][timestep - self._at[0]] if self.rows == "share" else pooled[side]
                sums[row, features] += self._flat(cells).T @ spread.ravel()
                for (down, across), weight in pairs[side]:
                    one = cells[:, : side - down, max(0, -across) : side - max(0, across)]
                    other = cells[:, down:, max(0, across) : side + min(0, across)]
                    at = weight[timestep - self._at[0]] if self.rows == "share" else weight
                    squares[row, features] += self._flat(one * other).T @ at.ravel()
        return sums.ravel(), squares.ravel()

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _spread(self, small: dict[int, Floats]) -> Floats:
        """Return the sum over sides of what is upsampled from each, at the image's resolution."""
        size, upsampling = self.block.size, self.block.upsampling
        total: Floats | None = None
        for side in sorted(small):
            if total is None:
                total = small[side]
            elif self._chained(total.shape[-2], side):
                total = np.add(small[side], upsample(total, side, upsampling), out=small[side])
            else:
                large = upsample(total, size, upsampling)
                total = np.add(large, upsample(small[side], size, upsampling), out=large)
        assert total is not None  # a block has a level
        return upsample(total, size, upsampling)

    def _chained(self, coarse: int, fine: int) -> bool:
        """Tell whether from level to level is as far: nearest neighbours of nearest neighbours are nearest neighbours."""
        return self.block.upsampling == "nearest" and fine % coarse == 0

    def _pooled(self, pixels: Floats) -> dict[int, Floats]:
        """Sum values per row over the pixels of each cell, for every side that a level has."""
        lead = (len(self._at), self.block.draws) if self.rows == "share" else (self.block.draws,)
        size = self.block.size
        square = pixels.reshape(*lead, size, size, pixels.shape[-1])
        sums: dict[int, Floats] = {}
        for side in self._sides():  # the finest first
            if not self._chained(side, square.shape[-2]):
                square = pixels.reshape(*lead, size, size, pixels.shape[-1])
            sums[side] = square = np.ascontiguousarray(pool(square, side, self.block.upsampling))
        return sums

    def _pairs(self, weights: Floats, side: int) -> list[tuple[tuple[int, int], Floats]]:
        """Return which cells multiply into weighted squares of pixels: how far the second is down and across, and the weights.

        A pixel is a sum over cells, sum_c B_pc x_c, its square one over pairs of cells: the weight of a pair is what all pixels
        put on it, sum_p w_p B_pc B_pd. Only neighbours share pixels; with nearest neighbours, only a cell and itself.
        """
        size = self.block.size
        lead = (len(self._at), self.block.draws) if self.rows == "share" else (self.block.draws,)
        square = weights.reshape(*lead, size, size)
        if side == size or self.block.upsampling == "nearest":
            return [((0, 0), pool(square[..., None], side, self.block.upsampling)[..., 0])]
        matrix = bilinear_matrix(side, size)
        own, next_one = matrix**2, matrix[:, :-1] * matrix[:, 1:]
        return [
            ((0, 0), own.T @ square @ own),
            # Each of the other pairs is met twice.
            ((0, 1), 2 * own.T @ square @ next_one),
            ((1, 0), 2 * next_one.T @ square @ own),
            ((1, 1), 2 * next_one.T @ square @ next_one),
            ((1, -1), 2 * next_one.T @ square @ next_one),
        ]

    def _cells(self, at: range, dtype: np.dtype[np.floating] | None = None) -> Iterator[tuple[int, Floats]]:
        """Yield each level's cells at some timesteps (timesteps, draws, side, side, channels), in the type of the products."""
        for level, cells in enumerate(self.block.cells):
            yield level, self._scratch.converted(cells[at.start : at.stop], level, dtype or self._dtype, (self._whose, at))

    def _sides(self) -> list[int]:
        return sorted({int(cells.shape[2]) for cells in self.block.cells}, reverse=True)

    def _repeats(self) -> int:
        return 1 if self.rows == "share" else len(self._at)

    @staticmethod
    def _flat(cells: Floats) -> Floats:
        return cells.reshape(-1, cells.shape[-1])

    def _features(self, level: int) -> slice:
        return slice(int(self._edges[level]), int(self._edges[level + 1]))
