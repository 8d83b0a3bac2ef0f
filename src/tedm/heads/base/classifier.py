"""What our own heads owe scikit-learn's contract, once for all of them.

A head says how it fits and what probabilities it gives; which labels there are, which is the most probable and what makes
another head like it follow from that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from tedm.heads.data.rows import RowLayout, rows_at
from tedm.store import IGNORE, Block

# Bytes of the rows that are asked about at once, as float32. Predicting takes a few times that.
PART_BYTES = 2**25
PREDICTING_BYTES = 4 * PART_BYTES


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the heads that compute probabilities themselves."""

    classes_: NDArray[Any]

    @abstractmethod
    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Probabilities of shape (rows, classes)."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def constructor(self) -> dict[str, Any]:
        """Arguments that make an unfitted head like this one; where it was trained is not what it is."""
        return {name: value for name, value in self.get_params().items() if name != "device"}

    def _checked_rows(self, X: Any, y: Any, dtype: str) -> tuple[NDArray[np.floating], NDArray[np.intp]]:
        """Rows and the class index of each, after scikit-learn's checks; sets `classes_`."""
        X, y = validate_data(self, X, y, dtype=dtype)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        name, count = type(self).__name__, len(self.classes_)
        if count < 2:
            raise ValueError(f"{name} needs samples of at least 2 classes, got one class: {self.classes_[0]!r}")
        if count > IGNORE:
            raise ValueError(f"{name} takes {IGNORE} classes at most, got {count}; is y a regression target?")
        return X, indices


def opinions_in_parts(
    block: Block,
    rows: RowLayout,
    classes: int,
    probabilities: Callable[[NDArray[np.float32]], NDArray[np.floating]],
) -> NDArray[np.floating]:
    """A block's opinions by a classifier that needs rows: these exist some pixels at a time.

    Parameters
    ----------
    block : Block
    rows : {"share", "concatenate"}
    classes : int
    probabilities : callable
        From rows of shape (rows, features) to an array of shape (rows, classes).

    Returns
    -------
    array of shape (1, rows, classes)
        In the order of `tedm.heads.data.rows.dense_rows`.
    """
    timesteps, pixels = len(block.timesteps), block.size**2
    voters = block.draws * (timesteps if rows == "share" else 1)
    pixel_bytes = 4 * block.draws * timesteps * sum(level.shape[-1] for level in block.cells)
    at_once = max(1, PART_BYTES // pixel_bytes)
    found: NDArray[np.floating] | None = None
    for start in range(0, pixels, at_once):
        some = np.arange(start, min(start + at_once, pixels))
        part = probabilities(rows_at(block, some, rows))
        if found is None:
            found = np.empty((voters, pixels, classes), part.dtype)
        # A pixel's rows come as neighbours; in a block's order they are whole images apart.
        found[:, some] = part.reshape(len(some), voters, classes).swapaxes(0, 1)
    assert found is not None  # an image has pixels
    return found.reshape(1, voters * pixels, classes)
