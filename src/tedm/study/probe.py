"""A store probed: which timesteps and levels are worth what, said in words and kept in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tedm.files import beside, reserved
from tedm.heads import LEAVE_OUT, STRENGTHS, By, EmptyTruth, Findings, Order, advice, probe
from tedm.store import Features
from tedm.study.report.probe import write_findings
from tedm.study.stages import Stages, silent


@dataclass(frozen=True)
class Probed:
    """What probes found, and what that means in paragraphs."""

    findings: Findings
    advice: tuple[str, ...]


def probe_store(
    features: Features,
    *,
    folder: Path | None = None,
    sizes: Sequence[int | None] | None = None,
    repeats: int = 5,
    by: By = "timestep",
    domain: str | None = None,
    train: str | None = "train",
    test: str | None = "test",
    ridge: Sequence[float] = STRENGTHS,
    memory: int | None = None,
    processes: int | None = None,
    empty: EmptyTruth = LEAVE_OUT,
    order: Order = "seed",
    what: str = "the store",
    command: str = "",
    progress: Stages = silent,
) -> Probed:
    """Fit a small classifier on each timestep or level, and write what comes out to a folder.

    Parameters
    ----------
    features, sizes, repeats, by, domain, train, test, ridge, memory, empty, order
        See `tedm.heads.probe`.
    folder : Path or None
        Not there yet, or empty; see `write_findings`. A run that was stopped goes on where it was. None writes nothing.
    processes : int or None
        Probes that are computed at once; None takes one for each core.
    what, command : str
        What the folder says of the features, and of how it was made.
    progress
        See `tedm.study.stages`.

    Returns
    -------
    Probed

    Raises
    ------
    TedmError
        As `tedm.heads.probe` does, or if the folder is taken or cannot be written.
    """
    kept, cores = None if folder is None else beside(folder, ".probes"), torch.get_num_threads()
    with reserved(folder, what="the result"), progress("probing") as show:
        findings = probe(
            features,
            sizes=sizes,
            repeats=repeats,
            by=by,
            domain=domain,
            train=train,
            test=test,
            ridge=ridge,
            memory=memory,
            processes=cores if processes is None else processes,
            kept=kept,
            progress=show,
            empty=empty,
            order=order,
        )
        done = Probed(findings, tuple(advice(findings)))
        if folder is not None and kept is not None:
            write_findings(folder, features, findings, done.advice, by=by, what=what, command=command)
            shutil.rmtree(kept, ignore_errors=True)
    return done
