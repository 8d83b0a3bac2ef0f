"""Our logistic regression equals scikit-learn's."""

from __future__ import annotations

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
from tedm.heads.base.head import HeadOptions
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, row_labels
from tedm.heads.linear.logistic import LogisticHead
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]
RIDGE = 0.7


class TestLogisticHead(HeadSuite):
    head = "logistic"
    validated = HeadOptions(select="val", ridge=(1.0, 10.0))
    checked_params: ClassVar = {"dtype": "float64"}


def dense(store, rows, names=None):
    """All labelled rows, float64."""
    blocks = [store.block(name) for name in names or store.labels.names]
    x = np.concatenate([dense_rows(block, rows).astype(np.float64) for block in blocks])
    y = np.concatenate([row_labels(store.mask(b.name), len(b.timesteps), b.draws, rows) for b in blocks])
    return x[y != IGNORE], y[y != IGNORE].astype(int)


def theirs(x, y, standardize, ridge=RIDGE):
    model = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=10000)
    return (make_pipeline(StandardScaler(), model) if standardize else make_pipeline(model)).fit(x, y)


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
def test_our_logistic_regression_equals_scikit_learns(make_store, rows, values, standardize, dtype):
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


@pytest.mark.parametrize("values", [(0, 255), (3, 7, 9)])
def test_a_tight_tolerance_gives_the_same_coefficients(make_store, values):
    store = make_store(values=values)
    coef, intercept, _ = weights_of(theirs(*dense(store, "share"), True))
    data = TrainingData(store, store.labels.names, rows="share")
    head = LogisticHead(RIDGE, dtype="float64", tol=1e-10).fit_blocks(data)
    np.testing.assert_allclose(head.coef_, coef, rtol=0, atol=1e-6 * np.abs(coef).max())
    np.testing.assert_allclose(head.intercept_, intercept, rtol=0, atol=1e-6 * np.abs(intercept).max())


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("scale", "mean"), [(1e-3, 0), (30, 5), (1, 300)])
def test_spread_and_mean_of_features_do_not_matter_to_the_solver(rng, scale, mean, standardize):
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) * scale + mean
    y = (x[:, 0] - x[:, 0].mean() + scale * rng.normal(size=500) > 0).astype(int)
    x = x.astype(np.float32).astype(np.float64)
    ridge = RIDGE * (1 if standardize else scale**2)
    centred = theirs(x - x.mean(axis=0), y, standardize, ridge)  # the intercept is free: a shift changes nothing but it
    minimum = objective(x - x.mean(axis=0), y, *weights_of(centred), ridge)
    for dtype in ("float32", "float64"):
        head = LogisticHead(ridge, standardize=standardize, dtype=dtype).fit(x, y)
        assert head.converged_
        assert head.n_iter_ < 60
        assert head.objective_ == pytest.approx(minimum, rel=1e-6)


@pytest.mark.parametrize("rows", LAYOUTS)
def test_blocks_equal_rows_in_memory(make_store, rows):
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_said_when_iterations_did_not_suffice(make_store, dtype):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="concatenate")
    assert not LogisticHead(1e-6, max_iter=2, dtype=dtype).fit_blocks(data).converged_
    assert LogisticHead(dtype=dtype).fit_blocks(data).converged_


def test_convergence_is_not_claimed_beyond_float32(make_store):
    data = TrainingData(make_store(), ["one", "two"], rows="share")
    assert LogisticHead(dtype="float64", tol=1e-10).fit_blocks(data).converged_
    assert not LogisticHead(dtype="float32", tol=1e-15).fit_blocks(data).converged_


@pytest.mark.parametrize(("values", "shown"), [((0, 1, 2), (0, 2)), ((0, 1, 2, 3), (1, 2)), ((0, 1, 2, 3), (0, 1, 3))])
def test_a_class_that_no_pixel_shows_gets_probability_zero(make_store, values, shown):
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
def test_class_weights_are_scikit_learns(make_store, rows):
    store = make_store(values=(3, 7, 9))
    x, y = dense(store, rows)
    for weight in ("balanced", {0: 3.0, 2: 0.5}):
        expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000, class_weight=weight).fit(x, y)
        data = TrainingData(store, store.labels.names, rows=rows)
        head = LogisticHead(RIDGE, standardize=False, dtype="float64", class_weight=weight, tol=1e-9).fit_blocks(data)
        np.testing.assert_allclose(head.coef_, expected.coef_, atol=1e-5 * np.abs(expected.coef_).max())


