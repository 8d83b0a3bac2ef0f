"""Cross-entropies of linear models and their gradients, for many models in one pass over the rows.

Everything that a solver needs is a sum over images.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.design import Scratch
from tedm.heads.linear.cross_entropy import Aim, many_classes, two_classes
from tedm.heads.linear.source import Image, Rows, Source
from tedm.heads.linear.stacks import Abreast, Model, Stack, Sum, Totals
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.store import IGNORE
from tedm.store.layout import Floats


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


def sums(source: Source, models: Sequence[Model], effort: Effort, *, gradients: bool = True) -> list[Sum]:
    """Return the sums of all models in one pass over the images that count for some of them."""
    wanted = frozenset().union(*(model.images for model in models))
    names = [name for name in source.counts if name in wanted]
    totals: list[Sum] | None = None
    for part in source.rows.workers.over(losses, source.rows, names, models, effort, gradients):
        if totals is None:
            totals = part
        else:
            for total, more in zip(totals, part, strict=True):
                total.add(more)
    assert totals is not None  # a problem has images
    return totals


def losses(rows: Rows, names: Sequence[str], models: Sequence[Model], effort: Effort, gradients: bool) -> Iterator[list[Sum]]:
    """Yield the sums of all models over some images; a function for `Workers.over`.

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
    abreast = Abreast(models)
    stacks = {name: abreast.stacks(name, effort.columns) for name in names}
    totals = Totals.zeros(len(models), *abreast.weights.shape[::-1])
    idle: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
    for _ in range(effort.threads):
        idle.put(Scratch())

    def compute(image: Image) -> list[tuple[Stack, Totals]]:
        scratch = idle.get()
        sums = [(stack, stack.nothing()) for stack in stacks[image.name]]
        aims: dict[int, Aim] = {}
        seen: NDArray[np.uint8] | None = None
        for part in image.parts(effort.dtype, scratch):
            if part.labels is not seen:
                seen, aims = part.labels, {}
            for stack, mine in sums:
                logits = part.design.matmat(stack.weights).astype(np.float64)
                logits += stack.shift
                for run in stack.runs:
                    if run.aim not in aims:
                        aims[run.aim] = Aim.from_labels(part.labels, *abreast.aims[run.aim], part.counts)
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
        return sums

    images = rows.images([name for name in names if stacks[name]], working=effort.working)
    for sums in each_in_a_thread(compute, images, effort.threads):
        for stack, more in sums:
            totals.add(stack, more)
    yield abreast.sums(totals)


def moments(rows: Rows, names: Sequence[str], effort: Effort) -> Iterator[tuple[str, Floats, Floats, int]]:
    """Yield for each image the sums of x and of x**2 over its labelled rows, and the number of these; for `Workers.over`."""

    def compute(image: Image) -> tuple[str, Floats, Floats, int]:
        sums, squares, total = np.zeros(()), np.zeros(()), 0
        for part in image.parts(effort.dtype, Scratch()):
            used = (part.labels != IGNORE) * (1 if part.counts is None else part.counts)
            first, second = part.design.moments(used.astype(np.float64))
            sums, squares, total = sums + first, squares + second, total + int(used.sum())
        return image.name, sums, squares, total

    yield from each_in_a_thread(compute, rows.images(names, working=effort.working), effort.threads)


def center_and_variance(
    moments_of_images: Mapping[str, tuple[Floats, Floats, int]], images: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return mean and variance of each feature over the labelled rows of some images, and the number of these."""
    sums = np.sum([moments_of_images[name][0] for name in images], axis=0)
    squares = np.sum([moments_of_images[name][1] for name in images], axis=0)
    total = sum(moments_of_images[name][2] for name in images)
    center = sums / total
    variance = np.maximum(squares / total - center**2, 0)
    # A feature that does not vary says nothing; what is left of it is rounding of the sums, below what float32 tells apart.
    return center, np.where(variance <= 1e-13 * (squares / total), 0.0, variance), total
