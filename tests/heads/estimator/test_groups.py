"""Searches over parameters: folds by patient where the splitter asks for groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut
from sklearn.tree import DecisionTreeClassifier

from tedm.errors import TedmError
from tedm.heads import EstimatorHead, fit, load_head, predict, save_head
from tedm.heads.estimator.groups import groups_of_rows

GRID = {"max_depth": [1, 3]}


def test_a_search_has_a_fold_for_each_patient(make_store: Any, tmp_path: Any) -> None:
    store = make_store()
    head = fit(store, "timestep:1", head=GridSearchCV(DecisionTreeClassifier(random_state=0), GRID, cv=LeaveOneGroupOut()))
    search = head.estimator.estimator_  # type: ignore[attr-defined]
    assert search.n_splits_ == len(store.labels.names)
    assert head.estimator.remarks() == []
    save_head(head, tmp_path / "head")
    both = {"one": head, "other": load_head(tmp_path / "head")}
    one, other = (each.probabilities for each in predict(store, both, ["two"]))
    np.testing.assert_array_equal(one, other)


def test_rows_have_the_group_of_their_image(make_store: Any) -> None:
    search = GridSearchCV(DecisionTreeClassifier(), GRID, cv=GroupKFold(2))
    labels = make_store().labels
    assert groups_of_rows(search, labels, {"two": 2, "one": 3})["groups"].tolist() == [1, 1, 0, 0, 0]
    assert groups_of_rows(search.set_params(cv=3), labels, {"two": 2}) == {}


def test_folds_that_share_images_are_said(make_store: Any) -> None:
    head = fit(make_store(), "timestep:1", head=GridSearchCV(DecisionTreeClassifier(), GRID, cv=2))
    (remark,) = head.estimator.remarks()
    assert "folds of GridSearchCV share images and patients" in remark


def test_groups_that_nobody_gives_are_refused_before_the_work(make_store: Any) -> None:
    with pytest.raises(TedmError, match=r"^cv=GroupKFold.* asks for groups, and only a search that is the whole head"):
        fit(make_store(), "timestep:1", head=LogisticRegressionCV(cv=GroupKFold(2)))
    with pytest.raises(TedmError, match="cannot be fitted on these rows: Cannot have number of splits n_splits=9"):
        fit(make_store(), "timestep:1", head=GridSearchCV(DecisionTreeClassifier(), GRID, cv=GroupKFold(9)))
    assert EstimatorHead("tree.DecisionTreeClassifier").unfitted() is not None
