"""A study done: unit after unit, each done or absent, so that whoever stops it goes on with the same call.

The units of one training set (n and seed) are fitted one after the other, and what is not scored of them then is scored in one
pass: each test image is read once for all their heads.
"""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from tedm.devices import choose_device
from tedm.errors import TedmError
from tedm.files import free_space, make_folder, require_writable
from tedm.heads import HERE, Workers
from tedm.store import Features
from tedm.study.fit import published_remarks
from tedm.study.stages import Log, Progress, Stages, mute, silent
from tedm.study.trial.asked import FILE, REMEDY, require_same_methods, require_study, settle
from tedm.study.trial.check import require_possible, require_unseen
from tedm.study.trial.features import (
    Source,
    images_of_study,
    labels_of_study,
    place_of_features,
    sources_of,
    timesteps_of_study,
    views_of_study,
    whole_features,
)
from tedm.study.trial.paper import write_study_paper
from tedm.study.trial.results import Results, assemble
from tedm.study.trial.spec import Study
from tedm.study.trial.units import Unit, by_training_set, disk_of, units_of
from tedm.study.trial.work import Work
from tedm.text import counted, listed, size
from tedm.threads import torch_threads

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Outcome:
    """What a run of a study did.

    Parameters
    ----------
    done : int
        Units that this run finished.
    missing : int
        Units of the study that are not done yet: those of other shards and of methods that were not asked for.
    results : Results or None
        None where units are missing.
    paper : tuple of str
        A line for each table and figure of the paper that was written, or left out, why; empty where units are missing.
    """

    done: int
    missing: int
    results: Results | None
    paper: tuple[str, ...] = ()


def run_study(
    study: Study,
    out: Path,
    *,
    shard: tuple[int, int] | None = None,
    only: Sequence[str] = (),
    device: Device = "auto",
    threads: int | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    progress: Stages = silent,
    log: Log = mute,
) -> Outcome:
    """Extract, fit and score what is missing of a study, and put all together when nothing is.

    Parameters
    ----------
    study : Study
        See `read_study`.
    out : Path
        The study's folder: new, or that of the same study.
    shard : tuple of (i, k), or None
        Do every k-th unit, from the i-th on. Shards may run anywhere and at any time; whichever is last puts all together.
    only : sequence of str
        Labels of the methods whose units are done; none does all.
    device : {"auto", "cpu", "cuda"}
        Where torch computes.
    threads : int or None
        Of torch on a CPU; None leaves it as it is.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        A cluster that computes image by image, or this process.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    Outcome

    Raises
    ------
    TedmError
        If the study cannot be done, the folder is that of another one or cannot be written, all before any fit; what is done
        then stays done.
    """
    where = choose_device(device)
    if threads is not None and threads < 1:
        raise TedmError(f"--threads {threads}; give 1 or more")
    sources = require_before(study, out, only, log=log)
    with _folder(out), torch_threads(threads):
        require_writable(out / FILE, what="the study to", remedy=REMEDY)
        features = whole_features(study, out, sources, shard=shard, device=device, threads=threads, progress=progress, log=log)
        # masks may be others than the files'
        require_possible(study, features.labels, features.settings.timesteps, views_of_study(study, out))
        require_unseen(study, features)
        settle(study, out, features)
        mine = units_of(study, out, only=only, shard=shard)
        left = [unit for unit in mine if not unit.done]
        for line in _published_notes(study, features):
            log(line)
        log(f"{counted(len(mine), 'unit')} of {study.title}, {len(mine) - len(left)} done")
        work = Work(study, features, where, memory, workers, str(place_of_features(study, out)), log)
        _require_space(units_of(study, out), left, out)
        with progress("fitting and scoring") as show:
            _do(work, left, show)
        missing = sum(not unit.done for unit in units_of(study, out))
        if missing:
            return Outcome(len(left), missing, None)
        results = assemble(study, out)
        with progress("drawing"):
            lines = write_study_paper(study, out, results, features, device=where)
        return Outcome(len(left), 0, results, tuple(lines))


def require_before(study: Study, out: Path, only: Sequence[str] = (), *, log: Log = mute) -> list[Source]:
    """Refuse, and write nothing, what can be refused before features are extracted.

    Returns
    -------
    list of Source
        The images that features are to be extracted from.

    Raises
    ------
    TedmError
        If the study cannot be done with its images, a method is not one of the study's, or the folder is something else than
        this study's.
    """
    labels = [method.label for method in study.methods]
    for label in only:
        if label not in labels:
            close = get_close_matches(label, labels, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {listed(labels)}"
            raise TedmError(f"there is no method {label!r} in {study.source}; {hint}")
    require_study(out)
    sources = sources_of(study, out, log)
    images = labels_of_study(study, out, sources)
    starts = any(method.checkpoint is not None for method in study.methods)
    there = images_of_study(study, out) if starts else None
    require_possible(study, images, timesteps_of_study(study, out), views_of_study(study, out), there)
    require_same_methods(study, out, images)
    return sources


def _published_notes(study: Study, features: Features) -> list[str]:
    """Return what whoever asks for methods as published should know, each sentence once."""
    methods = [method.settled() for method in study.methods if method.as_published]
    notes = [note for method in methods for note in published_remarks(features, method, domain=study.learn.domain)]
    return list(dict.fromkeys(notes))


def _require_space(units: Sequence[Unit], left: Sequence[Unit], out: Path) -> None:
    """Refuse what its disk does not hold, by the units that are done; of methods that have none nothing is known."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for unit in units:
        if unit.done:
            sizes[unit.method.label].append(disk_of(unit))
    needed = sum(sum(sizes[label]) // len(sizes[label]) for label in (unit.method.label for unit in left) if sizes[label])
    free = free_space(out)
    if needed > free:
        raise TedmError(
            f"{counted(len(left), 'fit')} left to do: {size(needed)} in {out}, and its disk has {size(free)} free; {REMEDY}"
        )


def _do(work: Work, left: Sequence[Unit], show: Progress) -> None:
    """Fit and score units, training set by training set."""
    finished = 0
    for group in by_training_set(left):
        for number, unit in enumerate(group):
            if not unit.fitted:
                work.fit(unit, functools.partial(show, finished + number, len(left)))
        work.score(group)
        finished += len(group)
        show(finished, len(left), str(group[-1]))


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Make the study's folder, and delete it again where the work fails before anything is in it."""
    there = out.exists()
    make_folder(out, remedy=REMEDY)
    try:
        yield
    except BaseException:
        if not there:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise
