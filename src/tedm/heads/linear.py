"""Cross-entropies of linear models and their gradients, for many models in one pass over the rows.

Everything that a solver needs is a sum over images. A pass stacks the weights of all models that an image counts for, so that
its cells are read, decoded and converted once.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.heads.algebra import ArrayDesign, Design, Scratch, design_bytes
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

    @classmethod
    def of(cls, model: Model) -> Sum:
        """Nothing yet."""
        return cls(0.0, 0.0, np.zeros(model.weights.shape), np.zeros(model.weights.shape[1]))

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
    sums = [Sum.of(model) for model in models]
    of_image = {
        name: _grouped([n for n, model in enumerate(models) if name in model.images], models, effort.columns) for name in names
    }
    stacks = {together: _stacked(together, models) for groups in of_image.values() for together in groups}
    idle: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
    for _ in range(effort.threads):
        idle.put(Scratch())

    def of(image: Image) -> dict[int, Sum]:
        scratch = idle.get()
        found = {n: Sum.of(models[n]) for together in of_image[image.name] for n in together}
        aims: dict[int, _Aim] = {}
        known: NDArray[np.uint8] | None = None
        for design, labels in image.parts(effort.dtype, scratch):
            if labels is not known:
                known, aims = labels, {n: _Aim.of(labels, models[n]) for n in found}
            for together in of_image[image.name]:
                logits = design.matmat(stacks[together]).astype(np.float64)
                for n, mine in _columns(together, models):
                    logits[:, mine] = _cross_entropy(logits[:, mine] + models[n].shift, aims[n], found[n])
                if gradients:
                    products = design.rmatmat(logits)
                    for n, mine in _columns(together, models):
                        found[n].gradient += products[:, mine]
        idle.put(scratch)
        return found

    images = rows.images([name for name in names if of_image[name]], working=effort.working)
    for found in each_in_a_thread(of, images, effort.threads):
        for n, more in found.items():
            sums[n].add(more)
    yield sums


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


def _stacked(together: Sequence[int], models: Sequence[Model]) -> Floats:
    """Weights side by side."""
    return np.concatenate([models[n].weights for n in together], axis=1)


def _columns(together: Sequence[int], models: Sequence[Model]) -> Iterator[tuple[int, slice]]:
    """Where each model's outputs are."""
    edge = 0
    for n in together:
        yield n, slice(edge, edge + models[n].weights.shape[1])
        edge += models[n].weights.shape[1]


@dataclass(frozen=True)
class _Aim:
    """What rows should give: computed once for all parts that have the same labels.

    Parameters
    ----------
    position : array of shape (rows,)
        Of the true class among the outputs; anything where a row does not count.
    weights : array of shape (rows,)
        What each row counts; 0 where it does not.
    total : float
        Sum of the weights.
    """

    position: NDArray[np.intp]
    weights: NDArray[np.float64]
    total: float

    @classmethod
    def of(cls, labels: NDArray[np.uint8], model: Model) -> _Aim:
        position = model.position[labels]
        weights = model.row_weights[labels] * (position != IGNORE)
        return cls(np.where(position == IGNORE, 0, position).astype(np.intp), weights, float(weights.sum()))


def _cross_entropy(logits: NDArray[np.float64], aim: _Aim, found: Sum) -> NDArray[np.float64]:
    """The weighted derivative by the logits; all else is added to what was found. The logits are overwritten."""
    residuals: NDArray[np.float64]
    if logits.shape[1] == 1:
        column = torch.from_numpy(logits[:, 0])  # several times faster than NumPy at these functions
        truth = torch.from_numpy(aim.position)  # 0 or 1
        loss = column.abs().neg_().exp_().log1p_().add_(column.clamp(min=0)).addcmul_(column, truth, value=-1).numpy()
        residuals = column.sigmoid().sub_(truth).mul_(torch.from_numpy(aim.weights)).numpy()[:, None]
    else:
        own_column = aim.position[:, None]
        logits -= logits.max(axis=1, keepdims=True)
        own = np.take_along_axis(logits, own_column, axis=1)[:, 0]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss = np.log(total[:, 0]) - own
        logits /= total
        np.put_along_axis(logits, own_column, np.take_along_axis(logits, own_column, axis=1) - 1, axis=1)
        logits *= aim.weights[:, None]
        residuals = logits
    found.loss += float(aim.weights @ loss)
    found.total += aim.total
    found.offset += residuals.sum(axis=0)
    return residuals


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
