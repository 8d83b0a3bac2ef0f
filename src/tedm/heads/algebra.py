"""Products with a design matrix that is never made.

Upsampling is linear and works on channels one by one, so X w = upsample(cells w) and X^T r = cells^T pool(r): both run at the
levels' own resolution, exact to rounding. This is all that linear models and standardisation need (decision 7 in
docs/design.md).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tedm.heads.rows import RowLayout
from tedm.store import Block
from tedm.store.layout import Floats, pool, upsample

# Channels that are upsampled at once where a sum of squares cannot be had from cells.
CHANNELS_AT_ONCE = 64


class Design(Protocol):
    """Rows of a classifier, as far as a linear solver sees them."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""

    def matmat(self, weights: Floats) -> Floats:
        """X @ weights: from (features, outputs) to (rows, outputs)."""

    def rmatmat(self, residuals: Floats) -> Floats:
        """X.T @ residuals: from (rows, outputs) to (features, outputs)."""

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Sums over rows of weight * x and of weight * x**2, float64, each of shape (features,)."""


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

    def matmat(self, weights: Floats) -> Floats:
        """X @ weights."""
        return np.asarray(self._rows @ weights)

    def rmatmat(self, residuals: Floats) -> Floats:
        """X.T @ residuals."""
        return np.asarray(self._rows.T @ residuals)

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weighted sums of x and x**2."""
        weights = weights.astype(np.float64)
        return weights @ self._rows, weights @ np.square(self._rows, dtype=np.float64)


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
    """

    def __init__(self, block: Block, rows: RowLayout, dtype: str = "float32") -> None:
        self.block = block
        self.rows = rows
        self._cells = [cells.astype(dtype) for cells in block.cells]
        self._dtype = np.dtype(dtype)
        self._timesteps, self._draws = len(block.timesteps), block.draws
        self._edges = np.cumsum([0, *(cells.shape[-1] for cells in self._cells)])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        pixels = self._draws * self.block.size**2
        channels = int(self._edges[-1])
        if self.rows == "share":
            return self._timesteps * pixels, channels
        return pixels, self._timesteps * channels

    def matmat(self, weights: Floats) -> Floats:
        """X @ weights, upsampled after the product."""
        size, outputs = self.block.size, weights.shape[1]
        weights = weights.astype(self._dtype, copy=False)
        total: Floats | None = None
        for level, cells in enumerate(self._cells):
            if self.rows == "share":
                small = cells @ weights[self._of(level)]
            else:
                per_timestep = weights.reshape(self._timesteps, -1, outputs)[:, self._of(level)]
                small = cells[0] @ per_timestep[0]
                for timestep in range(1, self._timesteps):
                    small += cells[timestep] @ per_timestep[timestep]
            large = upsample(small, size, self.block.upsampling)
            total = large if total is None else total + large
        assert total is not None  # a block has a level
        return total.reshape(-1, outputs)

    def rmatmat(self, residuals: Floats) -> Floats:
        """X.T @ residuals, pooled before the product."""
        size, outputs = self.block.size, residuals.shape[1]
        lead = (self._timesteps, self._draws) if self.rows == "share" else (self._draws,)
        pixels = residuals.astype(self._dtype, copy=False).reshape(*lead, size, size, outputs)
        parts = []
        for cells in self._cells:
            channels = cells.shape[-1]
            small = pool(pixels, cells.shape[2], self.block.upsampling).reshape(-1, outputs)
            if self.rows == "share":
                parts.append(cells.reshape(-1, channels).T @ small)
            else:
                parts.append(np.stack([cells[t].reshape(-1, channels).T @ small for t in range(self._timesteps)]))
        if self.rows == "share":
            return np.concatenate(parts)
        return np.concatenate(parts, axis=1).reshape(-1, outputs)

    def moments(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weighted sums of x and x**2; for bilinear upsampling the squares need the pixels, a few channels at a time."""
        size = self.block.size
        lead = (self._timesteps, self._draws) if self.rows == "share" else (1, self._draws)
        pixels = weights.astype(np.float64).reshape(*lead, size, size, 1)
        sums, squares = [], []
        for cells in self._cells:
            if self.block.upsampling == "nearest" or cells.shape[2] == size:
                spread = pool(pixels, cells.shape[2], self.block.upsampling)
                axes = (0, 1, 2, 3) if self.rows == "share" else (1, 2, 3)
                sums.append((cells * spread).sum(axis=axes))
                squares.append((np.square(cells, dtype=np.float64) * spread).sum(axis=axes))
            else:
                for start in range(0, cells.shape[-1], CHANNELS_AT_ONCE):
                    part = upsample(cells[..., start : start + CHANNELS_AT_ONCE].astype(np.float64), size, "bilinear")
                    axes = (0, 1, 2, 3) if self.rows == "share" else (1, 2, 3)
                    sums.append((part * pixels).sum(axis=axes))
                    squares.append((part**2 * pixels).sum(axis=axes))
        return np.concatenate(sums, axis=-1).ravel(), np.concatenate(squares, axis=-1).ravel()

    def _of(self, level: int) -> slice:
        return slice(int(self._edges[level]), int(self._edges[level + 1]))
