"""The table of methods x training sizes x domains.

A cell is one method trained on n images and tested in one domain: the score of an image is the mean over its foreground
classes, then over seeds; the cell is the mean and deviation over images. In each domain and n the best method is found, and the
others are tested against it on the same images. Every rendering prints these cells and computes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError

from . import render
from .compare import holm, paired_p_value
from .records import Record, read_records, write_records
from .scores import mean_and_deviation

__all__ = ["Cell", "Metric", "Record", "Table", "read_records", "summarise", "write_records"]

Metric = Literal["dice", "precision", "recall", "iou"]


@dataclass(frozen=True)
class Cell:
    """One method trained on `n` images, tested in one domain; `mean` and `deviation` in points (x 100).

    `images` counts those with a score, `left_out` those whose score is NaN in every class and seed. `p_value` is that of the
    test against the best method, corrected for the number of methods compared in this domain and n; NaN for the best itself.
    """

    domain: str
    n: int
    method: str
    mean: float
    deviation: float
    images: int
    left_out: int
    groups: int
    seeds: int
    labels_used: int
    p_value: float = float("nan")
    best: bool = False
    equal: bool = False

    @property
    def marked(self) -> bool:
        """Whether it is the best or not significantly different from the best."""
        return self.best or self.equal


@dataclass(frozen=True)
class Table:
    """All cells, ordered by domain, n and method, with what was scored and how."""

    cells: tuple[Cell, ...]
    metric: Metric
    alpha: float
    resolution: str
    class_values: tuple[int, ...]

    def to_text(self) -> str:
        """Lay out for a terminal; the best and its equals carry a ``*``."""
        return render.text(self)

    def to_csv(self) -> str:
        """One row a cell, every digit."""
        return render.csv(self)

    def to_markdown(self) -> str:
        """One table a domain; the best and its equals in bold."""
        return render.markdown(self)

    def to_latex(self) -> str:
        """One tabular with booktabs' rules; the best and its equals in bold."""
        return render.latex(self)

    def grids(self) -> list[render.Grid]:
        """Captions, titles and rows, domain by domain, for those who lay out themselves."""
        return render.grids(self)

    def notes(self, mark: str = "bold") -> list[str]:
        """What stands below the table; `mark` is what the best and its equals carry."""
        return render.notes(self, mark)


def summarise(records: Iterable[Record], *, metric: Metric = "dice", alpha: float = 0.05) -> Table:
    """Make the table of methods x training sizes x domains; the order of the records changes nothing.

    Parameters
    ----------
    records : iterable of Record
        Where there are several class values, the smallest is the background and left out.
    metric : {"dice", "precision", "recall", "iou"}
        What is averaged and compared.
    alpha : float
        Level of the test in 0 < alpha < 1, after Holm's correction.

    Raises
    ------
    TedmError
        If the methods and seeds of one domain and n were not scored on the same images and classes, a score comes twice, or the
        records mix resolutions or, in one domain, splits.

    Examples
    --------
    >>> row = Record("tedm", 1, 0, "in", "test", "a", "a", 1, 0.9, 0.9, 0.9, 0.8, 1, "feature")
    >>> [cell.mean for cell in summarise([row]).cells]
    [90.0]
    """
    records = list(records)
    if metric not in get_args(Metric):
        raise TedmError(f"no metric {metric!r}; the metrics are {', '.join(get_args(Metric))}")
    if not 0 < alpha < 1:
        raise TedmError(f"alpha must lie between 0 and 1, got {alpha}")
    if not records:
        raise TedmError("there are no scores to make a table of")
    resolution = _only_one(records)
    classes = sorted({record.class_value for record in records})
    foreground = tuple(classes[1:] or classes)
    competitions: dict[tuple[str, int], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        competitions[record.domain, record.n][record.method].append(record)
    cells: list[Cell] = []
    for domain, n in sorted(competitions, key=lambda key: (render.natural(key[0]), key[1])):
        methods = competitions[domain, n]
        _check_same_images(domain, n, methods)
        cells += _compete(methods, foreground, metric, alpha)
    return Table(tuple(cells), metric, alpha, resolution, foreground)


def _compete(methods: Mapping[str, list[Record]], foreground: Sequence[int], metric: Metric, alpha: float) -> list[Cell]:
    names = sorted(methods, key=render.natural)
    scores = {name: _image_scores(methods[name], foreground, metric) for name in names}
    cells = {name: _cell(methods[name], scores[name]) for name in names}
    ranked = [name for name in names if cells[name].images]
    if ranked:
        best = max(ranked, key=lambda name: cells[name].mean)  # of equals the first: their test says 1, so both are marked
        cells[best] = replace(cells[best], best=True)
        others = [name for name in ranked if name != best]
        p_values = holm([paired_p_value(scores[best], scores[name]) for name in others])
        for name, p_value in zip(others, p_values, strict=True):
            cells[name] = replace(cells[name], p_value=p_value, equal=p_value >= alpha)
    return [cells[name] for name in names]


def _image_scores(records: Iterable[Record], foreground: Sequence[int], metric: Metric) -> NDArray[np.float64]:
    """One score an image, images in the order of their names: the mean over seeds of the means over classes."""
    by_image: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda record: (record.image, record.seed, record.class_value)):
        if record.class_value in foreground:
            by_image[record.image][record.seed].append(getattr(record, metric))
    return np.array([mean_and_deviation(mean_and_deviation(s)[0] for s in seeds.values())[0] for seeds in by_image.values()])


