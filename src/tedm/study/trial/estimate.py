"""What is left of a study, and what that will take: measured by the units that are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from tedm.study.stages import Log, mute
from tedm.study.trial.features import extraction_costs
from tedm.study.trial.run import require_before
from tedm.study.trial.spec import Study
from tedm.study.trial.units import Unit, cost_of, disk_of, units_of
from tedm.text import columns, counted, duration, size

UNKNOWN = "unknown until the first is done"


@dataclass(frozen=True)
class MethodLeft:
    """What is left of a method.

    Parameters
    ----------
    label : str
    units, done : int
        Units of it, and those that are done.
    seconds : float or None
        What the others will take, by the mean of those that are done; None where nothing is known.
    disk : int or None
        Bytes that they will take, likewise.
    """

    label: str
    units: int
    done: int
    seconds: float | None
    disk: int | None

    @property
    def left(self) -> int:
        """Units that are not done."""
        return self.units - self.done


@dataclass(frozen=True)
class Estimate:
    """What is left of a study.

    Parameters
    ----------
    extraction : tuple of str
        What the extraction of features will take, in lines; empty where they are whole.
    methods : tuple of MethodLeft
    """

    extraction: tuple[str, ...]
    methods: tuple[MethodLeft, ...]

    @property
    def lines(self) -> list[str]:
        """Say it in lines: features, methods, all together."""
        table = [["method", "units", "done", "time left", "disk left"]]
        for each in self.methods:
            table.append([each.label, str(each.units), str(each.done), *_said(each.left, each.seconds, each.disk)])
        left = sum(each.left for each in self.methods)
        unknown = [each.label for each in self.methods if each.seconds is None]
        seconds = fsum(each.seconds for each in self.methods if each.seconds is not None)
        disk = sum(each.disk for each in self.methods if each.disk is not None)
        total = f"{counted(left, 'fit')} left"
        if left and len(unknown) < sum(each.left > 0 for each in self.methods):
            total += f": {duration(seconds)}, {size(disk)}" + (f", and {counted(len(unknown), 'method')} more" * bool(unknown))
        elif left:
            total += f"; time and disk {UNKNOWN}"
        features = list(self.extraction) or ["features: all there"]
        return [*features, *columns(table), total]


def estimate_study(
    study: Study, out: Path, *, shard: tuple[int, int] | None = None, only: Sequence[str] = (), log: Log = mute
) -> Estimate:
    """Tell what is left of a study, and what it will take; nothing is written to its folder.

    Parameters
    ----------
    study, out, shard, only
        See `tedm.study.trial.run_study`.
    log : callable
        Takes remarks on the images.

    Raises
    ------
    TedmError
        Whatever `run_study` would refuse before it extracts, and what the extraction itself would refuse.
    """
    sources = require_before(study, out, only, log=log)
    units = units_of(study, out, shard=shard, only=only)
    labels = dict.fromkeys(unit.method.label for unit in units)
    lefts = [_left([unit for unit in units if unit.method.label == label]) for label in labels]
    return Estimate(tuple(extraction_costs(study, out, sources)), tuple(lefts))


def _left(units: Sequence[Unit]) -> MethodLeft:
    """Return what is left of the units of one method."""
    done = [unit for unit in units if unit.done]
    left = len(units) - len(done)
    known = [seconds for unit in done if (seconds := cost_of(unit).seconds) is not None]
    sizes = [disk_of(unit) for unit in done]
    seconds = 0.0 if not left else left * fsum(known) / len(known) if known else None
    disk = 0 if not left else left * sum(sizes) // len(sizes) if sizes else None
    return MethodLeft(units[0].method.label, len(units), len(done), seconds, disk)


def _said(left: int, seconds: float | None, disk: int | None) -> tuple[str, str]:
    """Say what the rest of a method takes."""
    if not left:
        return "none", "none"
    return "unknown" if seconds is None else duration(seconds), "unknown" if disk is None else size(disk)
