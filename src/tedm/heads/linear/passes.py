"""Cross-entropies of linear models and their gradients, for many models in one pass over the rows.

Everything that a solver needs is a sum over images. A pass stacks the weights of all models that an image counts for, so that
its cells are read, decoded and converted once.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.cell_counts import Part
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import ArrayDesign, Scratch, design_bytes
from tedm.heads.linear.cross_entropy import Aim, many_classes, two_classes
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.heads.runtime.workers import HERE, Workers
from tedm.store import IGNORE
from tedm.store.layout import Floats


class Image(Protocol):
    """Labelled rows of one image."""

    @property
    def name(self) -> str:
        """The image."""

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[Part]:
        """One or more design matrices with the labels of their rows."""


class Rows(Protocol):
    """Labelled rows, image by image: `TrainingData`, or arrays."""

    @property
    def workers(self) -> Workers:
        """Who computes."""

    def images(self, names: Sequence[str], *, working: int = 0) -> Iterator[Image]:
        """The images, in order; `working` bytes are needed besides them."""


@dataclass(frozen=True)
class ArrayImage:
    """Rows in memory that stand for an image."""

    name: str
    design: ArrayDesign
    labels: NDArray[np.uint8]

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[Part]:
        """All of them."""
        yield Part(self.design, self.labels)


class ArrayRows:
    """Rows in memory, in groups that stand for images.

    Parameters
    ----------
    X : array of shape (rows, features)
    y : array of shape (rows,)
        Class indices.
    groups : array of shape (rows,)
        Numbers from 0.
    """

    workers: Workers = HERE

    def __init__(self, X: Floats, y: NDArray[np.uint8], groups: NDArray[np.intp]) -> None:
        self.counts: dict[str, NDArray[np.int64]] = {}
        self._images: dict[str, ArrayImage] = {}
        for group in np.unique(groups):
            at = groups == group
            rows = X if at.all() else X[at]
            self._images[str(group)] = ArrayImage(str(group), ArrayDesign(rows), y[at])
            self.counts[str(group)] = np.bincount(y[at], minlength=256)

    def images(self, names: Sequence[str], *, working: int = 0) -> Iterator[ArrayImage]:
        """One for each group."""
        for name in names:
            yield self._images[name]


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
        """Another part of the names."""
        self.loss += other.loss
        self.total += other.total
        self.gradient += other.gradient
        self.offset += other.offset


@dataclass(frozen=True)
class Effort:
    """How a pass computes.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the products.
    columns : int
        Outputs that are computed at once, at most (one model at least).
    threads : int
        Images that are computed at once.
    working : int
        Bytes that all this takes besides blocks.
    """

    dtype: str
    columns: int
    threads: int
    working: int = 0


def losses(rows: Rows, names: Sequence[str], models: Sequence[Model], effort: Effort, gradients: bool) -> Iterator[list[Sum]]:
    """Sums of all models over some images; a function for `Workers.over`.

    Parameters
    ----------
    rows : Rows
    names : sequence of str
        Images; those that count for no model are not read.
    models : sequence of Model
    effort : Effort
    gradients : bool
        Whether gradients are wanted; they stay zero if not.

    Yields
    ------
    list of Sum
        Once, a sum for each model, in the same order of images whatever the threads.
    """
    abreast = _Abreast(models)
    of_image = {name: abreast.stacks(name, effort.columns) for name in names}
    totals = _Totals.of(len(models), *abreast.weights.shape[::-1])
    idle: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
    for _ in range(effort.threads):
        idle.put(Scratch())

    def of(image: Image) -> list[tuple[_Stack, _Totals]]:
        scratch = idle.get()
        found = [(stack, stack.nothing()) for stack in of_image[image.name]]
        aims: dict[int, Aim] = {}
        seen: NDArray[np.uint8] | None = None
        for part in image.parts(effort.dtype, scratch):
            if part.labels is not seen:
                seen, aims = part.labels, {}
            for stack, mine in found:
                logits = part.design.matmat(stack.weights).astype(np.float64)
                logits += stack.shift
                for run in stack.runs:
                    if run.aim not in aims:
                        aims[run.aim] = Aim.of(part.labels, *abreast.aims[run.aim], part.counts)
                    aim = aims[run.aim]
                    if run.two_classes:
                        mine.loss[run.at] += two_classes(logits[:, run.columns], aim)
                    else:
                        mine.loss[run.at] += many_classes(logits[:, run.columns], aim)
                    mine.total[run.at] += aim.total
                mine.offset += np.ones(len(logits)) @ logits  # several times faster than a sum along the long axis
                if gradients:
                    mine.gradient += part.design.rmatmat(logits)
        idle.put(scratch)
        return found

    images = rows.images([name for name in names if of_image[name]], working=effort.working)
    for found in each_in_a_thread(of, images, effort.threads):
        for stack, more in found:
            totals.add(stack, more)
    yield abreast.sums(totals)


def moments(rows: Rows, names: Sequence[str], effort: Effort) -> Iterator[tuple[str, Floats, Floats, int]]:
    """For each image, the sums of x and of x**2 over its labelled rows, and the number of these; for `Workers.over`."""

    def of(image: Image) -> tuple[str, Floats, Floats, int]:
        sums, squares, total = np.zeros(()), np.zeros(()), 0
        for part in image.parts(effort.dtype, Scratch()):
            used = (part.labels != IGNORE) * (1 if part.counts is None else part.counts)
            first, second = part.design.moments(used.astype(np.float64))
            sums, squares, total = sums + first, squares + second, total + int(used.sum())
        return image.name, sums, squares, total

    yield from each_in_a_thread(of, rows.images(names, working=effort.working), effort.threads)


def working_bytes(data: TrainingData, outputs: int) -> int:
    """What a pass takes for each image besides its block."""
    return design_bytes(data.features, len(data.timesteps), data.rows, outputs)


@dataclass(frozen=True)
class _Run:
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
class _Stack:
    """Some models side by side: weights of shape (features, outputs), shifts, and where their sums belong."""

    weights: Floats
    shift: Floats
    runs: tuple[_Run, ...]
    models: NDArray[np.intp]
    columns: NDArray[np.intp]

    def nothing(self) -> _Totals:
        """Sums of its models, to be added to."""
        return _Totals.of(len(self.models), len(self.columns), len(self.weights))


class _Abreast:
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
        self._made: dict[tuple[int, ...], list[_Stack]] = {}

    def stacks(self, name: str, columns: int) -> list[_Stack]:
        """The models that an image counts for, in stacks of at most so many outputs."""
        key = tuple(number for number, images in enumerate(self._sets) if name in images)
        if key not in self._made:
            sets = list(self._sets.values())
            places = sorted(place for number in key for place in sets[number])
            self._made[key] = [self._stack(np.array(group, np.intp)) for group in self._grouped(places, columns)]
        return self._made[key]

    def sums(self, totals: _Totals) -> list[Sum]:
        """What each model got, in the order in which they were given."""
        found = {}
        for place, n in enumerate(self._order):
            own = slice(self._first[place], self._first[place] + self._width[place])
            gradient, offset = totals.gradient[:, own].copy(), totals.offset[own].copy()
            found[n] = Sum(float(totals.loss[place]), float(totals.total[place]), gradient, offset)
        return [found[n] for n in range(len(found))]

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

    def _stack(self, places: NDArray[np.intp]) -> _Stack:
        width, aim = self._width[places], self._aim[places]
        first = np.cumsum(width) - width  # in the stack
        columns = np.repeat(self._first[places] - first, width) + np.arange(width.sum())
        alike = (aim[1:] == aim[:-1]) & (width[1:] == 1) & (width[:-1] == 1)
        starts = [0, *(np.flatnonzero(~alike) + 1).tolist()]
        runs = [
            _Run(
                slice(int(first[at]), int(first[end - 1] + width[end - 1])), slice(at, end), int(aim[at]), bool(width[at] == 1)
            )
            for at, end in pairwise([*starts, len(places)])
        ]
        return _Stack(self.weights[:, columns], self._shift[columns], tuple(runs), places, columns)


@dataclass
class _Totals:
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
    def of(cls, models: int, outputs: int, features: int) -> _Totals:
        """Nothing yet."""
        return cls(np.zeros(models), np.zeros(models), np.zeros((features, outputs)), np.zeros(outputs))

    def add(self, stack: _Stack, more: _Totals) -> None:
        """What an image gave of some of the models."""
        self.loss[stack.models] += more.loss
        self.total[stack.models] += more.total
        self.offset[stack.columns] += more.offset
        self.gradient[:, stack.columns] += more.gradient


def center_and_variance(
    of_image: Mapping[str, tuple[Floats, Floats, int]], images: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Mean and variance of each feature over the labelled rows of some images, and the number of these."""
    sums = np.sum([of_image[name][0] for name in images], axis=0)
    squares = np.sum([of_image[name][1] for name in images], axis=0)
    total = sum(of_image[name][2] for name in images)
    center = sums / total
    variance = np.maximum(squares / total - center**2, 0)
    # A feature that does not vary says nothing; what is left of it is rounding of the sums, below what float32 tells apart.
    return center, np.where(variance <= 1e-13 * (squares / total), 0.0, variance), total
