"""The table of methods x training sizes x domains.

A cell is one method trained on n images and tested in one domain: the mean and deviation over images, as
`tedm.heads.metrics.summary` has it. In each domain and n the best method is found, and the others are tested against it on the
same images. Every rendering prints these cells and computes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import tedm.heads.evaluation.render as render
from tedm.errors import TedmError
from tedm.heads.evaluation.comparison import Comparison, comparisons, foreground_of
from tedm.heads.evaluation.records import Record, read_records, write_records
from tedm.heads.metrics.significance import holm, paired_p_value
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, Metric, mean_and_deviation, mean_over_repeats

__all__ = ["Cell", "Metric", "Record", "Table", "read_records", "summarise", "write_records"]


@dataclass(frozen=True)
class Cell:
    """One method trained on `n` images, tested in one domain; `mean` and `deviation` in points (x 100).

    `images` counts those that are averaged, `groups` their groups, and `left_out` the others: of these, `unmatched` have no
    score of some method that is compared. `without_class` counts images whose truth shows no foreground class; the convention
    for empty truths decides whether they are averaged. `p_value` is that of the test against the best method, corrected for the
    number of methods compared in this domain and n; NaN for the best itself.
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
    without_class: int = 0
    unmatched: int = 0

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
    empty: EmptyTruth = LEAVE_OUT

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


def summarise(
    records: Iterable[Record], *, metric: Metric = "dice", alpha: float = 0.05, empty: EmptyTruth = LEAVE_OUT
) -> Table:
    """Make the table of methods x training sizes x domains; the order of the records changes nothing.

    Parameters
    ----------
    records : iterable of Record
        Where there are several class values, the smallest is the background and left out.
    metric : {"dice", "precision", "recall", "iou"}
        What is averaged and compared.
    alpha : float
        Level of the test in 0 < alpha < 1, after Holm's correction.
    empty : {"leave-out", "count"}
        Whether an image has no score of a class that its truth does not show, whatever was predicted there, or counts 1 where
        nothing of the class was predicted and 0 otherwise.

    Returns
    -------
    Table
        In each domain and n all methods are averaged and tested over the same images.

    Raises
    ------
    TedmError
        If the methods and seeds of one domain and n were not scored on the same images and classes or against the same masks, a
        score comes twice, the records mix resolutions or, in one domain, splits, or there is no such metric or convention.

    Examples
    --------
    >>> row = Record("tedm", 1, 0, "in", "test", "a", "a", 1, 0.9, 0.9, 0.9, 0.8, 1, "feature")
    >>> [cell.mean for cell in summarise([row]).cells]
    [90.0]
    """
    records = list(records)
    if not 0 < alpha < 1:
        raise TedmError(f"alpha must lie between 0 and 1, got {alpha}")
    if not records:
        raise TedmError("there are no scores to make a table of")
    resolution = _only_one(records)
    compared = comparisons(records, metric=metric, empty=empty)
    compared.sort(key=lambda comparison: (render.natural(comparison.domain), comparison.n))
    cells = [cell for comparison in compared for cell in _compete(comparison, alpha)]
    return Table(tuple(cells), metric, alpha, resolution, foreground_of(records), empty)


def _compete(comparison: Comparison, alpha: float) -> list[Cell]:
    names = sorted(comparison.scores, key=render.natural)
    scores = {name: mean_over_repeats(comparison.scores[name]) for name in names}
    cells = {name: _cell(comparison, name, scores[name]) for name in names}
    ranked = [name for name in names if cells[name].images]
    if ranked:
        best = max(ranked, key=lambda name: cells[name].mean)  # of equals the first: their test says 1, so both are marked
        cells[best] = replace(cells[best], best=True)
        others = [name for name in ranked if name != best]
        p_values = holm([paired_p_value(scores[best], scores[name]) for name in others])
        for name, p_value in zip(others, p_values, strict=True):
            cells[name] = replace(cells[name], p_value=p_value, equal=p_value >= alpha)
    return [cells[name] for name in names]


def _cell(comparison: Comparison, method: str, scores: NDArray[np.float64]) -> Cell:
    mean, deviation = mean_and_deviation(scores)
    scored = ~np.isnan(scores)
    places = zip(comparison.images, comparison.groups, scored, strict=True)
    return Cell(
        domain=comparison.domain,
        n=comparison.n,
        method=method,
        mean=100 * mean,
        deviation=100 * deviation,
        images=int(scored.sum()),
        left_out=int((~scored).sum()),
        groups=len({group or image for image, group, has_score in places if has_score}),
        seeds=len(comparison.scores[method]),
        labels_used=comparison.labels_used[method],
        without_class=comparison.without_class,
        unmatched=comparison.unmatched if scored.any() else 0,
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
