"""Scikit-learn's questions to a head, and that nobody pays for them who does not ask."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tedm.heads import LogisticHead


@pytest.fixture
def rows(rng):
    """Two clouds and their labels."""
    x = rng.standard_normal((60, 4)).astype(np.float32)
    labels = np.arange(60) % 2
    x[labels == 1, 2] += 2
    return x, labels


def test_a_clone_has_its_parameters_and_not_its_fit(rows):
    head = clone(LogisticHead(ridge=3.0, max_iter=7).fit(*rows))
    assert head.get_params() == LogisticHead(ridge=3.0, max_iter=7).get_params()
    assert not hasattr(head, "coef_")


def test_parameters_are_set_by_name_and_a_strange_name_is_refused():
    head = LogisticHead().set_params(ridge=5.0)
    assert head.ridge == 5.0
    with pytest.raises(ValueError, match=r"Invalid parameter 'rigde' for estimator LogisticHead\(ridge=5.0\)"):
        head.set_params(rigde=1.0)


def test_its_text_shows_what_is_not_usual():
    assert repr(LogisticHead()) == "LogisticHead()"
    assert repr(LogisticHead(ridge=[1.0, 2.0], tol=0.5)) == "LogisticHead(ridge=[1.0, 2.0], tol=0.5)"


def test_it_is_a_classifier_with_a_score(rows):
    x, labels = rows
    head = LogisticHead().fit(x, labels)
    assert is_classifier(head)
    assert head.score(x, labels) == np.mean(head.predict(x) == labels)
    assert head.score(x, labels, sample_weight=labels) == np.mean(head.predict(x)[labels == 1] == 1)


def test_without_a_fit_it_says_so():
    with pytest.raises(NotFittedError, match="LogisticHead instance is not fitted yet"):
        LogisticHead().predict(np.ones((2, 3)))


def test_searches_pipelines_and_cross_validations_take_it(rows):
    x, labels = rows
    search = GridSearchCV(LogisticHead(), {"ridge": [0.1, 10.0]}, cv=3).fit(x, labels)
    assert search.best_params_["ridge"] in (0.1, 10.0)
    piped = make_pipeline(StandardScaler(), LogisticHead(ridge=1.0))
    assert cross_val_score(piped, x, labels, cv=3).mean() > 0.7
    assert piped.set_params(logistichead__ridge=2.0).named_steps["logistichead"].ridge == 2.0
