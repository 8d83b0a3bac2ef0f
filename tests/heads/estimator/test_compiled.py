"""Indices and sizes that compiled code would follow outside its arrays are refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tedm.heads.estimator.compiled import require_sound

X, Y = load_iris(return_X_y=True)


def fitted(kind):
    return {
        "forest": lambda: RandomForestClassifier(2, max_depth=3, random_state=0),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=2, random_state=0),
        "histograms": lambda: HistGradientBoostingClassifier(max_iter=2),
        "categories": lambda: HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]),
        "brute": lambda: KNeighborsClassifier(3, algorithm="brute"),
        "kd": lambda: KNeighborsClassifier(3, algorithm="kd_tree", leaf_size=5),
        "ball": lambda: KNeighborsClassifier(3, algorithm="ball_tree", leaf_size=5),
        "vectors": lambda: SVC(),
        "pipeline": lambda: make_pipeline(StandardScaler(), SVC(kernel="linear")),
    }[kind]().fit(np.floor(X) if kind == "categories" else X, Y)


@pytest.mark.parametrize(
    "kind", ["forest", "boosting", "histograms", "categories", "brute", "kd", "ball", "vectors", "pipeline"]
)
def test_a_sound_estimator_is_taken(kind):
    require_sound(fitted(kind))


def wider(forest):
    """A tree that reads features that the rows of its forest do not have."""
    wide = DecisionTreeClassifier(random_state=0).fit(np.hstack([np.zeros_like(X), X]), Y)
    forest.estimators_[1] = wide


def set_in(model, name, value):
    setattr(model, name, value)


FORGED = {
    "forest: a tree of wider rows": ("forest", wider),
    "forest: threads without end": ("forest", lambda model: set_in(model, "n_jobs", 10**6)),
    "boosting: trees of more classes": ("boosting", lambda model: set_in(model, "estimators_", model.estimators_[:, :2])),
    "boosting: fewer sums": ("boosting", lambda model: set_in(model, "n_trees_per_iteration_", 1)),
    "boosting: trees of classes": (
        "boosting",
        lambda model: set_in(model, "estimators_", np.array([[DecisionTreeClassifier().fit(X, Y)] * 3], object)),
    ),
    "histograms: a tree less": ("histograms", lambda model: model._predictors[0].pop()),
    "histograms: fewer sums": ("histograms", lambda model: set_in(model, "n_trees_per_iteration_", 1)),
    "histograms: a category where there is none": (
        "histograms",
        lambda model: model._predictors[0][0].nodes["is_categorical"].__setitem__(0, 1),
    ),
    "brute: a label that is no class": ("brute", lambda model: set_in(model, "_y", model._y + 1)),
    "brute: a label below": ("brute", lambda model: set_in(model, "_y", model._y - 1)),
    "brute: fewer labels": ("brute", lambda model: set_in(model, "_y", model._y[:-1])),
    "brute: longer rows": ("brute", lambda model: set_in(model, "_fit_X", np.hstack([X, X]))),
    "brute: more neighbours than there are": ("brute", lambda model: set_in(model, "n_neighbors", 10**6)),
    "kd: another tree": ("kd", lambda model: set_in(model, "_tree", KNeighborsClassifier(3).fit(X[:50], Y[:50])._tree)),
    "kd: leaves with children": ("kd", lambda model: np.asarray(model._tree.node_data)["is_leaf"].__setitem__(-1, 0)),
    "ball: an index outside": ("ball", lambda model: np.asarray(model._tree.idx_array).__setitem__(0, 10**6)),
    "ball: a node outside": ("ball", lambda model: np.asarray(model._tree.node_data)["idx_end"].__setitem__(0, 10**6)),
    "vectors: more of a class": ("vectors", lambda model: model._n_support.__setitem__(0, 10**6)),
    "vectors: fewer coefficients": ("vectors", lambda model: set_in(model, "_dual_coef_", model._dual_coef_[:, :-1])),
    "vectors: fewer vectors": ("vectors", lambda model: set_in(model, "support_vectors_", model.support_vectors_[:-1])),
    "vectors: fewer intercepts": ("vectors", lambda model: set_in(model, "_intercept_", model._intercept_[:1])),
    "vectors: probabilities of others": ("vectors", lambda model: set_in(model, "_probA", np.ones(2))),
    "vectors: kernel of its own": ("vectors", lambda model: set_in(model, "kernel", "precomputed")),
    "vectors: another machine": ("vectors", lambda model: set_in(model, "_impl", "one_class")),
    "pipeline: fewer vectors": ("pipeline", lambda model: set_in(model[1], "support_vectors_", np.zeros((1, 4)))),
}


@pytest.mark.parametrize("forged", FORGED)
def test_an_estimator_that_leads_outside_itself_is_refused(forged):
    kind, change = FORGED[forged]
    model = fitted(kind)
    change(model)
    with pytest.raises(ValueError, match="points outside itself"):
        require_sound(model)


def test_an_estimator_that_holds_itself_is_looked_at_once():
    model = fitted("brute")
    model.itself = [model]
    require_sound(model)
