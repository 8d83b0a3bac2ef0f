"""Principal components of single levels as pictures.

Three components of a level are the red, green and blue of its cells, at the level's own resolution. The components are those
of what varies within the timesteps, shared by all of them: a colour means the same direction at every timestep, and what is
the same in all images at a timestep (networks add a vector of the timestep to every cell) has no colour. Only covariances of
channels are kept, and images are read one by one. All cells count alike: with nearest upsampling, as the pixels do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.rows import block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.store import Block, Features
from tedm.text import listed, table_of_numbers

COLOURS = 3
# Colours run over this many standard deviations to both sides of the mean.
SPREAD = 2.0


@dataclass(frozen=True)
class ComponentMaps:
    """Components of each level as colours.

    Parameters
    ----------
    timesteps : tuple of int
    levels : tuple of str
    names : tuple of str
        The images shown.
    pictures : tuple of arrays of shape (images, timesteps, side, side, 3)
        One for each level, in [0, 1]; the first draw of noise.
    explained : array of shape (levels, timesteps)
        What part of the variance of a level at a timestep the three components hold.
    """

    timesteps: tuple[int, ...]
    levels: tuple[str, ...]
    names: tuple[str, ...]
    pictures: tuple[NDArray[np.float64], ...]
    explained: NDArray[np.float64]

    def of(self, name: str) -> dict[str, list[NDArray[np.float64]]]:
        """Return the pictures of one image, by level, a picture a timestep: what `tedm.show.picture_grid` draws."""
        if name not in self.names:
            raise TedmError(f"there are no pictures of {name}; there are those of {listed(self.names)}")
        at = self.names.index(name)
        return {level: list(pictures[at]) for level, pictures in zip(self.levels, self.pictures, strict=True)}

    def to_text(self) -> str:
        """Lay out the part of the variance that has a colour, for a terminal."""
        return table_of_numbers(self.explained, self.levels, [f"t = {t}" for t in self.timesteps])


def component_maps(
    features: Features,
    names: Sequence[str],
    shown: Sequence[str],
    *,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
) -> ComponentMaps:
    """Colour the cells of some images by three principal components of each level.

    Parameters
    ----------
    features : Features
        A store, say.
    names : sequence of str
        Images whose cells the components are found on, at least one.
    shown : sequence of str
        Images that are coloured; they need not be among `names`.
    timesteps : sequence of int or None
        None takes all.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Raises
    ------
    TedmError
        If there is no image, a level has fewer than three channels, or the budget does not hold a block and the covariances.
    """
    if not names or not shown:
        raise TedmError("there is no image to colour; name at least one to learn the colours from and one to show")
    settings = features.settings
    chosen = settings.timesteps if timesteps is None else tuple(timesteps)
    channels = [level.channels for level in settings.levels]
    if min(channels) < COLOURS:
        raise TedmError(f"a level has {min(channels)} channels; {COLOURS} colours need {COLOURS}")
    if features.storage.layout == "upsampled" and settings.upsampling == "bilinear":
        raise TedmError("a bilinear upsampled store has no cells of single levels; extract with --layout native")
    covariances = 8 * len(chosen) * sum(count**2 for count in channels)
    cells = [8 * settings.draws * settings.side(level) ** 2 * level.channels for level in settings.levels]
    held, reading = block_bytes(features, len(chosen))
    pictures = 8 * COLOURS * len(shown) * len(chosen) * sum(settings.side(level) ** 2 for level in settings.levels)
    Budget(memory).require(held + reading + 3 * covariances + 2 * max(cells) + pictures, "the covariances of all channels")

    moments = [_Moments(len(chosen), count) for count in channels]
    for block in features.blocks(names, chosen):
        for level, level_cells in zip(moments, block.cells, strict=True):
            level.add(level_cells)
    bases = [level.basis() for level in moments]
    coloured: list[list[NDArray[np.float64]]] = [[] for _ in channels]
    for block in features.blocks(shown, chosen):
        for at, basis in enumerate(bases):
            coloured[at].append(basis.colours(block, at))
    return ComponentMaps(
        timesteps=tuple(chosen),
        levels=tuple(level.name for level in settings.levels),
        names=tuple(shown),
        pictures=tuple(np.stack(images) for images in coloured),
        explained=np.array([basis.explained for basis in bases]),
    )


class _Moments:
    """Sums of a level's cells and of their products at each timestep."""

    def __init__(self, timesteps: int, channels: int) -> None:
        self.count = 0
        self.sums = np.zeros((timesteps, channels))
        self.products = np.zeros((timesteps, channels, channels))

    def add(self, cells: NDArray[np.floating]) -> None:
        """Count cells of shape (timesteps, draws, side, side, channels)."""
        for timestep, seen in enumerate(cells):
            rows = seen.reshape(-1, cells.shape[-1]).astype(np.float64)
            self.sums[timestep] += rows.sum(axis=0)
            self.products[timestep] += rows.T @ rows
        self.count += len(rows)

    def basis(self) -> _Basis:
        """Return the components of what varies within timesteps."""
        means = self.sums / self.count
        covariances = self.products / self.count - means[:, :, None] * means[:, None, :]
        _, vectors = np.linalg.eigh(covariances.mean(axis=0))
        vectors = vectors[:, : -COLOURS - 1 : -1]
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(COLOURS)])
        along = np.einsum("ck,tcd,dk->tk", vectors, covariances, vectors)
        total = np.trace(covariances, axis1=1, axis2=2)
        explained = np.divide(along.sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
        return _Basis(means, vectors, np.sqrt(np.maximum(along, 0)), explained)


@dataclass(frozen=True)
class _Basis:
    """Three components of a level, with the mean, the deviations along them and their part of the variance at each timestep."""

    means: NDArray[np.float64]
    vectors: NDArray[np.float64]
    deviations: NDArray[np.float64]
    explained: NDArray[np.float64]

    def colours(self, block: Block, level: int) -> NDArray[np.float64]:
        """Return the first draw's cells as colours, of shape (timesteps, side, side, 3)."""
        cells = block.cells[level][:, 0].astype(np.float64)
        along = (cells - self.means[:, None, None, :]) @ self.vectors
        deviations = np.where(self.deviations > 0, self.deviations, 1)[:, None, None, :]
        return np.clip(0.5 + along / (2 * SPREAD * deviations), 0, 1)
