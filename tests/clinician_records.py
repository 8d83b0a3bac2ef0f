"""Constructed records of a comparison: scores that are known, so that what is said of them is too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

from tedm.heads import Record


def rows(
    method: str,
    dice: Sequence[float],
    *,
    n: int = 6,
    seed: int = 0,
    domain: str = "",
    patients: Sequence[str] | None = None,
    classes: Mapping[int, str] | None = None,
    **changes: object,
) -> list[Record]:
    """Return a record for each image and class (0 is the background); the images are scan 0, scan 1, ... of their domain."""
    made = []
    for at, value in enumerate(dice):
        image = f"{domain} scan {at}".strip()
        group = image if patients is None else patients[at]
        for number, name in {0: "", **(classes or {1: ""})}.items():
            one = 0.99 if number == 0 else value
            recall = nan if one != one else one
            made.append(Record(method, n, seed, domain, "test", image, group, number, one, one, recall, one, n, "feature"))
            made[-1] = replace(made[-1], class_name=name, **changes)  # type: ignore[arg-type]
    return made


def spread(mean: float, count: int = 8) -> list[float]:
    """Return scores around a mean, another one for each image."""
    return [mean + 0.01 * (at - (count - 1) / 2) for at in range(count)]
