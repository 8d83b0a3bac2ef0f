"""Where a linear solver gets its rows: the images of some features, or arrays that stand for images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.cell_counts import Part
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import ArrayDesign, Scratch
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.store import IGNORE
from tedm.store.layout import Floats


class Image(Protocol):
    """Labelled rows of one image."""

    @property
    def name(self) -> str:
        """The image."""

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[Part]:
        """Yield one or more design matrices with the labels of their rows."""

    def some(self, rows: int) -> tuple[Floats, NDArray[np.uint8]]:
        """Return so many labelled rows at most, drawn by the same numbers each time, and the class of each."""


class Rows(Protocol):
    """Labelled rows, image by image: `TrainingData`, or arrays."""

    @property
    def workers(self) -> Workers:
        """Who computes."""

    @property
    def budget(self) -> Budget | None:
        """What may be taken of memory; None for rows that are in memory already."""

    @property
    def block_bytes(self) -> int:
        """What an image's activations take in memory."""

    @property
    def reading_bytes(self) -> int:
        """What reading them takes besides."""

    def design_bytes(self, outputs: int) -> int:
        """Return what products with an image's block take besides it, for so many outputs a row."""

    def images(self, names: Sequence[str], *, working: int = 0) -> Iterator[Image]:
        """Yield the images, in order; `working` bytes are needed besides them."""


@dataclass(frozen=True)
class ArrayImage:
    """Rows in memory that stand for an image."""

    name: str
    design: ArrayDesign
    labels: NDArray[np.uint8]

    def parts(self, dtype: str, scratch: Scratch) -> Iterator[Part]:
        """Yield all of them."""
        yield Part(self.design, self.labels)

    def some(self, rows: int) -> tuple[Floats, NDArray[np.uint8]]:
        """Return so many of them at most, drawn by the same numbers each time; of a smaller number, these are the first."""
        at = np.random.default_rng(0).permutation(len(self.labels))[:rows]
        return self.design.at(at), self.labels[at]


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
    budget: Budget | None = None
    block_bytes = reading_bytes = 0

    def __init__(self, X: Floats, y: NDArray[np.uint8], groups: NDArray[np.intp]) -> None:
        self.counts: dict[str, NDArray[np.int64]] = {}
        self._images: dict[str, ArrayImage] = {}
        for group in np.unique(groups):
            at = groups == group
            rows = X if at.all() else X[at]
            self._images[str(group)] = ArrayImage(str(group), ArrayDesign(rows), y[at])
            self.counts[str(group)] = np.bincount(y[at], minlength=256)

    def images(self, names: Sequence[str], *, working: int = 0) -> Iterator[ArrayImage]:
        """Yield one for each group."""
        for name in names:
            yield self._images[name]

    def design_bytes(self, outputs: int) -> int:
        """Return 0: the rows are not products of a block."""
        return 0


@dataclass(frozen=True)
class Source:
    """Rows to learn from.

    Parameters
    ----------
    rows : Rows
    groups : mapping of str to str
        Group of each image.
    counts : mapping of str to array of shape (256,)
        Labels of each image by class index.
    """

    rows: Rows
    groups: Mapping[str, str]
    counts: Mapping[str, NDArray[np.int64]]

    @classmethod
    def from_training_data(cls, data: TrainingData) -> Source:
        """Take the images of some features."""
        names = list(dict.fromkeys(data.names))
        groups = dict(zip(names, data.features.labels.group_of(names), strict=True))
        counts = {name: np.bincount(data.masks[name].ravel(), minlength=256) for name in names}
        for labels in counts.values():
            labels[IGNORE] = 0
        return cls(data, groups, counts)

    def present(self, images: Sequence[str]) -> NDArray[np.intp]:
        """Return the class indices that some of the images show."""
        return np.flatnonzero(np.sum([self.counts[name] for name in images], axis=0))
