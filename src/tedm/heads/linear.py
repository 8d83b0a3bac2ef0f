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

from tedm.heads.algebra import ArrayDesign, Design, Scratch, design_bytes
from tedm.heads.crossentropy import Aim, many_classes, two_classes
from tedm.heads.parallel import each_in_a_thread
from tedm.heads.training import TrainingData
from tedm.heads.workers import HERE, Workers
from tedm.store import IGNORE
from tedm.store.layout import Floats


class Image(Protocol):
    """Labelled rows of one image."""

    @property
    def name(self) -> str:
        """The image."""

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[tuple[Design, NDArray[np.uint8]]]:
        """One or more design matrices, and a label for each row."""


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

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[tuple[Design, NDArray[np.uint8]]]:
        """All of them."""
        yield self.design, self.labels


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
    known: dict[tuple[bytes, bytes], int] = {}
    aims_of = [known.setdefault((one.position.tobytes(), one.row_weights.tobytes()), len(known)) for one in models]
    order = sorted(range(len(models)), key=lambda n: aims_of[n])  # those of one aim next to each other
    of_image = {name: _grouped([n for n in order if name in models[n].images], models, effort.columns) for name in names}
    edges = list(pairwise([0, *np.cumsum([model.weights.shape[1] for model in models]).tolist()]))
    stacks = {together: _Stack.of(together, models, aims_of, edges) for groups in of_image.values() for together in groups}
    totals = _Totals.of(len(models), edges[-1][1], len(models[0].weights))
    idle: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
    for _ in range(effort.threads):
        idle.put(Scratch())

    def of(image: Image) -> list[tuple[_Stack, _Totals]]:
        scratch = idle.get()
        found = [(stacks[together], stacks[together].nothing()) for together in of_image[image.name]]
        aims: dict[int, Aim] = {}
        seen: NDArray[np.uint8] | None = None
        for design, labels in image.parts(effort.dtype, scratch):
            if labels is not seen:
                seen, aims = labels, {}
            for stack, mine in found:
                logits = design.matmat(stack.weights).astype(np.float64)
                logits += stack.shift
                for run in stack.runs:
                    if run.aim not in aims:
                        one = models[run.model]
                        aims[run.aim] = Aim.of(labels, one.position, one.row_weights)
                    aim = aims[run.aim]
                    if run.two_classes:
                        mine.loss[run.at] += two_classes(logits[:, run.columns], aim)
                    else:
                        mine.loss[run.at] += many_classes(logits[:, run.columns], aim)
                    mine.total[run.at] += aim.total
                mine.offset += np.ones(len(logits)) @ logits  # several times faster than a sum along the long axis
                if gradients:
                    mine.gradient += design.rmatmat(logits)
        idle.put(scratch)
        return found

    images = rows.images([name for name in names if of_image[name]], working=effort.working)
    for found in each_in_a_thread(of, images, effort.threads):
        for stack, more in found:
            totals.add(stack, more)
    yield totals.sums(edges)


def moments(rows: Rows, names: Sequence[str], effort: Effort) -> Iterator[tuple[str, Floats, Floats, int]]:
    """For each image, the sums of x and of x**2 over its labelled rows, and the number of these; for `Workers.over`."""

    def of(image: Image) -> tuple[str, Floats, Floats, int]:
        sums, squares, total = np.zeros(()), np.zeros(()), 0
        for design, labels in image.parts(effort.dtype, Scratch()):
            used = labels != IGNORE
            first, second = design.moments(used.astype(np.float64))
            sums, squares, total = sums + first, squares + second, total + int(used.sum())
        return image.name, sums, squares, total

    yield from each_in_a_thread(of, rows.images(names, working=effort.working), effort.threads)


def working_bytes(data: TrainingData, outputs: int) -> int:
    """What a pass takes for each image besides its block."""
    return design_bytes(data.features, len(data.timesteps), data.rows, outputs)


def _grouped(wanted: Sequence[int], models: Sequence[Model], columns: int) -> list[tuple[int, ...]]:
    """Models in groups of at most so many outputs."""
    groups: list[tuple[int, ...]] = []
    width = columns + 1
    for n in wanted:
        outputs = models[n].weights.shape[1]
        if width + outputs > columns:
            groups.append(())
            width = 0
        groups[-1] += (n,)
        width += outputs
    return groups


@dataclass(frozen=True)
class _Run:
    """Neighbouring columns of a stack that are computed in one go: models of two classes with one aim, or a single model.

    Parameters
    ----------
    columns, at : slice
        Where they are among the stack's outputs, and among its models.
    aim : int
        Which of the aims they have.
    model : int
        One that has it.
    two_classes : bool
    """

    columns: slice
    at: slice
    aim: int
    model: int
    two_classes: bool


@dataclass(frozen=True)
class _Stack:
    """Models side by side: weights of shape (features, outputs), shifts, and where their sums belong."""

    weights: Floats
    shift: Floats
    runs: tuple[_Run, ...]
    models: NDArray[np.intp]
    columns: NDArray[np.intp]

    @classmethod
    def of(
        cls, together: Sequence[int], models: Sequence[Model], aims: Sequence[int], edges: Sequence[tuple[int, int]]
    ) -> _Stack:
        runs: list[_Run] = []
        edge = 0
        for at, n in enumerate(together):
            outputs = models[n].weights.shape[1]
            last = runs[-1] if runs else None
            if last is not None and last.two_classes and outputs == 1 and last.aim == aims[n]:
                runs[-1] = _Run(slice(last.columns.start, edge + 1), slice(last.at.start, at + 1), aims[n], n, True)
            else:
                runs.append(_Run(slice(edge, edge + outputs), slice(at, at + 1), aims[n], n, outputs == 1))
            edge += outputs
        return cls(
            np.concatenate([models[n].weights for n in together], axis=1),
            np.concatenate([models[n].shift for n in together]),
            tuple(runs),
            np.array(together, np.intp),
            np.concatenate([np.arange(*edges[n]) for n in together]),
        )

    def nothing(self) -> _Totals:
        """Sums of its models, to be added to."""
        return _Totals.of(len(self.models), len(self.columns), len(self.weights))


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

    def sums(self, edges: Sequence[tuple[int, int]]) -> list[Sum]:
        """One for each model."""
        return [
            Sum(float(self.loss[n]), float(self.total[n]), self.gradient[:, first:end].copy(), self.offset[first:end].copy())
            for n, (first, end) in enumerate(edges)
        ]


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
