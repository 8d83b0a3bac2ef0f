"""A finished study as the paper's tables and figures: which records play which part, and examples to look at."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tedm.heads import Record, Segmenter, load_head, predict
from tedm.store import IGNORE, Features
from tedm.store.splits import labelled_images
from tedm.study.paper import Cost, PaperResults, Picture, write_paper
from tedm.study.paper.results import ROLES, Role
from tedm.study.report.report import write_report
from tedm.study.trial.results import Results
from tedm.study.trial.spec import MethodAsked, Study
from tedm.study.trial.units import Unit, cost_of, units_of

PAPER, REPORT = "paper", "report.html"
PROBE = "timestep:"


def write_study_paper(study: Study, out: Path, results: Results, features: Features, *, device: str = "cpu") -> list[str]:
    """Write OUT/paper, a result folder, and OUT/report.html; those of an earlier run are replaced.

    Parameters
    ----------
    study : Study
        Finished.
    out : Path
        Its folder.
    results : Results
        What `assemble` gave.
    features : Features
        Where examples are taken from.
    device : str
        Where heads that can choose compute.

    Returns
    -------
    list of str
        A line for each thing that was written, and for each that was left out, why.

    Raises
    ------
    TedmError
        If something cannot be written.
    """
    units = units_of(study, out)
    aside = out / f".{PAPER}.new"
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was stopped here
    found = paper_results(study, units, results, list(pictures(study, units, features, device=device)))
    lines = write_paper(aside, found, command=f"tedm-study {study.source.name} OUT")
    shutil.rmtree(out / PAPER, ignore_errors=True)
    aside.rename(out / PAPER)
    (out / REPORT).unlink(missing_ok=True)
    write_report([out / PAPER], out / REPORT, title=study.title)
    return lines


def paper_results(study: Study, units: Sequence[Unit], results: Results, examples: Sequence[Picture] = ()) -> PaperResults:
    """Return what the paper's tables are made of."""
    names = _roles(study.methods)
    tedm = names.get("tedm", "tedm")
    voting = tuple(
        replace(record, method=f"t = {timestep}")
        for record in results.voting
        for label, _, timestep in (record.method.partition("@"),)
        if label == tedm
    )
    return PaperResults(
        records=results.records,
        voting=voting,
        volumes=results.volumes,
        pictures=tuple(examples),
        probes=_probes(study.methods),
        costs=tuple(_costs(units, results.records)),
        home=study.learn.domain if any(record.domain == study.learn.domain for record in results.records) else None,
        names=names,
        beside="bonferroni" if study.correction == "bonferroni" else "holm",
    )


def pictures(study: Study, units: Sequence[Unit], features: Features, *, device: str) -> Iterator[Picture]:
    """Yield an example of each part that is scored, and what every method but the probes makes of it.

    The heads are those of each method's first seed; the image is the middle one of those whose truth shows most classes (many
    a slice of a volume shows none), and is chosen by nothing that was predicted.
    """
    probes = _probes(study.methods)
    first: dict[tuple[str, int], Unit] = {}
    for unit in units:
        if unit.method.label not in probes:
            first.setdefault((unit.method.label, unit.n), unit)
    heads = {f"{label}/{n}": load_head(unit.head, device=device) for (label, n), unit in first.items()}
    if not heads:
        return
    for each in study.score:
        names = labelled_images(features.labels, split=each.split, domain=each.domain)
        yield _picture(_middle(features, names), features, heads)


def _middle(features: Features, names: Sequence[str]) -> str:
    """Return the middle one of the images whose masks show most classes."""
    shown = [len(np.setdiff1d(features.mask(name), [IGNORE])) for name in names]
    full = [name for name, classes in zip(names, shown, strict=True) if classes == max(shown)]
    return full[len(full) // 2]


def _picture(name: str, features: Features, heads: dict[str, Segmenter]) -> Picture:
    masks = {}
    for prediction in predict(features, heads, [name]):
        label, _, n = prediction.head.rpartition("/")
        masks[label, int(n)] = prediction.mask
    image = features.image(name)
    return Picture(
        image=image if image.shape[-1] == 3 else np.ascontiguousarray(image[..., 0]),
        truth=features.mask(name),
        masks=masks,
        name=name,
        domain=features.labels.domains[features.labels.index(name)],
        note="Heads of each method's first seed.",
    )


def _probes(methods: Iterable[MethodAsked]) -> dict[str, int]:
    """Return the timestep of each per-timestep probe, the first of a timestep, by its label."""
    probes: dict[str, int] = {}
    for method in methods:
        timesteps = method.settled().timesteps
        if method.method.startswith(PROBE) and len(timesteps) == 1 and timesteps[0] not in probes.values():
            probes[method.label] = timesteps[0]
    return probes


def _roles(methods: Iterable[MethodAsked]) -> dict[Role, str]:
    """Return what the study calls the methods that have a part of their own: the first of each."""
    names: dict[Role, str] = {}
    for method in methods:
        for role in ROLES:
            if method.method == role:
                names.setdefault(role, method.label)
    return names


def _costs(units: Iterable[Unit], records: Iterable[Record]) -> Iterator[Cost]:
    """Yield what the fits of each method and size cost together, as far as it is known."""
    used = {(record.method, record.n): record.labels_used for record in records}
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    for unit in units:
        fit = cost_of(unit).fit
        if fit is not None:
            seconds[unit.method.label, unit.n].append(fit)
    for (label, n), each in seconds.items():
        yield Cost(label, n, len(each), sum(each), used.get((label, n), 0))
