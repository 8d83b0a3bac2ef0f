"""The units of a study: one fit and its scores, a folder that is done or absent, whatever became of the others.

    OUT/units/METHOD/n-N-seed-S/head        the head, as tedm-fit writes it
                               /scores      records.csv, and voting.csv and volumes.csv where there are such
                               /fit-cost.json, /score-cost.json

A head is whole or absent, its scores are whole or absent. What a unit cost lies apart: it is no result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tedm.foreign import json_of
from tedm.heads import NCounts
from tedm.study.trial.names import folder_name
from tedm.study.trial.spec import MethodAsked, Study

UNITS, FEATURES = "units", "features"  # folders in that of the study


@dataclass(frozen=True)
class Unit:
    """One fit and its scores.

    Parameters
    ----------
    method : MethodAsked
    n, seed : int
    number : int
        Its place among the units of the study, method by method, size by size, seed by seed.
    folder : Path
    counts : {"images", "groups"}
        What `n` is a number of.
    """

    method: MethodAsked
    n: int
    seed: int
    number: int
    folder: Path
    counts: NCounts

    def __str__(self) -> str:
        return f"{self.method.label}, n = {self.n}, seed {self.seed}"

    @property
    def head(self) -> Path:
        """Where its head is."""
        return self.folder / "head"

    @property
    def scores(self) -> Path:
        """Where its records are."""
        return self.folder / "scores"

    @property
    def fitted(self) -> bool:
        """Whether its head is there."""
        return (self.head / "head.json").is_file()

    @property
    def done(self) -> bool:
        """Whether its records are there, and its head."""
        return self.fitted and (self.scores / "records.csv").is_file()

    @property
    def fit_cost(self) -> Path:
        """Where it is said what the fit cost."""
        return self.folder / "fit-cost.json"

    @property
    def score_cost(self) -> Path:
        """Where it is said what the scoring cost."""
        return self.folder / "score-cost.json"


@dataclass(frozen=True)
class Cost:
    """What a unit cost, as far as it is known: a process that is killed between a result and its cost leaves none.

    Parameters
    ----------
    fit, score : float or None
        Seconds; of a fit that was stopped, those of the run that finished it.
    iterations : int or None
        Of the head.
    """

    fit: float | None = None
    score: float | None = None
    iterations: int | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds of both; None where one is not known."""
        return None if self.fit is None or self.score is None else self.fit + self.score


def units_of(study: Study, out: Path, *, only: Sequence[str] = (), shard: tuple[int, int] | None = None) -> list[Unit]:
    """Return the units of a study, those of one training set side by side.

    Parameters
    ----------
    study : Study
    out : Path
        The study's folder.
    only : sequence of str
        Labels of methods; none takes all.
    shard : tuple of (i, k), or None
        Take every k-th unit, from the i-th on. Units are counted method by method, so that each shard has its part of dear
        methods.
    """
    runs = [(method, n, seed) for method in study.methods for n, seed in study.runs_of(method)]
    units = [
        Unit(method, n, seed, number, out / UNITS / folder_name(method.label) / f"n-{n}-seed-{seed}", study.counts)
        for number, (method, n, seed) in enumerate(runs)
        if not only or method.label in only
    ]
    part, parts = shard or (0, 1)
    mine = [unit for unit in units if unit.number % parts == part]
    return sorted(mine, key=lambda unit: (unit.n, unit.seed))  # stable: methods stay in the order of the file


def by_training_set(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield the units of one size and seed together, of `units_of`: they learn from the same images."""
    for _, group in groupby(units, key=lambda unit: (unit.n, unit.seed)):
        yield list(group)


def cost_of(unit: Unit) -> Cost:
    """Return what a unit cost, as far as it is known."""
    fit, score = _read(unit.fit_cost), _read(unit.score_cost)
    iterations = fit.get("iterations")
    return Cost(fit.get("seconds"), score.get("seconds"), None if iterations is None else int(iterations))


def disk_of(unit: Unit) -> int:
    """Return the bytes of a unit's files."""
    return sum(file.stat().st_size for file in unit.folder.rglob("*") if file.is_file())


def cost_text(seconds: float, iterations: int | None = None) -> bytes:
    """Return what `fit_cost` and `score_cost` hold."""
    known = {"seconds": round(seconds, 3)} | ({} if iterations is None else {"iterations": iterations})
    return f"{json.dumps(known)}\n".encode()


def _read(path: Path) -> dict[str, float]:
    """Return the numbers of a file of costs; what cannot be read is not known."""
    try:
        values = json_of(path)
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
