"""Any scikit-learn classifier learns from features, is kept as plain data, and says what is wrong with it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from head_suite import HeadSuite
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tedm.errors import TedmError
from tedm.heads import fit, load_head, method_named, save_head
from tedm.heads.base.head import HeadOptions
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows
from tedm.heads.estimator.head import FILE, EstimatorHead
from tedm.store import IGNORE

LDA = {"class": "discriminant_analysis.LinearDiscriminantAnalysis"}
ESTIMATORS = {
    "forest": ("ensemble.RandomForestClassifier", {"n_estimators": 5}),
    "boosting": ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 3, "min_samples_leaf": 2}),
    "lda": ("discriminant_analysis.LinearDiscriminantAnalysis", {}),
    "knn": ("neighbors.KNeighborsClassifier", {"n_neighbors": 3}),
    "calibrated": ("calibration.CalibratedClassifierCV", {"estimator": LDA, "cv": 2}),
    "pipeline": ("pipeline.Pipeline", {"steps": [["scale", {"class": "preprocessing.StandardScaler"}], ["lda", LDA]]}),
    "sgd": ("linear_model.SGDClassifier", {"loss": "log_loss"}),
}
LAYOUTS = [("share", (1, 50, 400)), ("concatenate", (1, 50, 400)), ("share", (50,))]
FOREST = EstimatorHead("ensemble.RandomForestClassifier", {"n_estimators": 5})


class TestForest(HeadSuite):
    head = "sklearn:ensemble.RandomForestClassifier"
    params: ClassVar = {"n_estimators": 5}


class TestDiscriminantAnalysis(HeadSuite):
    head = "sklearn:discriminant_analysis.LinearDiscriminantAnalysis"
    expected_failed_checks: ClassVar = {
        "check_class_weight_classifiers": "linear discriminant analysis takes no weights, and the head says so"
    }


class TestStreamed(HeadSuite):
    head = "sklearn:naive_bayes.GaussianNB"
    options = HeadOptions(iterations=2)


@pytest.mark.parametrize(("rows", "timesteps"), LAYOUTS)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_estimator_learns_in_every_layout_and_comes_back_with_the_same_bits(
    make_store, tmp_path, kind, rows, timesteps, dense
):
    store = make_store(values=(0, 3, 7), draws=2)
    data = TrainingData(store, store.labels.names, rows=rows, timesteps=timesteps)
    name, parameters = ESTIMATORS[kind]
    head = EstimatorHead(name, parameters, epochs=2 if kind == "sgd" else 1).fit_blocks(data)
    block = store.block("two").at(timesteps)
    opinions = head.opinions(block, rows)
    x, y = dense(store, data)
    assert opinions.shape == (1, len(dense_rows(block, rows)), 3)
    np.testing.assert_allclose(opinions.sum(axis=2), 1, rtol=0, atol=1e-5)
    assert np.array_equal(opinions[0], head.predict_proba(dense_rows(block, rows)))
    assert (head.predict(x) == y).mean() > max(np.bincount(y)) / len(y)
    details = head.report().details
    assert details["fitted"] == ("streamed" if kind == "sgd" else "all")
    assert details["rows_there"] == len(x)
    assert details["rows_seen"] == (2 * len(x) if kind == "sgd" else len(x))
    assert details["opinions"] == "probabilities"
    head.save(tmp_path)
    again = EstimatorHead(**head.constructor())
    again.restore(tmp_path, features=data.n_features, classes=3)
    assert np.array_equal(again.opinions(block, rows), opinions)
    assert again.get_params() == head.get_params()


def test_opinions_do_not_depend_on_the_size_of_a_part(make_store, monkeypatch):
    store = make_store(draws=2)
    head = clone(FOREST).fit_blocks(TrainingData(store, store.labels.names, rows="share"))
    whole = head.opinions(store.block("one"), "share")
    monkeypatch.setattr("tedm.heads.base.predictor.PART_BYTES", 7 * 6 * 5 * 4)
    assert np.array_equal(head.opinions(store.block("one"), "share"), whole)


def test_all_rows_at_once_are_scikit_learns_own_fit(make_store, dense):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="concatenate")
    ours = EstimatorHead("neighbors.KNeighborsClassifier", {"n_neighbors": 4}).fit_blocks(data)
    x, y = dense(store, data)
    theirs = clone(ours.unfitted()).fit(x, y)
    assert np.array_equal(ours.predict_proba(x), theirs.predict_proba(x))


def test_streaming_equals_partial_fit_by_hand(make_store, monkeypatch):
    store = make_store(values=(0, 1, 2))
    monkeypatch.setattr("tedm.heads.estimator.head.PART_BYTES", 10 * 3 * 5 * 4)
    data = TrainingData(store, store.labels.names, rows="share")
    head = EstimatorHead("linear_model.SGDClassifier", {"loss": "log_loss"}, epochs=3, seed=4, class_weight={"1": 2.5})
    done = []
    head.fit_blocks(data, progress=lambda *at: done.append(at[:2]))
    theirs, rng, parts = SGDClassifier(loss="log_loss", random_state=4), np.random.default_rng(4), 0
    orders = []
    for _ in range(3):
        names = [data.names[at] for at in rng.permutation(4)]
        orders.append(names)
        for _, x, y in data.row_chunks(names, 10 * 3 * 5 * 4):
            order = rng.permutation(len(x))
            weights = np.where(y[order] == 1, 2.5, 1.0)
            theirs.partial_fit(x[order], y[order].astype(int), classes=[0, 1, 2], sample_weight=weights)
            parts += 1
    assert len({tuple(names) for names in orders}) > 1
    assert parts >= 3 * 4 * 6
    assert np.array_equal(head.estimator_.coef_, theirs.coef_)
    assert done[-1] == (3 * head.rows_there_, 3 * head.rows_there_)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_class_that_no_pixel_shows_gets_probability_zero(make_store, tmp_path, kind, dense):
    store = make_store(values=(0, 1, 2, 3), shown=(0, 2))
    data = TrainingData(store, store.labels.names, rows="share")
    head = EstimatorHead(*ESTIMATORS[kind]).fit_blocks(data)
    assert head.classes_.tolist() == [0, 1, 2, 3]
    opinions = head.opinions(store.block("one"), "share")
    assert (opinions[..., [1, 3]] == 0).all()
    assert set(head.predict(dense(store, data)[0])) == {0, 2}
    head.save(tmp_path)
    again = EstimatorHead(**head.constructor())
    again.restore(tmp_path, features=5, classes=4)
    assert np.array_equal(again.opinions(store.block("one"), "share"), opinions)


@pytest.mark.parametrize("kind", ["forest", "sgd"])
def test_a_class_in_one_image_only_is_learnt(make_store, tight, kind):
    store = make_store(values=(0, 1, 2), own=True)
    mask = store.mask("two").copy()
    data = TrainingData(store, store.labels.names, rows="share")
    for name in data.names:
        if name != "two":
            data.masks[name] = np.where(data.masks[name] == 2, IGNORE, data.masks[name])
    assert (mask == 2).any()
    tight(9 * 3)
    head = EstimatorHead(*ESTIMATORS[kind]).fit_blocks(data)
    assert head.estimator_.classes_.tolist() == [0, 1, 2]
    assert head.opinions(store.block("two"), "share")[..., 2].any()


def test_class_weights_are_weights_of_the_rows(make_store, dense):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="concatenate")
    x, y = dense(store, data)
    counts = np.bincount(y)
    weights = (len(y) / (3 * counts))[y]
    head = EstimatorHead(*ESTIMATORS["boosting"], class_weight="balanced").fit_blocks(data)
    assert np.array_equal(head.predict_proba(x), clone(head.unfitted()).fit(x, y, sample_weight=weights).predict_proba(x))
    steps = [["scale", {"class": "preprocessing.StandardScaler"}], ["tree", {"class": "tree.DecisionTreeClassifier"}]]
    head = EstimatorHead("pipeline.Pipeline", {"steps": steps}, class_weight={1: 7.0}).fit_blocks(data)
    theirs = clone(head.unfitted()).fit(x, y, tree__sample_weight=np.where(y == 1, 7.0, 1.0))
    assert np.array_equal(head.predict_proba(x), theirs.predict_proba(x))
    for name in ("neighbors.KNeighborsClassifier", "discriminant_analysis.QuadraticDiscriminantAnalysis"):
        with pytest.raises(TedmError, match=r"class weights are handed on as weights of rows, and .* takes none; "):
            EstimatorHead(name, class_weight="balanced").fit_blocks(data)


def test_without_probabilities_the_labels_vote(make_store, tmp_path, dense):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="share")
    head = EstimatorHead("svm.LinearSVC").fit_blocks(data)
    opinions = head.opinions(store.block("one"), "share")
    assert set(np.unique(opinions)) == {0, 1}
    assert np.array_equal(opinions[0].argmax(axis=1), head.predict(dense_rows(store.block("one"), "share")))
    assert head.report().details["opinions"] == "votes"
    assert not hasattr(head, "predict_proba")
    assert head.decision_function(dense(store, data)[0]).shape[1] == 3


def test_other_refusals(make_store, tmp_path):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    with pytest.raises(TedmError, match=r"knows no parameter 'solve' \(did you mean solver\?\)"):
        EstimatorHead(LinearDiscriminantAnalysis(), {"solve": "lsqr"}).fit_blocks(data)
    with pytest.raises(TedmError, match="preprocessing.StandardScaler is no classifier"):
        EstimatorHead(StandardScaler()).fit_blocks(data)
    with pytest.raises(TedmError, match="epochs is 0"):
        EstimatorHead(epochs=0).fit_blocks(data)
    data.budget.total = 1
    for name in ("ensemble.RandomForestClassifier", "linear_model.SGDClassifier"):
        with pytest.raises(TedmError, match="the least that would do is --memory"):
            EstimatorHead(name).fit_blocks(data)


def test_every_random_state_that_is_not_set_is_the_seed():
    inner = {"class": "tree.DecisionTreeClassifier"}
    made = EstimatorHead("ensemble.BaggingClassifier", {"estimator": inner}, seed=5).unfitted()
    assert (made.random_state, made.estimator.random_state) == (5, 5)
    kept = EstimatorHead("ensemble.BaggingClassifier", {"random_state": 1, "estimator": inner}, seed=5).unfitted()
    assert (kept.random_state, kept.estimator.random_state) == (1, 5)


class Own(ClassifierMixin, BaseEstimator):
    """A classifier from elsewhere."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_objects_are_heads_and_only_scikit_learns_are_kept(make_store, tmp_path):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr"))
    head = EstimatorHead(model).fit_blocks(data)
    assert not hasattr(model[-1], "coef_")
    head.save(tmp_path)
    again = EstimatorHead(**head.constructor())
    again.restore(tmp_path, features=5, classes=2)
    block = store.block("one")
    assert np.array_equal(again.opinions(block, "share"), head.opinions(block, "share"))
    assert clone(again).fit_blocks(data).estimator[-1].solver == "lsqr"
    (tmp_path / FILE).unlink()
    with pytest.raises(TedmError, match=r"holds .*\.Own, which a head may not"):
        EstimatorHead(Own()).fit_blocks(data).save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_a_forest_goes_all_the_way(make_store, tmp_path, rows):
    store = make_store(values=(0, 255))
    method = method_named("tedm", timesteps=[1, 50], rows=rows, head="sklearn:ensemble.RandomForestClassifier")
    head = fit(store, method, params={"n_estimators": 5}, class_weight={"255": 2.0}, seed=3)
    assert head.provenance.report.details["fitted"] == "all"
    assert head.estimator.estimator_.random_state == 3
    save_head(head, tmp_path / "head")
    block = store.block("three")
    assert np.array_equal(load_head(tmp_path / "head").probabilities(block), head.probabilities(block))
    assert head.probabilities(block).shape == (8, 8, 2)


def test_it_takes_part_in_searches_and_pipelines():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    groups = np.arange(len(x)) % 10
    assert cross_val_score(clone(FOREST), x, names, groups=groups, cv=GroupKFold(3)).mean() > 0.9
    assert make_pipeline(StandardScaler(), clone(FOREST)).fit(x, names).score(x, names) > 0.95
    search = GridSearchCV(clone(FOREST), {"parameters": [{"n_estimators": n} for n in (1, 4)]}, cv=GroupKFold(3))
    assert search.fit(x, names, groups=groups).best_estimator_.estimator_.n_estimators in (1, 4)
    inner = GridSearchCV(EstimatorHead(LinearDiscriminantAnalysis()), {"estimator__solver": ["svd", "lsqr"]}, cv=GroupKFold(3))
    assert inner.fit(x, names, groups=groups).best_score_ > 0.9
