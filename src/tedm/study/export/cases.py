"""The cases of a data set: a picture, or the slices of a volume that lie next to each other, each in one split.

A store may lack slices of a volume: those that show no structure can be dropped for training. What they look like is not
known, so that no image is made up for them, and slices that are not neighbours are not made so: each run of neighbouring slices
is a case of its own, in its own place. For testing a volume is whole or refused: slices that are not there would hide what is
wrongly seen in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tedm.errors import TedmError, raise_listed
from tedm.names import require_files
from tedm.store import Labels, Slice, Volume
from tedm.text import counted, listed

FOLDS = 5  # of a cross-validation, as nnU-Net has it


@dataclass(frozen=True)
class Case:
    """What is one image for other software.

    Parameters
    ----------
    name : str
        Unique, and a file's name.
    images : tuple of str
        The store's images: one picture, or slices as they are counted in `volume`.
    split : {"train", "val", "test"}
    group, domain : str
    labelled : bool
        Whether one of its pixels has a label.
    volume : Volume or None
        The volume that its images are slices of.
    slices : tuple of Slice
        Where these are in it; empty for a picture.
    """

    name: str
    images: tuple[str, ...]
    split: str
    group: str
    domain: str
    labelled: bool
    volume: Volume | None = None
    slices: tuple[Slice, ...] = ()


def cases_of(labels: Labels, what: str) -> tuple[list[Case], list[str]]:
    """Return the cases of a store, and what is left out and why, in sentences.

    Parameters
    ----------
    labels : Labels
    what : str
        The store's name in messages.

    Raises
    ------
    TedmError
        If there is nothing to learn from, images are pictures and slices, a volume for testing lacks slices, or names of cases
        would be one on some systems.
    """
    of_volumes = sum(each.volume >= 0 for each in labels.slices)
    if 0 < of_volumes < len(labels):
        raise TedmError(
            f"{what} holds {counted(len(labels) - of_volumes, 'picture')} and {counted(of_volumes, 'slice')} of volumes, and "
            "files of an nnU-Net data set are of one kind; extract them to a store each"
        )
    every = [*(_of_volumes(labels) if of_volumes else _pictures(labels))]
    kept = [case for case in every if case.split and (case.labelled or case.split == "test")]
    if not any(case.split == "train" for case in kept):
        raise TedmError(
            f"{what} has no labelled image of the split train, and nnU-Net learns from nothing else\n  {labels.summary()}\n"
            "Add masks and splits with tedm-label."
        )
    _require_whole_tests(kept, what)
    require_files(
        {case.name: [case.name] for case in kept},
        what=f"cannot write the cases of {what} under their names",
        remedy="extract one of them under another name (a column `name`)",
    )
    return kept, [*_left_out(every), *_lacking(kept)]


def folds_of(cases: Sequence[Case]) -> list[dict[str, list[str]]]:
    """Return which training cases nnU-Net learns from and which it validates on, for each of its folds.

    With a split val there is one fold. Without one, nnU-Net deals out cases at random: where a group has several, that would
    put a patient on both sides, so groups are dealt out here, in their order. Otherwise there is nothing to say: an empty list.
    """
    train = [case for case in cases if case.split == "train"]
    val = [case for case in cases if case.split == "val"]
    if val:
        return [{"train": [case.name for case in train], "val": [case.name for case in val]}]
    groups = list(dict.fromkeys(_unit(case) for case in train))
    if not 1 < len(groups) < len(train):
        return []
    count = min(FOLDS, len(groups))
    found = []
    for fold in range(count):
        out = set(groups[fold::count])
        sides = [[case.name for case in train if (_unit(case) in out) is held] for held in (False, True)]
        found.append({"train": sides[0], "val": sides[1]})
    return found


def _unit(case: Case) -> str:
    return f"group {case.group}" if case.group else f"case {case.name}"


def _pictures(labels: Labels) -> Iterator[Case]:
    rows = zip(labels.names, labels.splits, labels.groups, labels.domains, labels.labelled, strict=True)
    for name, split, group, domain, pixels in rows:
        yield Case(name, (name,), split, group, domain, pixels > 0)


def _of_volumes(labels: Labels) -> Iterator[Case]:
    for number, volume in enumerate(labels.volumes):
        runs: list[list[int]] = []
        for at in sorted(labels.positions_in(number), key=lambda at: labels.slices[at].index):
            if not runs or not _next_to(labels, runs[-1][-1], at):
                runs.append([])
            runs[-1].append(at)
        for count, run in enumerate(runs, 1):
            name = volume.name if len(runs) == 1 else f"{volume.name}-part{count}"
            first, shown = run[0], run[::-1] if volume.flips[0] else run
            yield Case(
                name,
                tuple(labels.names[at] for at in shown),
                labels.splits[first],
                labels.groups[first],
                labels.domains[first],
                any(labels.labelled[at] for at in run),
                volume,
                tuple(labels.slices[at] for at in shown),
            )


def _next_to(labels: Labels, before: int, at: int) -> bool:
    """Whether an image shows the slice behind another one's, of the same crop and split."""
    behind = replace(labels.slices[before], index=labels.slices[before].index + 1)
    return labels.slices[at] == behind and labels.splits[at] == labels.splits[before]


def _require_whole_tests(cases: Sequence[Case], what: str) -> None:
    there: dict[str, tuple[int, int]] = {}
    for case in cases:
        if case.split == "test" and case.volume:
            known = there.get(case.volume.name, (0, 0))[0]
            there[case.volume.name] = known + len(case.images), len(case.volume.indices)
    raise_listed(
        f"volumes of the split test are not whole in {what}: what is wrongly seen in the slices that are not there would count "
        "for nothing; extract them without --drop-empty, to a new store",
        [f"{name}: {known} of {count} slices are there" for name, (known, count) in there.items() if known != count],
    )


def _left_out(cases: Sequence[Case]) -> Iterator[str]:
    without = [case.name for case in cases if not case.split]
    if without:
        yield f"{_some(without)} left out: of no split; tedm-label gives them one"
    unlabelled = [case.name for case in cases if case.split in ("train", "val") and not case.labelled]
    if unlabelled:
        yield f"{_some(unlabelled)} of the splits train and val left out: they have no mask, and nnU-Net takes none without"


def _lacking(cases: Sequence[Case]) -> Iterator[str]:
    parts: dict[str, list[Case]] = {}
    for case in cases:
        if case.volume and len(case.images) < len(case.volume.indices):
            parts.setdefault(case.volume.name, []).append(case)
    if parts:
        written = counted(sum(map(len, parts.values())), "case")
        yield (
            f"{counted(len(parts), 'volume')} ({listed(parts, most=3)}) not whole in the store (--drop-empty?): each run of "
            f"neighbouring slices is a case, {written} in all; nothing is made up for the slices between"
        )


def _some(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'case')} ({listed(names, most=3)})"
