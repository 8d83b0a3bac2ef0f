"""The scores of a report, averaged, tested and resampled once: tables, words and figures all print these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tedm.heads import Cell, EmptyTruth, Record, Table, image_scores, mean_intervals, summarise
from tedm.text import called

# Domain, number of training images, method.
Place = tuple[str, int, str]


@dataclass(frozen=True)
class Leading:
    """The methods of a domain at the training size at which they are best compared.

    Parameters
    ----------
    domain : str
    n : int
        The largest size of those that most methods have.
    cells : tuple of Cell
        The methods there; the first is the best, if any image has a score.
    """

    domain: str
    n: int
    cells: tuple[Cell, ...]

    @property
    def best(self) -> Cell | None:
        """The method with the best mean; None if no image has a score."""
        return self.cells[0] if self.cells[0].best else None


@dataclass(frozen=True)
class Measured:
    """Records and what is made of them.

    Parameters
    ----------
    records : tuple of Record
    empty : {"leave-out", "count"}
        The convention for empty truths.
    table, classes : Table
        Dice of all classes together, and class by class; the latter is None where there is one foreground class.
    intervals : mapping of (domain, n, method) to (float, float)
        95 % intervals of the means.
    scores : mapping of (domain, n, method) to mapping of str to float
        Of each image, in points.
    """

    records: tuple[Record, ...]
    empty: EmptyTruth
    table: Table
    classes: Table | None
    intervals: Mapping[Place, tuple[float, float]]
    scores: Mapping[Place, Mapping[str, float]]

    @property
    def noun(self) -> str:
        """What a score is of."""
        return "volume" if self.table.resolution == "volume" else "image"

    @property
    def class_names(self) -> dict[int, str]:
        """What people call each class that is averaged, by its value."""
        table = self.table
        return {value: called(value, name) for value, name in zip(table.class_values, table.class_names, strict=True)}

    def leading(self) -> list[Leading]:
        """Return the comparison of each domain at its telling size, the best method first, then by the mean."""
        found = []
        for domain in dict.fromkeys(cell.domain for cell in self.table.cells):
            here = [cell for cell in self.table.cells if cell.domain == domain]
            methods = {n: sum(cell.n == n for cell in here) for n in {cell.n for cell in here}}
            n = max(n for n, count in methods.items() if count == max(methods.values()))
            cells = sorted(
                (cell for cell in here if cell.n == n), key=lambda cell: (not cell.best, not cell.images, -cell.mean)
            )
            found.append(Leading(domain, n, tuple(cells)))
        return found

    def groups(self, domain: str) -> dict[str, str]:
        """Return the group (patient) of each image of a domain; the image itself where it has none."""
        return {one.image: one.group or one.image for one in self.records if one.domain == domain}


def measured(records: Sequence[Record], empty: EmptyTruth) -> Measured:
    """Average, test and resample records.

    Raises
    ------
    TedmError
        As `tedm.heads.summarise` does.
    """
    table = summarise(records, empty=empty)
    classes = summarise(records, empty=empty, by_class=True) if len(table.class_values) > 1 else None
    intervals, scores = mean_intervals(records, empty=empty), image_scores(records, empty=empty)
    return Measured(tuple(records), empty, table, classes, intervals, scores)
