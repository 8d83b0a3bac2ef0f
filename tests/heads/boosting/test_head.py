"""XGBoost out of core is XGBoost in memory."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xgboost
from head_suite import HeadSuite
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from tedm.errors import TedmError
from tedm.heads.base.head import HeadOptions
from tedm.heads.boosting.head import XGBoostHead
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows

LAYOUTS = ["share", "concatenate"]


class TestXGBoostHead(HeadSuite):
    head = "xgboost"
    options = HeadOptions(iterations=5)
    validated = HeadOptions(iterations=5, patience=2)


def in_memory(x, y, classes, weight=None, **settings):
    """Plain XGBoost's trees and probabilities."""
    several = {"objective": "multi:softprob", "num_class": classes}
    params = (several if classes > 2 else {"objective": "binary:logistic"}) | {"tree_method": "hist", "seed": 0}
    booster = xgboost.train(params | settings, xgboost.QuantileDMatrix(x, y, weight=weight, max_bin=settings["max_bin"]), 5)
    return booster


def trees(booster):
    return [re.sub(r"gain=[^,]*,cover=[^,]*", "", tree) for tree in booster.get_dump()]


@pytest.mark.parametrize("values", [(0, 255), (3, 7, 9)])
@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("store", [{}, {"draws": 2, "layout": "upsampled"}, {"upsampling": "bilinear", "dtype": "float16"}])
def test_out_of_core_equals_in_memory(make_store, store, rows, values, labelled_rows):
    store = make_store(values=values, **store)
    data = TrainingData(store, store.labels.names, rows=rows)
    head = XGBoostHead(5, max_depth=3, max_bin=16).fit_blocks(data)
    x, y = labelled_rows(data)
    expected = in_memory(x, y, len(values), max_depth=3, max_bin=16, learning_rate=0.3)
    assert trees(head.booster_) == trees(expected)
    block = store.block("two")
    dense = dense_rows(block, rows).astype(np.float32)
    probabilities = expected.inplace_predict(dense)
    if len(values) == 2:
        probabilities = np.stack([1 - probabilities, probabilities], axis=1)
    opinions = head.opinions(block, rows)
    assert opinions.shape == (1, len(dense), len(values))
    np.testing.assert_allclose(opinions[0], probabilities, rtol=0, atol=1e-6)
    np.testing.assert_allclose(head.predict_proba(dense), probabilities, rtol=0, atol=1e-6)
    assert (opinions[0].argmax(axis=1) == head.predict(dense)).all()


def test_validation_images_stop_the_rounds(make_store, labelled_rows):
    store = make_store()
    training, validation = (TrainingData(store, names, rows="concatenate") for names in (["one", "two"], ["three", "four"]))
    head = XGBoostHead(200, patience=4, learning_rate=0.8).fit_blocks(training, validation)
    curve = head.validation_curve_
    assert head.n_iter_ == int(np.argmin(curve)) + 1 == head.booster_.num_boosted_rounds()
    assert len(curve) == len(head.loss_curve_) == head.n_iter_ + 4 < 200
    x, y = labelled_rows(validation)
    own = head.predict_proba(x)[np.arange(len(y)), y]
    assert -np.log(own).mean() == pytest.approx(min(curve), rel=1e-4)
    with pytest.raises(TedmError, match="patience needs validation images"):
        XGBoostHead(patience=4).fit_blocks(training)


@pytest.mark.parametrize(("values", "shown"), [((0, 1, 2), (0, 2)), ((0, 1, 2, 3), (1, 2, 3))])
def test_a_class_that_no_pixel_shows_gets_probability_zero(make_store, values, shown):
    store = make_store(values=values, shown=shown)
    head = XGBoostHead(3).fit_blocks(TrainingData(store, store.labels.names, rows="share"))
    opinions = head.opinions(store.block("one"), "share")[0]
    absent = [k for k in range(len(values)) if k not in shown]
    assert head.classes_.tolist() == list(range(len(values)))
    assert (opinions[:, absent] == 0).all()
    np.testing.assert_allclose(opinions.sum(axis=1), 1, atol=1e-5)
    assert set(head.predict(dense_rows(store.block("one"), "share"))) == set(shown)


def test_class_weights_are_weights_of_rows(make_store, labelled_rows):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="concatenate")
    x, y = labelled_rows(data)
    counts = np.bincount(y)
    weight = (len(y) / (3 * counts))[y]
    head = XGBoostHead(5, class_weight="balanced", max_bin=256).fit_blocks(data)
    settings = {"max_depth": 6, "max_bin": 256, "learning_rate": 0.3}
    # The cuts are those of rows without weights.
    expected = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "seed": 0, **settings},
        xgboost.QuantileDMatrix(x, y, weight=weight, ref=xgboost.QuantileDMatrix(x, max_bin=256), max_bin=256),
        5,
    )
    np.testing.assert_allclose(head.predict_proba(x), expected.inplace_predict(x), rtol=0, atol=1e-5)
    assert trees(head.booster_) != trees(in_memory(x, y, 3, **settings))
    heavy = XGBoostHead(5, class_weight={"0": 100.0}).fit_blocks(data)
    assert (heavy.predict(x) == 0).mean() > (head.predict(x) == 0).mean()
    assert (XGBoostHead(5, class_weight={0: 100.0}).fit(x, y).predict(x) == 0).mean() > (head.predict(x) == 0).mean()


@pytest.mark.parametrize("values", [(0, 255), (3, 7, 9)])
def test_a_loaded_head_predicts_the_same_bits(make_store, tmp_path, values):
    store = make_store(values=values, shown=(0, 2) if len(values) == 3 else None)
    head = XGBoostHead(6, seed=3).fit_blocks(TrainingData(store, store.labels.names, rows="share"))
    head.save(tmp_path)
    again = XGBoostHead(**head.constructor())
    again.restore(tmp_path, features=head.n_features_in_, classes=len(values))
    block = store.block("four")
    assert np.array_equal(again.opinions(block, "share"), head.opinions(block, "share"))
    assert again.n_iter_ == 6
    with pytest.raises(ValueError, match="not of this head"):
        again.restore(tmp_path, features=head.n_features_in_ + 1, classes=len(values))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rounds": 0},
        {"max_depth": 0},
        {"max_depth": 30},
        {"max_bin": 1},
        {"subsample": 0.0},
        {"learning_rate": 0.0},
        {"reg_lambda": -1.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    x, y = load_iris(return_X_y=True)
    with pytest.raises(TedmError, match=next(iter(wrong)).replace("_rate", " rate")):
        XGBoostHead(**wrong).fit(x, y)


def test_scikit_learns_tools_take_it():
    x, species = load_iris(return_X_y=True)
    y, groups = np.array(["setosa", "versicolor", "virginica"])[species], np.arange(len(x)) % 7
    head = XGBoostHead(5, max_depth=2)
    assert clone(head).get_params() == head.get_params()
    assert cross_val_score(head, x, y, groups=groups, cv=GroupKFold(3)).mean() > 0.9
    search = GridSearchCV(make_pipeline(PCA(3), head), {"xgboosthead__max_depth": [1, 2]}, cv=GroupKFold(3))
    assert search.fit(x, y, groups=groups).best_score_ > 0.9
    assert set(search.predict(x)) == set(y)
