"""Our logistic regression equals scikit-learn's."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from head_suite import HeadSuite
from scipy.special import log_softmax
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, method_named, save_head
from tedm.heads.base.head import HeadOptions
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows
from tedm.heads.linear.logistic import LogisticHead
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]
RIDGE = 0.7


class TestLogisticHead(HeadSuite):
    head = "logistic"
    validated = HeadOptions(select="val", ridge=(1.0, 10.0))
    checked_params: ClassVar = {"dtype": "float64"}


def weights_of(model):
    """Of a pipeline, for features as they are: coefficients, intercepts, and the scale that the penalty sees."""
    last, scale, mean = model[-1], 1.0, 0.0
    if len(model) == 2:
        scale, mean = model[0].scale_, model[0].mean_
    coef = last.coef_ / scale
    return coef, last.intercept_ - (coef * mean).sum(axis=1), scale


def objective(x, y, coef, intercept, scale, ridge=RIDGE):
    logits = x @ coef.T + intercept
    if len(coef) == 1:
        logits = np.concatenate([0 * logits, logits], axis=1)
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y].sum() + ridge / 2 * ((coef * scale) ** 2).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("values", [(0, 255), (3, 7, 9)])
@pytest.mark.parametrize("rows", LAYOUTS)
def test_our_logistic_regression_equals_scikit_learns(make_store, rows, values, standardize, dtype, dense, theirs):
    store = make_store(values=values, upsampling="bilinear" if rows == "share" else "nearest")
    x, y = dense(store, rows)
    expected = theirs(x, y, standardize)
    coef, intercept, scale = weights_of(expected)
    minimum = objective(x, y, coef, intercept, scale)
    data = TrainingData(store, store.labels.names, rows=rows)
    head = LogisticHead(RIDGE, standardize=standardize, dtype=dtype).fit_blocks(data)
    assert head.converged_
    assert head.n_iter_ < 100
    assert objective(x, y, head.coef_, head.intercept_, scale) == pytest.approx(minimum, rel=1e-6)
    assert head.objective_ == pytest.approx(minimum, rel=1e-6)
    np.testing.assert_allclose(head.coef_, coef, rtol=0, atol=1e-3 * np.abs(coef).max())
    np.testing.assert_allclose(head.intercept_, intercept, rtol=0, atol=1e-3 * np.abs(intercept).max())
    block = store.block("two")
    opinions = head.opinions(block, rows)
    assert opinions.shape == (1, len(dense_rows(block, rows)), len(values))
    np.testing.assert_allclose(opinions[0], expected.predict_proba(dense_rows(block, rows)), rtol=0, atol=1e-3)
    np.testing.assert_allclose(opinions[0], head.predict_proba(dense_rows(block, rows)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", LAYOUTS)
def test_blocks_equal_rows_in_memory(make_store, rows, dense):
    store = make_store(values=(0, 1, 2), draws=2)
    data = TrainingData(store, store.labels.names, rows=rows)
    x, y = dense(store, rows)
    ours, plain = (LogisticHead(dtype="float64", tol=1e-10) for _ in range(2))
    ours.fit_blocks(data), plain.fit(x, y)
    np.testing.assert_allclose(ours.coef_, plain.coef_, rtol=0, atol=1e-7 * np.abs(plain.coef_).max())
    assert ours.objective_ == pytest.approx(plain.objective_, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_feature_that_does_not_vary_gets_no_weight(rng, dtype):
    x, y = rng.normal(size=(3000, 3)), rng.integers(0, 2, 3000)
    x[:, 1] = 0.1
    for standardize in (True, False):
        head = LogisticHead(standardize=standardize, dtype=dtype).fit(x, y)
        without = LogisticHead(standardize=standardize, dtype=dtype).fit(x[:, [0, 2]], y)
        assert abs(head.coef_[0, 1]) < 1e-4
        assert head.objective_ == pytest.approx(without.objective_, rel=1e-6)


@pytest.mark.parametrize(("values", "shown"), [((0, 1, 2), (0, 2)), ((0, 1, 2, 3), (1, 2)), ((0, 1, 2, 3), (0, 1, 3))])
def test_a_class_that_no_pixel_shows_gets_probability_zero(make_store, values, shown, dense, theirs):
    store = make_store(values=values, shown=shown)
    x, y = dense(store, "share")
    head = LogisticHead(RIDGE, dtype="float64", tol=1e-9)
    head.fit_blocks(TrainingData(store, store.labels.names, rows="share"))
    opinions = head.opinions(store.block("one"), "share")[0]
    absent = [k for k in range(len(values)) if k not in shown]
    assert (opinions[:, absent] == 0).all()
    expected = theirs(x, y, True).predict_proba(dense_rows(store.block("one"), "share"))
    np.testing.assert_allclose(opinions[:, list(shown)], expected, rtol=0, atol=1e-6)


def test_drawn_pixels_are_all_that_is_learnt_from(make_store):
    store = make_store()
    data = TrainingData(store, ["one", "three"], rows="share", pixels_per_image=12)
    x = np.concatenate([dense_rows(store.block(name), "share") for name in data.names])
    y = np.concatenate([np.tile(data.masks[name].ravel(), 3) for name in data.names])
    ours = LogisticHead(dtype="float64", tol=1e-10).fit_blocks(data)
    plain = LogisticHead(dtype="float64", tol=1e-10).fit(x[y != IGNORE], y[y != IGNORE])
    assert (y != IGNORE).sum() == 2 * 12 * 3
    np.testing.assert_allclose(ours.coef_, plain.coef_, rtol=0, atol=1e-7)


def test_labels_can_be_anything():
    x, species = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    head = LogisticHead(1.0, dtype="float64").fit(x, names[species])
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)).fit(x, names[species])
    assert head.classes_.tolist() == names.tolist()
    assert np.array_equal(head.predict(x), expected.predict(x))
    two = species != 1
    head = LogisticHead().fit(x[two], names[species][two])
    assert set(head.predict(x)) == {"setosa", "virginica"}
    assert head.coef_.shape == (1, 4)


@pytest.mark.parametrize("ridge", [-1, float("nan")])
def test_a_ridge_below_zero_is_refused(ridge):
    with pytest.raises(TedmError, match="it must be 0 or more"):
        LogisticHead(ridge).fit([[0.0], [1.0]], [0, 1])


def test_no_penalty_is_possible(rng):
    x, y = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(x, y)
    for standardize in (True, False):
        head = LogisticHead(0.0, standardize=standardize, dtype="float64").fit(x, y)
        np.testing.assert_allclose(head.coef_, expected.coef_, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rows", LAYOUTS)
def test_class_weights_are_scikit_learns(make_store, rows, dense):
    store = make_store(values=(3, 7, 9))
    x, y = dense(store, rows)
    for weight in ("balanced", {0: 3.0, 2: 0.5}):
        expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000, class_weight=weight).fit(x, y)
        data = TrainingData(store, store.labels.names, rows=rows)
        head = LogisticHead(RIDGE, standardize=False, dtype="float64", class_weight=weight, tol=1e-9).fit_blocks(data)
        np.testing.assert_allclose(head.coef_, expected.coef_, atol=1e-5 * np.abs(expected.coef_).max())


# A head that was saved scores a store; with a number, so many activations are converted before torch is imported.
SCORES = """import sys
from pathlib import Path
from tedm.heads import evaluate, load_head
from tedm.heads.data import design
from tedm.store import FeatureStore
if len(sys.argv) > 3:
    design._convert = design._Converter(int(sys.argv[3]))
records = evaluate(FeatureStore.open(sys.argv[1]), {"head": load_head(Path(sys.argv[2]), device="auto")})
print([record.dice for record in records], "torch" in sys.modules)
"""


@pytest.mark.parametrize(("more", "torch"), [([], False), (["0"], True), (["100"], True)])
def test_scores_are_the_same_without_torch_which_few_images_do_not_need(make_split_store, tmp_path, more, torch):
    store = make_split_store(dtype="float16")
    head = fit(store, method_named("tedm", timesteps=(1, 50, 400), head="logistic"), iterations=20)
    save_head(head, tmp_path / "head")
    command = [sys.executable, "-c", SCORES, str(store.path), str(tmp_path / "head"), *more]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    dice = [record.dice for record in evaluate(store, {"head": head})]
    assert printed == f"{dice} {torch}\n"


def test_another_type_of_products_is_refused_before_the_fit(make_store):
    data = TrainingData(make_store(), ["one", "two"], rows="share")
    with pytest.raises(TedmError, match=r"dtype is 'float16'; it must be float32 or float64"):
        LogisticHead(dtype="float16").fit_blocks(data)
