"""A pass gives the sums of many models at once: those of each alone, over the images that count for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear.passes import Effort, center_and_variance, moments, sums
from tedm.heads.linear.source import Source
from tedm.heads.linear.stacks import Model
from tedm.store import IGNORE


def model(rng, features, classes, images):
    position = np.full(256, IGNORE, np.uint8)
    position[classes] = np.arange(len(classes))
    outputs = 1 if len(classes) == 2 else len(classes)
    return Model(
        rng.normal(size=(features, outputs)), rng.normal(size=outputs), frozenset(images), position, rng.random(256) + 0.5
    )


def by_hand(x, y, one):
    """Loss, weight, gradient and offset of a model over rows."""
    used = one.position[y] != IGNORE
    x, y = x[used], y[used]
    logits = x @ one.weights + one.shift
    full = np.concatenate([0 * logits, logits], axis=1) if logits.shape[1] == 1 else logits
    at, weights = one.position[y], one.row_weights[y]
    residuals = (softmax(full, axis=1) - np.eye(full.shape[1])[at]) * weights[:, None]
    residuals = residuals[:, -logits.shape[1] :]
    loss = -(weights * log_softmax(full, axis=1)[np.arange(len(y)), at]).sum()
    return loss, weights.sum(), x.T @ residuals, residuals.sum(axis=0)


@pytest.mark.parametrize(("columns", "threads"), [(1, 1), (4, 1), (100, 2)])
@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_sums_of_many_models_are_those_of_each(make_store, dense, rng, rows, columns, threads):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows=rows)
    wanted = [([0, 1], ["one", "two"]), ([0, 1, 2], ["two"]), ([1, 2], ["one", "two", "four"]), ([0, 1], ["four"])]
    models = [model(rng, data.n_features, classes, images) for classes, images in wanted]
    found = sums(Source.from_training_data(data), models, Effort("float64", columns, threads))
    for one, total in zip(models, found, strict=True):
        x, y = dense(store, rows, sorted(one.images))
        loss, weight, gradient, offset = by_hand(x, y, one)
        assert (total.loss, total.total) == (pytest.approx(loss, rel=1e-10), pytest.approx(weight, rel=1e-10))
        np.testing.assert_allclose(total.gradient, gradient, rtol=0, atol=1e-9 * np.abs(gradient).max())
        np.testing.assert_allclose(total.offset, offset, rtol=0, atol=1e-9 * np.abs(x).max() * weight)
    losses_alone = sums(Source.from_training_data(data), models, Effort("float64", columns, threads), gradients=False)
    assert [total.loss for total in losses_alone] == [total.loss for total in found]
    assert not any(total.gradient.any() for total in losses_alone)


def test_center_and_variance_are_those_of_the_labelled_rows(make_store, dense):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    of_images = {name: found for name, *found in moments(data, data.names, Effort("float64", 1, 1))}
    for names in (["one"], ["four", "two"]):
        x, _ = dense(store, "share", names)
        center, variance, total = center_and_variance(of_images, names)
        assert total == len(x)
        np.testing.assert_allclose(center, x.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-8)


def test_a_feature_that_does_not_vary_has_no_variance():
    x = np.full(3000, 0.1)
    center, variance, _ = center_and_variance({"a": (x.sum(keepdims=True), (x**2).sum(keepdims=True), 3000)}, ["a"])
    assert center[0] ** 2 * 3000 != (x**2).sum()  # rounding has left something
    assert variance[0] == 0
