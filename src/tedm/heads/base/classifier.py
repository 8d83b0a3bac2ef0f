"""What our own heads owe scikit-learn's contract, once for all of them.

A head says how it fits and what probabilities it gives; which labels there are, which is the most probable and what makes
another head like it follow from that.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.heads.base.estimator_api import ClassifierConventions
from tedm.jsons import JsonValue
from tedm.store import IGNORE


class Classifier(ClassifierConventions):
    """Base of the heads that compute probabilities themselves."""

    classes_: NDArray[Any]

    @abstractmethod
    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Return probabilities of shape (rows, classes)."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def needs_validation(self) -> bool:
        """Tell whether images of the val split decide something in its fit; for most heads none do."""
        return False

    def remarks(self) -> list[str]:
        """Tell in sentences what whoever fitted should know; most heads have nothing to tell."""
        return []

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one; where it was trained is not what it is."""
        return {name: value for name, value in self.get_params().items() if name != "device"}

    def _rows_to_predict(self, X: Any, dtype: str) -> NDArray[np.floating]:
        """Return rows after scikit-learn's checks: as many features as the fit saw."""
        from sklearn.utils.validation import validate_data

        return np.asarray(validate_data(self, X, dtype=dtype, reset=False))

    def _checked_rows(self, X: Any, y: Any, dtype: str) -> tuple[NDArray[np.floating], NDArray[np.intp]]:
        """Return rows and the class index of each, after scikit-learn's checks; set `classes_`."""
        from sklearn.utils.multiclass import check_classification_targets  # arrays are for whoever has scikit-learn in use
        from sklearn.utils.validation import validate_data

        X, y = validate_data(self, X, y, dtype=dtype)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        name, count = type(self).__name__, len(self.classes_)
        if count < 2:
            raise ValueError(f"{name} needs samples of at least 2 classes, got one class: {self.classes_[0]}")
        if count > IGNORE:
            raise ValueError(f"{name} takes {IGNORE} classes at most, got {count}; is y a regression target?")
        return X, indices
