"""Linear models side by side: stacked, so that an image's cells are read, decoded and converted once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tedm.store.layout import Floats


@dataclass(frozen=True)
class Model:
    """A linear model as a pass sees it.

    Parameters
    ----------
    weights : array of shape (features, outputs)
        One output for two classes, else one for each.
    shift : array of shape (outputs,)
    images : frozenset of str
        Those that count for it.
    position : array of shape (256,), uint8
        The output (or, for one output, 0 or 1) of each class index; `IGNORE` for labels that do not count.
    row_weights : array of shape (256,)
        What a row of each class index counts.
    """

    weights: Floats
    shift: Floats
    images: frozenset[str]
    position: NDArray[np.uint8]
    row_weights: NDArray[np.float64]

    def on(self, images: Iterable[str]) -> Model:
        """Return the same model on other images."""
        return replace(self, images=frozenset(images))


@dataclass
class Sum:
    """What a model gets of a pass, float64.

    Parameters
    ----------
    loss : float
        Sum of weighted cross-entropies.
    total : float
        Sum of weights.
    gradient : array of shape (features, outputs)
        X^T residuals.
    offset : array of shape (outputs,)
        Sum of the residuals.
    """

    loss: float
    total: float
    gradient: Floats
    offset: Floats

    def add(self, other: Sum) -> None:
        """Add the sums of another part of the images."""
        self.loss += other.loss
        self.total += other.total
        self.gradient += other.gradient
        self.offset += other.offset


@dataclass(frozen=True)
class Run:
    """Neighbouring columns of a stack that are computed in one go: models of two classes with one aim, or a single model.

    Parameters
    ----------
    columns, at : slice
        Where they are among the stack's outputs, and among its models.
    aim : int
        Which of the aims they have.
    two_classes : bool
    """

    columns: slice
    at: slice
    aim: int
    two_classes: bool


@dataclass(frozen=True)
class Stack:
    """Some models side by side: weights of shape (features, outputs), shifts, and where their sums belong."""

    weights: Floats
    shift: Floats
    runs: tuple[Run, ...]
    models: NDArray[np.intp]
    columns: NDArray[np.intp]

    def nothing(self) -> Totals:
        """Return sums of its models that are zero, to be added to."""
        return Totals.zeros(len(self.models), len(self.columns), len(self.weights))


class Abreast:
    """All models of a pass side by side, those of one aim next to each other.

    Hundreds of models share few sets of images and fewer aims: what a pass needs is looked up, not made for every model.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        keys: dict[tuple[bytes, bytes], int] = {}
        aim_of = [keys.setdefault((one.position.tobytes(), one.row_weights.tobytes()), len(keys)) for one in models]
        self._order = sorted(range(len(models)), key=lambda n: aim_of[n])
        ordered = [models[n] for n in self._order]
        self._aim = np.array([aim_of[n] for n in self._order])
        self.aims = {aim_of[n]: (one.position, one.row_weights) for n, one in enumerate(models)}
        self._width = np.array([one.weights.shape[1] for one in ordered])
        self._first = np.cumsum(self._width) - self._width
        self.weights: Floats = np.concatenate([one.weights for one in ordered], axis=1)
        self._shift: Floats = np.concatenate([one.shift for one in ordered])
        self._sets: dict[frozenset[str], list[int]] = {}
        for place, one in enumerate(ordered):
            self._sets.setdefault(one.images, []).append(place)
        self._made: dict[tuple[int, ...], list[Stack]] = {}

    def stacks(self, name: str, columns: int) -> list[Stack]:
        """Return the models that an image counts for, in stacks of at most so many outputs."""
        key = tuple(number for number, images in enumerate(self._sets) if name in images)
        if key not in self._made:
            sets = list(self._sets.values())
            places = sorted(place for number in key for place in sets[number])
            self._made[key] = [self._stack(np.array(group, np.intp)) for group in self._grouped(places, columns)]
        return self._made[key]

    def sums(self, totals: Totals) -> list[Sum]:
        """Return what each model got, in the order in which they were given."""
        sums = {}
        for place, n in enumerate(self._order):
            own = slice(self._first[place], self._first[place] + self._width[place])
            gradient, offset = totals.gradient[:, own].copy(), totals.offset[own].copy()
            sums[n] = Sum(float(totals.loss[place]), float(totals.total[place]), gradient, offset)
        return [sums[n] for n in range(len(sums))]

    def _grouped(self, places: Sequence[int], columns: int) -> Iterator[list[int]]:
        group: list[int] = []
        width = 0
        for place in places:
            if group and width + self._width[place] > columns:
                yield group
                group, width = [], 0
            group.append(place)
            width += self._width[place]
        if group:
            yield group

    def _stack(self, places: NDArray[np.intp]) -> Stack:
        width, aim = self._width[places], self._aim[places]
        first = np.cumsum(width) - width  # in the stack
        columns = np.repeat(self._first[places] - first, width) + np.arange(width.sum())
        alike = (aim[1:] == aim[:-1]) & (width[1:] == 1) & (width[:-1] == 1)
        starts = [0, *(np.flatnonzero(~alike) + 1).tolist()]
        runs = [
            Run(slice(int(first[at]), int(first[end - 1] + width[end - 1])), slice(at, end), int(aim[at]), bool(width[at] == 1))
            for at, end in pairwise([*starts, len(places)])
        ]
        return Stack(self.weights[:, columns], self._shift[columns], tuple(runs), places, columns)


@dataclass
class Totals:
    """Sums of several models, side by side.

    Parameters
    ----------
    loss, total : arrays of shape (models,)
    gradient : array of shape (features, outputs of all models)
    offset : array of shape (outputs of all models,)
    """

    loss: NDArray[np.float64]
    total: NDArray[np.float64]
    gradient: Floats
    offset: Floats

    @classmethod
    def zeros(cls, models: int, outputs: int, features: int) -> Totals:
        """Return sums that are zero, to be added to."""
        return cls(np.zeros(models), np.zeros(models), np.zeros((features, outputs)), np.zeros(outputs))

    def add(self, stack: Stack, more: Totals) -> None:
        """Add what an image gave of some of the models."""
        self.loss[stack.models] += more.loss
        self.total[stack.models] += more.total
        self.offset[stack.columns] += more.offset
        self.gradient[:, stack.columns] += more.gradient
