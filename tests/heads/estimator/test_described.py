"""Estimators that lie in memory as heads: said in words, made anew, or refused before the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tedm.errors import TedmError
from tedm.heads import fit, load_head, method_named, predict, save_head
from tedm.heads.estimator.described import described
from tedm.heads.estimator.lookup import named_classifier

PIPELINE = Pipeline([("scale", StandardScaler(with_std=False)), ("tree", DecisionTreeClassifier(max_depth=2))])


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(5, max_depth=np.int64(3), random_state=0),
        PIPELINE,
        make_pipeline(StandardScaler(), LogisticRegression(C=0.5)),
        GridSearchCV(PIPELINE, {"tree__max_depth": np.array([1, 2])}, cv=GroupKFold(2)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_an_estimator_in_words_makes_one_like_it(estimator: Any) -> None:
    name, params = described(estimator)
    made = named_classifier(name.removeprefix("sklearn:"), params)
    written = repr(estimator).replace("np.int64(3)", "3").replace("array([1, 2])", "[1, 2]")
    assert repr(made) == written


@pytest.mark.parametrize("head", [DecisionTreeClassifier(max_depth=3), PIPELINE], ids=["a tree", "a pipeline"])
def test_an_object_is_the_head_that_its_name_and_parameters_are(make_store: Any, tmp_path: Path, head: Any) -> None:
    store, method = make_store(), method_named("tedm", timesteps=(1, 50))
    mine = fit(store, method, head=head)
    name, params = described(head)
    theirs = fit(store, method_named("tedm", timesteps=(1, 50), head=name), params=params)
    assert mine.method == theirs.method
    assert mine.method.name == f"tedm-{type(head).__name__}"
    save_head(mine, tmp_path / "head")
    heads = {"mine": mine, "theirs": theirs, "kept": load_head(tmp_path / "head")}
    one, other, kept = (each.probabilities for each in predict(store, heads, ["one"]))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, kept)


class Foreign(RandomForestClassifier):  # type: ignore[misc]
    """A class of nobody's."""


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (RandomForestRegressor(), "RandomForestRegressor is no classifier; a head needs one"),
        (make_pipeline(StandardScaler()), "is no classifier"),
        (RandomForestClassifier, r"is a class; give an object of it, RandomForestClassifier\(\) say"),
        (3, "head=3 is neither the name of a head nor an estimator"),
        (Foreign(), r"head: .*Foreign is no class of scikit-learn"),
        (
            make_pipeline(FunctionTransformer(np.log1p), DecisionTreeClassifier()),
            r"head\.steps\[0\]\[1\]\.func is <ufunc 'log1p'>",
        ),
        (RandomForestClassifier(class_weight={0: 1.0, 1: 5.0}), r"head\.class_weight is .*fit\(class_weight=\{mask value"),
        (RandomForestClassifier(random_state=np.random.RandomState(0)), r"head\.random_state is RandomState"),
        (DecisionTreeClassifier(max_depth=-3), "max_depth"),
        ("forest", "there is no head 'forest'"),
        ("sklearn:ensemble.RandomForestClassifer", r"did you mean ensemble\.RandomForestClassifier\?"),
    ],
)
def test_what_can_be_no_head_is_refused_before_the_work(make_store: Any, head: Any, said: str) -> None:
    with pytest.raises(TedmError, match=said):
        fit(make_store(), "timestep:1", head=head)


def test_a_method_by_its_name_is_that_method(make_store: Any) -> None:
    assert fit(make_store(), "timestep:50").method == method_named("timestep:50")
    with pytest.raises(TedmError, match="there is no method 'tedn'"):
        fit(make_store(), "tedn")
    with pytest.raises(TedmError, match="tedm reads timesteps that are not there"):
        fit(make_store(), "tedm")
