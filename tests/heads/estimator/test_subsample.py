"""Samples of pixels: every class of every image is there, wherever they are drawn, and fewer are among more."""

from __future__ import annotations

import pickle

import numpy as np
from sklearn.base import clone

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows
from tedm.heads.estimator.head import EstimatorHead
from tedm.heads.estimator.subsample import sample_sizes, sampled_rows
from tedm.store import IGNORE

FOREST = EstimatorHead("ensemble.RandomForestClassifier", {"n_estimators": 5})


def test_a_sample_has_every_class_of_every_image(make_store, tight):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="share")
    strata = sum(len(np.unique(mask[mask != IGNORE])) for mask in data.masks.values())
    for pixels in (strata, 61, 200):
        sizes = sample_sizes(data, pixels)
        assert sum(sum(of.values()) for of in sizes.values()) == pixels
        for name, of in sizes.items():
            mask = data.masks[name]
            assert {index: min(of[index], int((mask == index).sum())) for index in of} == of
            assert set(of) == set(np.unique(mask[mask != IGNORE]))
        for name in data.names:
            drawn = list(sampled_rows(data, [name], sizes, 0, 300))
            labels = np.concatenate([labels for _, labels in drawn])
            counts = np.bincount(labels, minlength=3)
            assert counts.tolist() == [3 * sizes[name].get(index, 0) for index in range(3)]
    # in proportion, but for rounding and the one that each gets
    shares = [of[2] / sum(of.values()) for of in sample_sizes(data, 200).values()]
    there = [(mask == 2).sum() / (mask != IGNORE).sum() for mask in data.masks.values()]
    np.testing.assert_allclose(shares, there, atol=0.05)
    tight(61 * 3 + 2)
    head = clone(FOREST).fit_blocks(data)
    assert head.report().details["fitted"] == "sampled"
    assert head.rows_seen_ == 61 * 3
    assert head.rows_there_ == data.class_counts().sum() * 3


def test_a_sample_of_all_is_all_and_a_smaller_one_is_part_of_it(make_store, dense):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="share", timesteps=[1])
    x, y = dense(store, data)
    drawn = list(sampled_rows(data, data.names, sample_sizes(data, 10**6), 0, 10**6))
    assert np.array_equal(np.concatenate([rows for rows, _ in drawn]), x)
    assert np.array_equal(np.concatenate([labels for _, labels in drawn]), y)
    few = np.concatenate([rows for rows, _ in sampled_rows(data, data.names, sample_sizes(data, 50), 0, 100)])
    more = np.concatenate([rows for rows, _ in sampled_rows(data, data.names, sample_sizes(data, 90), 0, 100)])
    assert {row.tobytes() for row in few} < {row.tobytes() for row in more}


class Elsewhere:
    """Other processes, as far as these can be told: an image each, and nothing arrives but what survives pickling."""

    def over(self, function, context, names, *args):
        for name in names:
            there, theirs = pickle.loads(pickle.dumps((function, context)))
            yield from pickle.loads(pickle.dumps(list(there(theirs, [name], *args))))


def test_a_sample_drawn_elsewhere_is_the_same(make_store, tight):
    store = make_store(values=(0, 1, 2))
    tight(61 * 3)
    here, there = (
        clone(FOREST).fit_blocks(TrainingData(store, store.labels.names, rows="share", **where))
        for where in ({}, {"workers": Elsewhere()})
    )
    x = dense_rows(store.block("one"), "share")
    assert np.array_equal(here.predict_proba(x), there.predict_proba(x))


def test_a_balanced_sample_has_classes_alike(make_store):
    store = make_store(values=(0, 1, 2))
    data = TrainingData(store, store.labels.names, rows="share", sampling="balanced")
    sizes = sample_sizes(data, 90)
    per_class = [sum(of[index] for of in sizes.values()) for index in range(3)]
    assert max(per_class) - min(per_class) <= 6
    assert data.class_counts().max() > 2 * data.class_counts().min()
