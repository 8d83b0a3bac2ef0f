"""How alike activations are: linear CKA between timesteps, levels and draws.

Two representations of the same pixels are alike if one is nearly a rotation of the other, however many channels each has.
Linear centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) says so with one number: |X^T Y|^2 / (|X^T X| |Y^T Y|)
with Frobenius norms and centred columns. Rows never meet in memory: the products of channels are summed image by image, on the
cells of the coarser of two levels, which is exact for both ways of upsampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.rows import block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.store import Block, Features, Level
from tedm.store.layout import bilinear_matrix
from tedm.store.settings import Upsampling
from tedm.text import listed, table_of_numbers
from tedm.threads import read_ahead

Draws = Literal["rows", "apart"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """The squared norms that every linear CKA between some activations is made of.

    Parameters
    ----------
    timesteps, draws : tuple of int
        Timestep and draw of each view; one draw, 0, for all where draws are rows.
    levels : tuple of str
        Names of the levels.
    norms : array of shape (views, levels, views, levels)
        `|X^T Y|^2` of the centred activations.
    """

    timesteps: tuple[int, ...]
    draws: tuple[int, ...]
    levels: tuple[str, ...]
    norms: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views: `t = 50`, with its draw where there are several."""
        several = len(set(self.draws)) > 1
        return tuple(
            f"t = {t}, draw {draw + 1}" if several else f"t = {t}" for t, draw in zip(self.timesteps, self.draws, strict=True)
        )

    def between_timesteps(self, level: str | None = None) -> Array:
        """Return the CKA of the views with each other, of shape (views, views), on a level or on all of them side by side.

        It lies in [0, 1], and is NaN where activations do not vary.
        """
        if level is None:
            return _normalised(self.norms.sum(axis=(1, 3)))
        at = self._index(level)
        return _normalised(self.norms[:, at, :, at])

    def between_levels(self) -> Array:
        """Return the CKA of the levels with each other at the same view, of shape (views, levels, levels)."""
        return np.array([_normalised(self.norms[view, :, view, :]) for view in range(len(self.timesteps))])

    def between_draws(self, level: str | None = None) -> Array:
        """Return the mean CKA over the pairs of draws at each timestep: how much of what is seen is not the noise.

        Returns
        -------
        array of shape (timesteps,)
            In the order of the timesteps.

        Raises
        ------
        TedmError
            If draws were not kept apart, or there is only one.
        """
        if len(set(self.draws)) < 2:
            raise TedmError("there is one draw, or draws were taken as rows; use features of two draws and draws='apart'")
        between = self.between_timesteps(level)
        means = []
        for timestep in dict.fromkeys(self.timesteps):
            at = [view for view, t in enumerate(self.timesteps) if t == timestep]
            means.append(np.mean([between[one, other] for one, other in combinations(at, 2)]))
        return np.array(means)

    def to_text(self, level: str | None = None) -> str:
        """Lay out the numbers of `between_timesteps` for a terminal."""
        return table_of_numbers(self.between_timesteps(level), self.names, self.names)

    def draws_to_text(self) -> str:
        """Lay out the numbers of `between_draws`, of each level and of all side by side, for a terminal."""
        rows = [self.between_draws(level) for level in (*self.levels, None)]
        return table_of_numbers(rows, [*self.levels, "all"], [f"t = {t}" for t in dict.fromkeys(self.timesteps)])

    def _index(self, level: str) -> int:
        if level not in self.levels:
            raise TedmError(f"there is no level {level!r}; these are {listed(self.levels)}")
        return self.levels.index(level)


def linear_cka(
    features: Features,
    names: Sequence[str],
    *,
    timesteps: Sequence[int] | None = None,
    draws: Draws = "rows",
    memory: int | None = None,
) -> Similarity:
    """Compare the activations of all pixels of some images, out of core.

    Parameters
    ----------
    features : Features
        A store, say; no masks are needed.
    names : sequence of str
        Images, at least one.
    timesteps : sequence of int or None
        None takes all.
    draws : {"rows", "apart"}
        Draws of noise are more rows of the same timestep, or each is compared with the others.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free. With less, the images are read more often.

    Returns
    -------
    Similarity
        Exact to rounding in float64: equal to CKA of the rows at image resolution.

    Raises
    ------
    TedmError
        If there is no image, or the budget does not hold a block and the products of two levels.

    Examples
    --------
    similarity = linear_cka(store, store.labels.select(split="test"))
    print(similarity.to_text())
    """
    if not names:
        raise TedmError("there is no image to compare activations of; name at least one")
    settings = features.settings
    chosen = settings.timesteps if timesteps is None else tuple(timesteps)
    apart = draws == "apart"
    views = [(t, draw) for t in chosen for draw in range(settings.draws if apart else 1)]
    channels = [level.channels for level in settings.levels]
    pixels_only = features.storage.layout == "upsampled" and settings.upsampling == "bilinear"  # no cells to be had from these
    sides = [settings.image_size if pixels_only else settings.side(level) for level in settings.levels]
    tasks = [
        _Task(view, one, other)
        for one in range(len(channels))
        for other in range(len(channels))
        if sides[one] <= sides[other] and (sides[one] < sides[other] or one <= other)
        for view in range(len(views))
    ]
    size = {task: 8 * channels[task.one] * channels[task.other] * len(views) for task in tasks}
    # A level as float64, once as it is and twice on its way to another level's cells.
    cells = [8 * len(chosen) * settings.draws * side**2 * count for side, count in zip(sides, channels, strict=True)]
    held, reading = block_bytes(features, len(chosen))
    working = 2 * held + reading + max(cells) * 4 + 2 * max(size.values())
    budget = Budget(memory)
    budget.require(working + max(size.values()), f"the products of {max(channels)} channels at {len(views)} views")
    room = max(budget.left() - working, max(size.values()))

    norms = np.full((len(views), len(channels), len(views), len(channels)), np.nan)
    for group in _groups(tasks, size, room):
        for task, squared in _squared_norms(features, names, chosen, group, len(views), apart):
            norms[task.view, task.one, :, task.other] = squared
            norms[:, task.other, task.view, task.one] = squared
    return Similarity(
        tuple(t for t, _ in views), tuple(draw for _, draw in views), tuple(x.name for x in settings.levels), norms
    )


