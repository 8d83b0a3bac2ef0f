"""What is to be fitted: images, strengths to choose from, and the folds that choose.

A job is one classifier. Folds never tear a group apart; with too few groups for a cross-validation the default strength is
taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear.passes import Effort, Model, Rows, Sum, losses
from tedm.store import IGNORE

DEFAULT_RIDGE = 1.0
FOLDS = 5

Fold = tuple[Sequence[str], Sequence[str]]


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
    def of(cls, data: TrainingData) -> Source:
        """Images of some features."""
        names = list(dict.fromkeys(data.names))
        groups = dict(zip(names, data.features.labels.group_of(names), strict=True))
        counts = {name: np.bincount(data.masks[name].ravel(), minlength=256) for name in names}
        for of_image in counts.values():
            of_image[IGNORE] = 0
        return cls(data, groups, counts)

    def present(self, images: Sequence[str]) -> NDArray[np.intp]:
        """Class indices that some of the images show."""
        return np.flatnonzero(np.sum([self.counts[name] for name in images], axis=0))

    def sums(self, models: Sequence[Model], effort: Effort, *, gradients: bool = True) -> list[Sum]:
        """One pass."""
        wanted = frozenset().union(*(model.images for model in models))
        names = [name for name in self.counts if name in wanted]
        totals: list[Sum] | None = None
        for part in self.rows.workers.over(losses, self.rows, names, models, effort, gradients):
            if totals is None:
                totals = part
            else:
                for total, more in zip(totals, part, strict=True):
                    total.add(more)
        assert totals is not None  # a problem has images
        return totals


@dataclass(frozen=True)
class Job:
    """A classifier that is wanted, and how its strength is found.

    Parameters
    ----------
    images : tuple of str
        What it learns from.
    strengths : tuple of float
        One, or those to choose from.
    folds : tuple of (images inside, images outside)
        On what each strength is tried; empty where there is one strength, or other images decide.
    chosen_by : str
        How the strength is found, in words; empty for one strength that was asked for.
    """

    images: tuple[str, ...]
    strengths: tuple[float, ...]
    folds: tuple[Fold, ...] = ()
    chosen_by: str = ""

    @classmethod
    def cross_validated(cls, source: Source, images: Sequence[str], strengths: Sequence[float], folds: int = FOLDS) -> Job:
        """Strengths are tried on folds of whole groups; with fewer than three groups the default strength is taken."""
        if len(strengths) == 1:
            return cls(tuple(images), tuple(strengths))
        groups = [source.groups[name] for name in images]
        cuts: list[Fold] = []
        dropped = 0
        if len(set(groups)) >= 3:
            parts = GroupKFold(min(folds, len(set(groups)))).split(images, groups=groups)
            cuts = [([images[n] for n in inside], [images[n] for n in outside]) for inside, outside in parts]
            whole = len(cuts)
            cuts = [cut for cut in cuts if len(source.present(cut[0])) > 1]
            dropped = whole - len(cuts)
        if not cuts:
            count = len(set(groups))
            words = f"default: {count} {'group is' if count == 1 else 'groups are'} too few for a cross-validation"
            if dropped:
                words = f"default: each of {dropped} folds would learn from images of one class"
            return cls(tuple(images), (DEFAULT_RIDGE,), (), words)
        words = f"a cross-validation of {len(cuts)} folds by group"
        if dropped:
            words += f" ({dropped} more would learn from images of one class)"
        partly = sum(bool(set(source.present(outside)) - set(source.present(inside))) for inside, outside in cuts)
        if partly:
            words += f" ({partly} of them without the pixels of a class that only the images held out show)"
        return cls(tuple(images), tuple(strengths), tuple(cuts), words)


def require_strengths(strengths: Sequence[float], given: object) -> None:
    """Refuse a penalty below zero, or none."""
    if not strengths or not all(strength >= 0 for strength in strengths):
        raise TedmError(f"ridge is {given}; it must be 0 or more")
