"""What our own heads owe scikit-learn: any labels, checked rows, and arguments that make another head like them."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.base.classifier import Classifier
from tedm.store import IGNORE


class Constant(Classifier):
    """Gives every row the shares of the classes."""

    def __init__(self, sharpness=1.0, device="cpu"):
        self.sharpness, self.device = sharpness, device

    def fit(self, X, y):
        _, indices = self._checked_rows(X, y, "float32")
        self.shares = np.bincount(indices) / len(indices)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))


def test_labels_of_any_kind_come_back():
    head = Constant().fit([[0.0], [1.0], [2.0]], ["b", "a", "b"])
    assert head.classes_.tolist() == ["a", "b"]
    assert head.predict(np.zeros((2, 1))).tolist() == ["b", "b"]
    assert head.n_features_in_ == 1


def test_where_it_was_trained_is_not_what_it_is():
    assert Constant(2.0, device="cuda").constructor() == {"sharpness": 2.0}


def test_by_default_nothing_is_remarked_and_no_validation_needed():
    assert (Constant().remarks(), Constant().needs_validation()) == ([], False)


def test_one_class_and_too_many_are_refused():
    with pytest.raises(ValueError, match="Constant needs samples of at least 2 classes, got one class: 3"):
        Constant().fit([[0.0], [1.0]], [3, 3])
    many = np.arange(IGNORE + 1)
    with pytest.raises(ValueError, match="Constant takes 255 classes at most, got 256; is y a regression target"):
        Constant().fit(np.repeat(many[:, None].astype(float), 2, axis=0), np.repeat(many, 2))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        Constant().fit([[0.0], [1.0]], [0.5, 0.25])
