"""What is to be probed: which timesteps and levels, on which training subsets, scored on which images.

A probe is what a classifier may see: one timestep, one level, or one level at one timestep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tedm.errors import TedmError
from tedm.heads.data.subsets import Order, first_images
from tedm.heads.metrics.measures import Metric
from tedm.store import IGNORE, Features
from tedm.store.splits import images_to_learn_from, labelled_images, require_apart
from tedm.text import listed

By = Literal["timestep", "level", "timestep,level"]
SIZES = (1, 3, 6, 12)
# Fewer than a single head tries: what matters here is the order of timesteps, at hundreds of fits.
STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
# By what every probe is scored.
MEASURES: tuple[Metric, ...] = ("dice", "precision", "recall")


@dataclass(frozen=True)
class Probe:
    """What a classifier sees; None stands for all of them, side by side for levels, one classifier for all timesteps."""

    timestep: int | None = None
    level: str | None = None

    @property
    def name(self) -> str:
        """`timestep:50`, `level:level0` or `timestep:50/level0`."""
        if self.timestep is None:
            return f"level:{self.level}"
        return f"timestep:{self.timestep}" + ("" if self.level is None else f"/{self.level}")

    @property
    def kind(self) -> By:
        """What it is one of."""
        if self.timestep is None:
            return "level"
        return "timestep" if self.level is None else "timestep,level"


@dataclass(frozen=True)
class Subset:
    """Training images of one size and repeat: the first `n` of the permutation with the repeat as its seed."""

    n: int
    repeat: int
    images: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is fitted on what and scored on what.

    Parameters
    ----------
    probes : tuple of Probe
    subsets : tuple of Subset
        By size, then repeat.
    scored : tuple of str
        Images: those of the val split, then those of the test split.
    val : int
        How many of them are for choosing.
    remarks : tuple of str
        What was left out of what was asked for, and why.
    """

    probes: tuple[Probe, ...]
    subsets: tuple[Subset, ...]
    scored: tuple[str, ...]
    val: int
    remarks: tuple[str, ...]

    @property
    def sizes(self) -> list[int]:
        """Training sizes, ascending."""
        return sorted({subset.n for subset in self.subsets})


def plan_probes(
    features: Features,
    *,
    sizes: Sequence[int | None] | None = None,
    repeats: int = 5,
    by: By = "timestep",
    domain: str | None = None,
    train: str | None = "train",
    test: str | None = "test",
    order: Order = "seed",
) -> Plan:
    """Decide what is to be fitted and scored.

    Parameters
    ----------
    features : Features
    sizes : sequence of int or None, or None
        Numbers of training images; None among them is all, which has one repeat. None takes `SIZES`, as far as there are more
        images, and all.
    repeats : int
        Random subsets of each size, nested in each other within a repeat.
    by : {"timestep", "level", "timestep,level"}
        The last is timesteps, levels and each pair of them.
    domain : str or None
        Where training and val images are from; None takes all. Test images are from every domain.
    train, test : str or None
        Splits to learn from and to be scored on. What is chosen is chosen on the split "val", if there is one, which can
        therefore be neither of them.
    order : {"seed", "manifest"}
        Whether subsets are random, or the first images of the features' own order, of which each size has one.

    Raises
    ------
    TedmError
        If there is no such labelled image, a size is more than there are, no subset shows two classes, or images that are
        learned from, chosen on and scored on share a picture or a group.
    """
    if by not in get_args(By):
        raise TedmError(f"--by is {by!r}; it must be one of {listed(get_args(By))}")
    if repeats < 1:
        raise TedmError(f"--repeats is {repeats}; it must be at least 1")
    labels = features.labels
    candidates = images_to_learn_from(labels, split=train, domain=domain)
    tested = labels.select(split=test, labelled=True)
    where = f"split {train!r}" + (f" of {domain}" if domain else "")
    counts = _training_sizes(sizes, len(candidates), where)
    subsets, remarks = _subsets(features, candidates, counts, 1 if order == "manifest" else repeats, order)
    val = labelled_images(labels, split="val", domain=domain)
    require_apart(features, {"learned from": candidates, "chosen on": val, "scored on": tested})
    return Plan(_probes(features, by), subsets, (*val, *tested), len(val), remarks)


def _training_sizes(sizes: Sequence[int | None] | None, candidates: int, where: str) -> list[int]:
    """Return the numbers of training images, ascending; None among them stands for all candidates."""
    if sizes is None:
        sizes = [*(size for size in SIZES if size < candidates), None]
    too_many = [size for size in sizes if size is not None and size > candidates]
    if too_many:
        raise TedmError(
            f"--sizes asks for {too_many[0]} training images and {where} has {candidates} with a mask; "
            "ask for fewer, or for all"
        )
    if not sizes:
        raise TedmError("--sizes is empty; give one or more numbers of training images, or all")
    return sorted({candidates if size is None else size for size in sizes})


def _subsets(
    features: Features, candidates: Sequence[str], sizes: Sequence[int], repeats: int, order: Order
) -> tuple[tuple[Subset, ...], tuple[str, ...]]:
    """Draw the training subsets; those that show one class only are left out, each with a remark."""
    groups = features.labels.group_of(candidates)
    shown = {name: set(np.unique(features.mask(name)).tolist()) - {IGNORE} for name in candidates}
    subsets: list[Subset] = []
    remarks: list[str] = []
    for n in sizes:
        drawn = [
            Subset(n, repeat, tuple(first_images(candidates, groups, n, repeat, order=order)))
            for repeat in range(1 if n == len(candidates) else repeats)
        ]
        lacking = {subset.repeat: remark for subset in drawn if (remark := _lacks_a_class(features, subset, shown))}
        if len(lacking) == len(drawn):
            raise TedmError(
                f"no subset of {n} training images shows two classes; ask for larger --sizes, or give images that show more"
            )
        subsets += [subset for subset in drawn if subset.repeat not in lacking]
        remarks += lacking.values()
    return tuple(subsets), tuple(remarks)


def _lacks_a_class(features: Features, subset: Subset, shown: Mapping[str, set[int]]) -> str:
    """Say that a subset shows fewer than two classes; nothing if it shows enough."""
    classes = set().union(*(shown[name] for name in subset.images))
    if len(classes) > 1:
        return ""
    shows = f"{listed([features.labels.called[next(iter(classes))]])} only" if classes else "no label at all"
    return f"repeat {subset.repeat} of n = {subset.n} was left out: its images show {shows}"


def _probes(features: Features, by: By) -> tuple[Probe, ...]:
    timesteps, levels = features.settings.timesteps, [level.name for level in features.settings.levels]
    probes: list[Probe] = []
    if by != "level":
        probes += [Probe(timestep) for timestep in timesteps]
    if by != "timestep":
        probes += [Probe(level=level) for level in levels]
    if by == "timestep,level":
        probes += [Probe(timestep, level) for level in levels for timestep in timesteps]
    return tuple(probes)
