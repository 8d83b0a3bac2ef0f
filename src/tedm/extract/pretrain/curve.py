"""The loss of a training run, point by point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tedm.errors import TedmError
from tedm.files import what_helps
from tedm.jsons import JsonValue


@dataclass(frozen=True)
class Point:
    """The loss at an iteration.

    Parameters
    ----------
    iteration : int
        Iterations done.
    training : float or None
        Mean over the iterations since the point before; None before the first.
    validation : float or None
        On images held out; None if there are none.
    """

    iteration: int
    training: float | None
    validation: float | None


class LossCurve:
    """Points, and the losses since the last one: a run that goes on from its file has the curve of one that never stopped."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._since: list[float] = []

    def add(self, loss: float) -> None:
        """Take note of an iteration's loss."""
        self._since.append(loss)

    def close(self, iteration: int, validation: float | None) -> None:
        """Make a point of the losses since the last."""
        training = math.fsum(self._since) / len(self._since) if self._since else None
        self.points.append(Point(iteration, training, validation))
        self._since = []

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values, from which `from_json` makes an equal curve."""
        return {"points": [asdict(point) for point in self.points], "since": self._since}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`; `KeyError` or `TypeError` if it is something else."""
        curve = cls()
        curve.points = [Point(**point) for point in content["points"]]
        curve._since = [float(loss) for loss in content["since"]]
        return curve


def write_curve(points: Sequence[Point], path: Path) -> None:
    """Write points as CSV, all at once: `iteration,training,validation`, empty where there is no loss.

    Raises
    ------
    TedmError
        If the file cannot be written.
    """
    lines = ["iteration,training,validation"]
    lines += [f"{point.iteration},{_number(point.training)},{_number(point.validation)}" for point in points]
    aside = path.with_name(path.name + ".partial")
    try:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        remedy = what_helps(error, "make room or name another folder")
        raise TedmError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def _number(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.6f}"
