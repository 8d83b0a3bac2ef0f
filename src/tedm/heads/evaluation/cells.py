"""What a table of scores holds: a cell for each method, training size and domain."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from tedm.heads.data.subsets import NCounts
from tedm.heads.metrics.measures import Metric
from tedm.heads.metrics.significance import Correction
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth


@dataclass(frozen=True)
class Cell:
    """One method trained on `n` images (or groups), tested in one domain.

    `mean` and `deviation` are in points (x 100), those of distances in millimetres.

    `images` counts those that are averaged, `groups` their groups, and `left_out` the others: of these, `unmatched` have no
    score of some method that is compared. `without_class` counts images whose truth shows no foreground class; the convention
    for empty truths decides whether they are averaged. `p_value` is that of the test against the best method, corrected for the
    number of comparisons, `family`; NaN for the best itself. Of `classes` pairs of an image and a class,
    `absent` do not show the class; `missed` is how often nothing was predicted of one that is shown.
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
    absent: int = 0
    classes: int = 0
    missed: int = 0
    family: int = 0
    class_value: int | None = None
    class_name: str = ""

    @property
    def part(self) -> tuple[str, int | None]:
        """The part of the table that it stands in: its domain, and its class where the table is by class."""
        return self.domain, self.class_value

    @property
    def marked(self) -> bool:
        """Whether it is the best or not significantly different from the best."""
        return self.best or self.equal


@dataclass(frozen=True)
class Cells:
    """All cells, ordered by domain, n and method, with what was scored and how.

    Parameters
    ----------
    cells : tuple of Cell
    metric : one of `tedm.heads.metrics.measures.METRICS`
        What is averaged and compared.
    alpha : float
        Level of the test after the correction.
    resolution : str
        Where the masks were compared.
    class_values : tuple of int
        Mask values of the classes that are averaged.
    empty : {"leave-out", "count"}
        The convention for empty truths.
    n_counts : {"images", "groups"}
        What training sizes are numbers of.
    tolerance : float
        Of the normalised surface distance, in mm; NaN for other metrics.
    class_names : tuple of str
        What the averaged classes are called; empty text where nothing is said of one.
    by_class : bool
        Whether each class has cells of its own.
    correction : {"holm", "bonferroni", "none"}
        For the number of comparisons with the best: the methods of a domain and n, of all classes together where the table is
        by class.
    """

    cells: tuple[Cell, ...]
    metric: Metric
    alpha: float
    resolution: str
    class_values: tuple[int, ...]
    empty: EmptyTruth = LEAVE_OUT
    n_counts: NCounts = "images"
    tolerance: float = nan
    class_names: tuple[str, ...] = ()
    by_class: bool = False
    correction: Correction = "holm"
