"""Dice, precision, recall and IoU of one mask, class by class.

All four are ratios of three counts per class: pixels found (true positives), found in error (false positives) and missed (false
negatives). A ratio 0/0 is NaN; what it counts in a mean is decided by `tedm.heads.metrics.summary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError


@dataclass(frozen=True)
class Confusion:
    """Pixels found, found in error and missed, each of shape (classes,) or (masks, classes), int64."""

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]

    @classmethod
    def count(cls, truth: NDArray[Any], prediction: NDArray[Any], n_classes: int, *, ignore: int = 255) -> Confusion:
        """Count the pixels of one mask; see `score` for the arguments."""
        truth, prediction = np.asarray(truth), np.asarray(prediction)
        require_comparable(truth, prediction, n_classes, ignore)
        counted = truth != ignore
        pairs = truth[counted].astype(np.int64) * n_classes + prediction[counted]
        table = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
        correct = np.diagonal(table).astype(np.int64)
        return cls(correct, table.sum(axis=0) - correct, table.sum(axis=1) - correct)


@dataclass(frozen=True)
class Scores:
    """Agreement of predictions with the truth: each of shape (classes,) or (masks, classes), float64 in [0, 1], NaN for 0/0."""

    dice: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    iou: NDArray[np.float64]

    def stacked(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return the scores of these names side by side, along a last axis."""
        return np.stack([getattr(self, name) for name in names], axis=-1)


def score(truth: NDArray[Any], prediction: NDArray[Any], n_classes: int, ignore: int = 255) -> Scores:
    """Compare one predicted mask with the truth.

    Parameters
    ----------
    truth, prediction : arrays of shape (y, x) or (z, y, x), uint8 or another integer type
        Class indices in 0 <= index < n_classes; of a volume, voxels are counted as pixels are.
    n_classes : int
        Number of classes, the background included.
    ignore : int
        Pixels of this value in `truth` count nowhere, whatever the prediction says there.

    Returns
    -------
    Scores
        Dice 2TP/(2TP+FP+FN), precision TP/(TP+FP), recall TP/(TP+FN), IoU TP/(TP+FP+FN).

    Raises
    ------
    TedmError
        If the shapes differ, a counted pixel is of no class, or `ignore` is itself a class.

    Examples
    --------
    >>> score(np.array([[1, 1, 0, 255]]), np.array([[1, 0, 0, 1]]), 2).dice.round(2)
    array([0.67, 0.67])
    """
    return _scores(Confusion.count(truth, prediction, n_classes, ignore=ignore))


def score_each(truth: NDArray[Any], predictions: NDArray[Any], n_classes: int, *, ignore: int = 255) -> Scores:
    """Compare many predictions of one image with its truth, each as `score` would.

    Parameters
    ----------
    truth : array of shape (pixels,)
        Class indices.
    predictions : array of shape (masks, pixels)
        Class indices in 0 <= index < n_classes.

    Returns
    -------
    Scores
        Each of shape (masks, classes).

    Examples
    --------
    >>> score_each(np.array([1, 1, 0, 255]), np.array([[1, 0, 0, 1], [1, 1, 0, 0]]), 2).dice.round(2)
    array([[0.67, 0.67],
           [1.  , 1.  ]])
    """
    counted = truth != ignore
    masks = len(predictions)
    own = np.arange(masks)[:, None] * n_classes**2 + truth[counted].astype(np.int64) * n_classes
    pairs = (own + predictions[:, counted]).ravel()
    table = np.bincount(pairs, minlength=masks * n_classes**2).reshape(masks, n_classes, n_classes)
    correct = np.diagonal(table, axis1=1, axis2=2).astype(np.int64)
    return _scores(Confusion(correct, table.sum(axis=1) - correct, table.sum(axis=2) - correct))


def _scores(counts: Confusion) -> Scores:
    correct, excess, missed = counts.true_positives, counts.false_positives, counts.false_negatives
    return Scores(
        dice=_ratio(2 * correct, 2 * correct + excess + missed),
        precision=_ratio(correct, correct + excess),
        recall=_ratio(correct, correct + missed),
        iou=_ratio(correct, correct + excess + missed),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def require_comparable(truth: NDArray[Any], prediction: NDArray[Any], n_classes: int, ignore: int) -> None:
    """Refuse masks that cannot be compared class by class.

    Raises
    ------
    TedmError
        As `score` does.
    """
    if n_classes < 1:
        raise TedmError(f"scores need at least one class, got n_classes = {n_classes}")
    if 0 <= ignore < n_classes:
        raise TedmError(f"{ignore} cannot be ignored: it is one of the {n_classes} classes 0 to {n_classes - 1}")
    if truth.shape != prediction.shape or truth.ndim not in (2, 3):
        raise TedmError(
            f"truth and prediction must both be of one shape (y, x) or (z, y, x), got {truth.shape} and {prediction.shape}"
        )
    for what, mask in (("truth", truth), ("prediction", prediction)):
        if not np.issubdtype(mask.dtype, np.integer):
            raise TedmError(f"the {what} must hold class indices (integers), got {mask.dtype}")
        values = np.unique(mask[truth != ignore])
        strange = [int(value) for value in values if not 0 <= value < n_classes]
        if strange:
            raise TedmError(f"the {what} holds {strange}, which are none of the classes 0 to {n_classes - 1}")