@pytest.mark.parametrize("threads", [1, 3])
def test_the_strength_is_the_one_with_the_smallest_loss_on_held_out_groups(make_store, threads):
    import torch

    store = make_store()
    path = (0.01, 1.0, 30.0, 1000.0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        data = TrainingData(store, store.labels.names, rows="share")
        head = LogisticHead(path, dtype="float64", tol=1e-10).fit_blocks(data)
    finally:
        torch.set_num_threads(before)
    expected = []
    for ridge in path:
        total = count = 0.0
        for outside in store.labels.names:
            x, y = dense(store, "share", [name for name in store.labels.names if name != outside])
            xo, yo = dense(store, "share", [outside])
            logits = theirs(x, y, True, ridge).predict_log_proba(xo)
            total, count = total - logits[np.arange(len(yo)), yo].sum(), count + len(yo)
        expected.append(total / count)
    assert [point["ridge"] for point in head.path_] == list(path)
    np.testing.assert_allclose([point["loss"] for point in head.path_], expected, rtol=1e-5)
    assert head.ridge_ == path[int(np.argmin(expected))]
    assert head.chosen_by_ == "a cross-validation of 4 folds by group"
    alone = LogisticHead(head.ridge_, dtype="float64", tol=1e-10).fit_blocks(data)
    np.testing.assert_allclose(head.coef_, alone.coef_, rtol=1e-9, atol=1e-12)
    assert head.report().details["ridge"] == head.ridge_


def test_strengths_and_folds_share_their_passes(make_store):
    store, passes = make_store(), []

    class Counted(TrainingData):
        def images(self, names, **options):
            passes.append(list(names))
            return super().images(names, **options)

    data = Counted(store, store.labels.names, rows="share")
    head = LogisticHead((0.1, 1.0, 10.0), dtype="float64").fit_blocks(data)
    together = len(passes)
    passes.clear()
    LogisticHead(0.1, dtype="float64").fit_blocks(data)
    assert together < 3 * len(passes)  # for 15 problems
    assert head.n_iter_ < together


def test_a_path_may_be_chosen_on_validation_images(make_store):
    store = make_store()
    train, val = (TrainingData(store, names, rows="share") for names in (["one", "two"], ["three", "four"]))
    head = LogisticHead("auto", select="val").fit_blocks(train, val)
    assert head.chosen_by_ == "the loss on 2 validation images"
    assert len(head.path_) == 7
    logits = np.log(np.concatenate([head.opinions(store.block(name), "share")[0] for name in ("three", "four")]))
    labels = np.concatenate([row_labels(store.mask(name), 3, 1, "share") for name in ("three", "four")])
    used = labels != IGNORE
    mean = -logits[used, labels[used]].mean()
    assert min(point["loss"] for point in head.path_) == pytest.approx(mean, rel=1e-5)


def test_with_fewer_than_three_groups_the_default_is_used_and_said(make_store):
    data = TrainingData(make_store(), ["one", "two"], rows="share")
    head = LogisticHead("auto").fit_blocks(data)
    assert head.ridge_ == 1.0
    assert head.chosen_by_ == "default: 2 groups are too few for a cross-validation"
    assert head.report().details["ridge_chosen_by"] == head.chosen_by_


def test_arrays_choose_by_their_groups(rng):
    x = rng.normal(size=(300, 8))
    y = (x[:, 0] + rng.normal(size=300) > 0).astype(int)
    groups = np.arange(300) // 60
    head = LogisticHead("auto").fit(x, y, groups=groups)
    assert head.chosen_by_ == "a cross-validation of 5 folds by group"
    assert head.ridge_ == min(head.path_, key=lambda point: point["loss"])["ridge"]
    assert LogisticHead([1.0, 10.0]).fit(x, y).ridge_ in (1.0, 10.0)


def test_a_class_that_one_image_shows_alone_does_not_stop_a_cross_validation(make_store):
    store = make_store(values=(0, 1, 2))

    class Rare:
        settings, storage, labels, blocks = store.settings, store.storage, store.labels, store.blocks
        chunk_channels = store.chunk_channels

        def mask(self, name):
            mask = store.mask(name)
            return mask if name == "two" else np.where(mask == 2, 1, mask).astype(np.uint8)

    head = LogisticHead("auto").fit_blocks(TrainingData(Rare(), store.labels.names, rows="share"))
    assert all(np.isfinite(point["loss"]) for point in head.path_)
    assert head.opinions(store.block("two"), "share")[0, :, 2].mean() > 0.01


def test_images_side_by_side_give_the_same_bits_as_one_after_the_other(make_store):
    import torch

    data, before, found = TrainingData(make_store(), list(make_store().labels.names), rows="concatenate"), [], []
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(LogisticHead().fit_blocks(data).coef_.tobytes())
    torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_a_strength_that_makes_no_sense_is_said(make_store):
    data = TrainingData(make_store(), ["one"], rows="share")
    for ridge in (-1.0, [1.0, -2.0], []):
        with pytest.raises(TedmError, match="must be 0 or more"):
            LogisticHead(ridge).fit_blocks(data)
    with pytest.raises(TedmError, match="must be a number, several, or auto"):
        LogisticHead("best").fit_blocks(data)
    with pytest.raises(TedmError, match="choose cv or val"):
        LogisticHead("auto", select="test").fit_blocks(data)
    with pytest.raises(TedmError, match="needs validation images"):
        LogisticHead("auto", select="val").fit_blocks(data)
    with pytest.raises(TedmError, match="rows in memory are cross-validated"):
        LogisticHead("auto", select="val").fit(np.eye(4), [0, 1, 0, 1])
