"""The table of methods x training sizes x domains.

A cell is one method trained on n images and tested in one domain: the mean and deviation over images, as
`tedm.heads.metrics.summary` has it. In each domain and n the best method is found, and the others are tested against it on the
same images. Every rendering prints these cells and computes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.evaluation import render
from tedm.heads.evaluation.cells import Cell, Cells
from tedm.heads.evaluation.comparison import Comparison, class_names, comparisons, foreground_values
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import SCALES, Metric, Scale
from tedm.heads.metrics.significance import CORRECTIONS, Correction, corrected, paired_p_value
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, mean_and_deviation, mean_over_repeats
from tedm.text import listed, natural


class Table(Cells):
    """The cells with their renderings; made by `summarise`."""

    def to_text(self) -> str:
        """Lay out for a terminal; the best and its equals carry a ``*``."""
        return render.text(self)

    def to_csv(self) -> str:
        """Write one row a cell, every digit."""
        return render.csv(self)

    def to_markdown(self) -> str:
        """Write one table a domain; the best and its equals in bold."""
        return render.markdown(self)

    def to_latex(self) -> str:
        """Write one tabular with booktabs' rules; the best and its equals in bold."""
        return render.latex(self)

    def grids(self) -> list[render.Grid]:
        """Return captions, titles and rows, domain by domain, for those who lay out themselves."""
        return render.grids(self)

    def notes(self, mark: str = "bold") -> list[str]:
        """Return what stands below the table; `mark` is what the best and its equals carry."""
        return render.notes(self, mark)


def summarise(
    records: Iterable[Record],
    *,
    metric: Metric = "dice",
    alpha: float = 0.05,
    empty: EmptyTruth = LEAVE_OUT,
    by_class: bool = False,
    correction: Correction = "holm",
) -> Table:
    """Make the table of methods x training sizes x domains (x classes); the order of the records changes nothing.

    Parameters
    ----------
    records : iterable of Record
        Where there are several class values, the smallest is the background and left out.
    metric : one of `tedm.heads.metrics.measures.METRICS`
        What is averaged and compared.
    alpha : float
        Level of the test in 0 < alpha < 1, after the correction.
    empty : {"leave-out", "count"}
        Whether an image has no score of a class that its truth does not show, whatever was predicted there, or counts 1 where
        nothing of the class was predicted and 0 otherwise.
    by_class : bool
        Whether each foreground class has cells of its own, in place of the mean over classes. An image that is left out for
        one class counts for another.
    correction : {"holm", "bonferroni", "none"}
        For the number of comparisons: in each domain and n, those of the best method with all others; by class, those of all
        classes together.

    Returns
    -------
    Table
        In each domain and n (and class) all methods are averaged and tested over the same images.

    Raises
    ------
    TedmError
        If the methods and seeds of one domain and n were not scored on the same images and classes or against the same masks, a
        score comes twice or was not measured, the records mix resolutions, what n counts or, in one domain, splits, or there is
        no such metric or convention.

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
    if correction not in CORRECTIONS:
        raise TedmError(f"no correction {correction!r}; the corrections are {listed(CORRECTIONS)}")
    resolution, names = _common_resolution(records), class_names(records)
    foreground = foreground_values(records)
    cells: list[Cell] = []
    for value in foreground if by_class else (None,):
        mine = [record for record in records if value is None or record.class_value == value]
        for comparison in comparisons(mine, metric=metric, empty=empty):
            of_class = _compared_cells(comparison, SCALES[metric])
            cells += [replace(cell, class_value=value, class_name="" if value is None else names[value]) for cell in of_class]
    cells = _marked(cells, alpha, correction)
    cells.sort(key=lambda cell: (natural(cell.domain), foreground.index(cell.class_value) if by_class else 0, cell.n))
    tolerance = max((record.tolerance for record in records if record.tolerance >= 0), default=nan)
    return Table(
        tuple(cells),
        metric,
        alpha,
        resolution,
        foreground,
        empty,
        records[0].n_counts,
        tolerance if metric == "nsd" else nan,
        tuple(names[value] for value in foreground),
        by_class,
        correction,
    )


def _compared_cells(comparison: Comparison, scale: Scale) -> list[Cell]:
    """Return the cells of a comparison, the best one marked, the others with their p-values as they are."""
    names = sorted(comparison.scores, key=natural)
    scores = {name: mean_over_repeats(comparison.scores[name]) for name in names}
    cells = {name: _cell(comparison, name, scores[name], scale) for name in names}
    ranked = [name for name in names if cells[name].images]
    if ranked:
        # of equals the first: their test says 1, so both are marked
        best = max(ranked, key=lambda name: scale.rank(cells[name].mean))
        cells[best] = replace(cells[best], best=True)
        others = [name for name in ranked if name != best]
        for name in others:
            cells[name] = replace(cells[name], p_value=paired_p_value(scores[best], scores[name]))
    return [cells[name] for name in names]


def _marked(cells: Sequence[Cell], alpha: float, correction: Correction) -> list[Cell]:
    """Return cells with p-values corrected over all of a domain and n, and what is not worse than the best marked."""
    families: dict[tuple[str, int], list[int]] = defaultdict(list)
    for at, cell in enumerate(cells):
        if not isnan(cell.p_value):
            families[cell.domain, cell.n].append(at)
    marked = [replace(cell, family=len(families[cell.domain, cell.n])) for cell in cells]
    for family in families.values():
        for at, p_value in zip(family, corrected([cells[at].p_value for at in family], correction), strict=True):
            marked[at] = replace(marked[at], p_value=p_value, equal=p_value >= alpha)
    return marked


def _cell(comparison: Comparison, method: str, scores: NDArray[np.float64], scale: Scale) -> Cell:
    mean, deviation = mean_and_deviation(scores)
    scored = ~np.isnan(scores)
    places = zip(comparison.images, comparison.groups, scored, strict=True)
    return Cell(
        domain=comparison.domain,
        n=comparison.n,
        method=method,
        mean=scale.factor * mean,
        deviation=scale.factor * deviation,
        images=int(scored.sum()),
        left_out=int((~scored).sum()),
        groups=len({group or image for image, group, has_score in places if has_score}),
        seeds=len(comparison.scores[method]),
        labels_used=comparison.labels_used[method],
        without_class=comparison.without_class,
        unmatched=comparison.unmatched if scored.any() else 0,
        absent=comparison.absent,
        classes=comparison.classes,
        missed=comparison.missed[method],
    )


def _common_resolution(records: Sequence[Record]) -> str:
    """Return the resolution of all records; refuse several, and several splits in one domain."""
    resolutions = sorted({record.resolution for record in records})
    if len(resolutions) > 1:
        raise TedmError(
            f"scores at several resolutions ({listed(resolutions)}) do not belong in one table; evaluate all at one"
        )
    splits: dict[str, set[str]] = defaultdict(set)
    for record in records:
        splits[record.domain].add(record.split)
    for domain, names in sorted(splits.items()):
        if len(names) > 1:
            raise TedmError(f"domain {domain} mixes the splits {listed(sorted(names))}; make one table for each split")
    return resolutions[0]