def _cell(records: Sequence[Record], scores: NDArray[np.float64]) -> Cell:
    mean, deviation = mean_and_deviation(scores)
    left_out = int(np.isnan(scores).sum())
    return Cell(
        domain=records[0].domain,
        n=records[0].n,
        method=records[0].method,
        mean=100 * mean,
        deviation=100 * deviation,
        images=len(scores) - left_out,
        left_out=left_out,
        groups=len({record.group or record.image for record in records}),
        seeds=len({record.seed for record in records}),
        labels_used=max(record.labels_used for record in records),
    )


def _only_one(records: Sequence[Record]) -> str:
    resolutions = sorted({record.resolution for record in records})
    if len(resolutions) > 1:
        raise TedmError(
            f"scores at several resolutions ({', '.join(resolutions)}) do not belong in one table; evaluate all at one"
        )
    splits: dict[str, set[str]] = defaultdict(set)
    for record in records:
        splits[record.domain].add(record.split)
    for domain, names in sorted(splits.items()):
        if len(names) > 1:
            raise TedmError(f"domain {domain} mixes the splits {', '.join(sorted(names))}; make one table for each split")
    return resolutions[0]


def _check_same_images(domain: str, n: int, methods: Mapping[str, Sequence[Record]]) -> None:
    """Refuse what a paired test cannot compare: each method and seed must have the same images and classes, each once."""
    where = f"domain {domain}, n = {n}"
    scored: dict[tuple[str, int], Counter[tuple[str, int]]] = defaultdict(Counter)
    for method, records in methods.items():
        for record in records:
            scored[method, record.seed][record.image, record.class_value] += 1
    everything = set().union(*scored.values())
    for (method, seed), counts in sorted(scored.items()):
        (image, value), times = counts.most_common(1)[0]
        if times > 1:
            raise TedmError(
                f"{where}: {method} (seed {seed}) has {times} scores for image {image}, class {value}; keep one of them"
            )
        missing = sorted(everything - set(counts))
        if missing:
            raise TedmError(
                f"cannot compare the methods of {where}: they were not scored on the same images\n"
                f"  {method} (seed {seed}) lacks {len(missing)} of {len(everything)} scores, first image {missing[0][0]}, "
                f"class {missing[0][1]}\nEvaluate all methods and seeds on the same images, or leave {method} out."
            )