@dataclass(frozen=True)
class _Task:
    """The products of a view's channels at level `one` with those of all views at level `other`, which is no coarser."""

    view: int
    one: int
    other: int


def _groups(tasks: Sequence[_Task], size: dict[_Task, int], room: int) -> Iterator[list[_Task]]:
    """Yield tasks whose sums fit into memory together; each group takes one pass over the images."""
    group: list[_Task] = []
    taken = 0
    for task in tasks:
        if group and taken + size[task] > room:
            yield group
            group, taken = [], 0
        group.append(task)
        taken += size[task]
    yield group


def _squared_norms(
    features: Features, names: Sequence[str], timesteps: Sequence[int], group: Sequence[_Task], views: int, apart: bool
) -> Iterator[tuple[_Task, Array]]:
    """Yield for each task |X^T Y|^2 with each view, in one pass."""
    products: dict[_Task, Array] = {}
    sums: dict[int, Array] = {}
    rows = 0
    ahead = 1 if features.reads_ahead and len(names) > 1 else 0
    for block in read_ahead(features.blocks(names, timesteps), ahead=ahead):
        rows += block.size**2 * (1 if apart else block.draws)
        finer: dict[int, Array] = {}
        for level in sorted({at for task in group for at in (task.one, task.other)}):
            finer[level] = _by_view(block, features.settings.levels, level, views)
            pixels_of_a_cell = _spread(finer[level].shape[2], block.size, block.upsampling).sum(axis=0)
            level_sums = np.einsum("vdyxc,y,x->vc", finer[level], pixels_of_a_cell, pixels_of_a_cell)
            sums[level] = sums[level] + level_sums if level in sums else level_sums
        pair: tuple[int, int] | None = None
        for task in group:
            if (task.one, task.other) != pair:
                pair = task.one, task.other
                moved = _moved(finer[task.other], finer[task.one].shape[2], block)
                flat = np.moveaxis(moved, 0, -2).reshape(-1, views * moved.shape[-1])
            own = finer[task.one][task.view]
            product = own.reshape(-1, own.shape[-1]).T @ flat
            if task in products:
                products[task] += product
            else:
                products[task] = product
    for task in group:
        one, other = sums[task.one][task.view], sums[task.other]
        centred = products.pop(task).reshape(len(one), views, -1) - one[:, None, None] * other[None] / rows
        yield task, np.square(centred).sum(axis=(0, 2))


def _by_view(block: Block, levels: Sequence[Level], level: int, views: int) -> Array:
    """Return a level's cells as float64 of shape (views, draws of a view, side, side, channels)."""
    if len(block.cells) == len(levels):
        cells = block.cells[level]
    else:
        start = sum(each.channels for each in levels[:level])
        cells = block.cells[0][..., start : start + levels[level].channels]
    return cells.astype(np.float64).reshape(views, -1, *cells.shape[2:])


def _moved(cells: Array, side: int, block: Block) -> Array:
    """Return what the pixels of a finer level put on the cells of a coarser one: upsampled, then pooled, without the pixels."""
    own = cells.shape[2]
    if own == side and (block.upsampling == "nearest" or own == block.size):
        return cells * float((block.size // side) ** 2)
    between = _between(own, side, block.size, block.upsampling)
    *lead, _, _, channels = cells.shape
    down = (between @ cells.reshape(*lead, own, own * channels)).reshape(*lead, side, own, channels)
    return np.asarray(between @ down)


@lru_cache(maxsize=64)
def _between(fine: int, coarse: int, size: int, upsampling: Upsampling) -> Array:
    """Return how many pixels two cells share along one axis, each counted by their weights in it: shape (coarse, fine)."""
    return _spread(coarse, size, upsampling).T @ _spread(fine, size, upsampling)


def _spread(side: int, size: int, upsampling: Upsampling) -> Array:
    """Return the weights of each cell in each pixel along one axis, of shape (size, side)."""
    if upsampling == "bilinear":
        return bilinear_matrix(side, size)
    return np.repeat(np.eye(side), size // side, axis=0)


def _normalised(norms: Array) -> Array:
    """Return CKA from squared norms: each divided by those of its row and its column with themselves."""
    own = np.sqrt(np.diag(norms))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(np.outer(own, own) > 0, norms / np.outer(own, own), np.nan))
