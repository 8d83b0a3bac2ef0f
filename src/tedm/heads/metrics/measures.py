"""The measures by which a predicted mask is compared with the truth, under the names that records, tables and reports use.

A measure is a number from 0 to 1 for each class, the larger the better, and NaN for 0/0. Everything after it goes by its name:
a record has a column for each, and a table or an interval is asked for one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:  # a command knows the names before it loads NumPy
    import numpy as np
    from numpy.typing import NDArray

Metric = Literal["dice", "precision", "recall", "iou"]
METRICS: tuple[Metric, ...] = get_args(Metric)

# What each is called in captions.
TITLES: dict[Metric, str] = {"dice": "Dice", "precision": "Precision", "recall": "Recall", "iou": "IoU"}


def measure(truth: NDArray[Any], prediction: NDArray[Any], n_classes: int) -> dict[Metric, NDArray[np.float64]]:
    """Compare a predicted mask with the truth by every measure.

    Parameters
    ----------
    truth, prediction : arrays of shape (y, x)
        Class indices in 0 <= index < n_classes; pixels of value 255 in `truth` do not count.
    n_classes : int
        Number of classes, the background included.

    Returns
    -------
    dict of str to array of shape (classes,)
        By the names in `METRICS`.

    Raises
    ------
    TedmError
        As `tedm.heads.metrics.scores.score` does.

    Examples
    --------
    >>> import numpy as np
    >>> measure(np.array([[1, 1, 0, 255]]), np.array([[1, 0, 0, 1]]), 2)["iou"]
    array([0.5, 0.5])
    """
    from tedm.heads.metrics.scores import score

    overlap = score(truth, prediction, n_classes)
    return {"dice": overlap.dice, "precision": overlap.precision, "recall": overlap.recall, "iou": overlap.iou}
