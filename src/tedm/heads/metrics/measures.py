"""The measures by which a predicted mask is compared with the truth, under the names that records, tables and reports use.

A measure is a number for each class, NaN where there is none. Most are ratios from 0 to 1, the larger the better, and shown
x 100; distances are in millimetres, the smaller the better, and shown as they are. Everything after it goes by its name: a
record has a column for each, and a table or an interval is asked for one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:  # a command knows the names before it loads NumPy
    import numpy as np
    from numpy.typing import NDArray

Metric = Literal["dice", "precision", "recall", "iou", "hd95", "nsd"]
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True)
class Scale:
    """How the values of a measure are shown and ranked.

    Parameters
    ----------
    title : str
        What captions call it.
    factor : float
        What values are multiplied with to be shown.
    unit : str
        Behind the title in captions.
    digits : int
        After the point, in tables.
    larger_is_better : bool
    right, wrong : str
        What an image counts, by the convention "count" for empty truths, where nothing was predicted and where something was.
    """

    title: str
    factor: float = 100
    unit: str = " × 100"
    digits: int = 1
    larger_is_better: bool = True
    right: str = "1"
    wrong: str = "0"

    @property
    def caption(self) -> str:
        """Return the title with the unit: "Dice × 100"."""
        return self.title + self.unit

    def rank(self, mean: float) -> float:
        """Return a key by which the largest is the best."""
        return mean if self.larger_is_better else -mean


SCALES: dict[Metric, Scale] = {
    "dice": Scale("Dice"),
    "precision": Scale("Precision"),
    "recall": Scale("Recall"),
    "iou": Scale("IoU"),
    "hd95": Scale("HD95", 1, " in mm (smaller is better)", 2, False, "0 mm", "the diagonal"),
    "nsd": Scale("NSD"),
}
# What each is called in captions.
TITLES: dict[Metric, str] = {metric: scale.title for metric, scale in SCALES.items()}
# Those that need to know how far pixels are apart.
BY_SURFACE: tuple[Metric, ...] = ("hd95", "nsd")


def measure(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    n_classes: int,
    *,
    spacing: Sequence[float] | None = None,
    tolerance: float | None = None,
) -> dict[Metric, NDArray[np.float64]]:
    """Compare a predicted mask with the truth by every measure.

    Parameters
    ----------
    truth, prediction : arrays of shape (y, x) or (z, y, x)
        Class indices in 0 <= index < n_classes; pixels of value 255 in `truth` do not count.
    n_classes : int
        Number of classes, the background included.
    spacing : sequence of float, or None
        Millimetres from pixel to pixel along each axis. None measures no distances: "hd95" and "nsd" are NaN.
    tolerance : float or None
        Millimetres; see `tedm.heads.metrics.surface.surface_scores`. None takes its `SURFACE_TOLERANCE`.

    Returns
    -------
    dict of str to array of shape (classes,)
        By the names in `METRICS`, as they are: distances in millimetres, everything else from 0 to 1.

    Raises
    ------
    TedmError
        As `tedm.heads.metrics.scores.score` and `tedm.heads.metrics.surface.surface_scores` do.

    Examples
    --------
    >>> import numpy as np
    >>> measure(np.array([[1, 1, 0, 255]]), np.array([[1, 0, 0, 1]]), 2)["iou"]
    array([0.5, 0.5])
    """
    import numpy as np

    from tedm.heads.metrics.scores import score
    from tedm.heads.metrics.surface import SURFACE_TOLERANCE, surface_scores

    overlap = score(truth, prediction, n_classes)
    values: dict[Metric, NDArray[np.float64]] = {
        "dice": overlap.dice,
        "precision": overlap.precision,
        "recall": overlap.recall,
        "iou": overlap.iou,
    }
    if spacing is None:
        return values | {metric: np.full(n_classes, np.nan) for metric in BY_SURFACE}
    mm = SURFACE_TOLERANCE if tolerance is None else tolerance
    surface = surface_scores(truth, prediction, n_classes, spacing=spacing, tolerance=mm)
    return values | {"hd95": surface.hd95, "nsd": surface.nsd}
