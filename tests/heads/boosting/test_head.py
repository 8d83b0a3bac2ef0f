"""XGBoost out of core is XGBoost in memory."""

from __future__ import annotations

import re
import signal
import tempfile
import threading
from dataclasses import replace

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
from tedm.heads.base import predictor
from tedm.heads.base.head import HeadOptions
from tedm.heads.boosting import cluster as on_cluster
from tedm.heads.boosting import external_memory as pages
from tedm.heads.boosting import head as boosting
from tedm.heads.boosting.head import XGBoostHead, feature_importance
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, rows_at
from tedm.heads.runtime.memory import HELD, resident
from tedm.heads.runtime.workers import Cluster
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where temporary folders are made, of which none of ours is left in the end."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("tedm*")) == []


class TestXGBoostHead(HeadSuite):
    head = "xgboost"
    options = HeadOptions(iterations=5)
    validated = HeadOptions(iterations=5, patience=2)


def labelled_rows(data):
    """All rows that the data has, in its order, and their class indices."""
    x, y = [], []
    for labelled in data:
        pixels = np.flatnonzero(labelled.mask.ravel() != IGNORE)
        x.append(rows_at(labelled.block, pixels, data.rows))
        y.append(np.repeat(labelled.mask.ravel()[pixels], data.rows_per_pixel))
    return np.concatenate(x), np.concatenate(y).astype(int)


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
def test_out_of_core_equals_in_memory(make_store, store, rows, values):
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


def test_many_pages_equal_one(make_store, monkeypatch):
    data = TrainingData(make_store(values=(0, 1, 2)), ["one", "two", "three", "four"], rows="share")
    one = XGBoostHead(4).fit_blocks(data)
    monkeypatch.setattr(pages, "LEAST_PAGE", 13)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 1)
    many = XGBoostHead(4).fit_blocks(data)
    assert many.report().details["page_rows"] < 20 < one.report().details["page_rows"]
    assert many.report().details["cache_bytes"] > one.report().details["cache_bytes"]
    assert trees(many.booster_) == trees(one.booster_)
    monkeypatch.setattr(predictor, "PART_BYTES", 1)
    block = data.features.block("one")
    assert np.array_equal(many.opinions(block, "share"), one.opinions(block, "share"))


def test_cuts_from_some_rows_serve_all(make_store, monkeypatch):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="concatenate")
    all_rows = XGBoostHead(5).fit_blocks(data)
    monkeypatch.setattr(pages, "CUT_ROWS", (40, 10))
    few = XGBoostHead(5).fit_blocks(data)
    assert few.report().details["cut_rows"] == 40
    assert few.loss_curve_[-1] == pytest.approx(all_rows.loss_curve_[-1], rel=0.2)
    assert trees(few.booster_) != trees(all_rows.booster_)
    rows = pages.some_rows(data, 40, 0, threading.Event())
    x, _ = labelled_rows(data)
    assert len(rows) == len(np.unique(rows, axis=0)) == 40
    assert all((x == row).all(axis=1).any() for row in rows)


def test_validation_images_stop_the_rounds(make_store):
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


def test_class_weights_are_weights_of_rows(make_store):
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


def test_importance_names_the_level_and_timestep_that_tell(make_store):
    store = make_store()
    for rows in LAYOUTS:
        data = TrainingData(store, store.labels.names, rows=rows)
        head = XGBoostHead(10, max_depth=2).fit_blocks(data)
        found = feature_importance(head, store.settings, rows, data.timesteps)
        assert found == head.report().details["feature_importance"]
        assert sum(each["gain"] for each in found) == pytest.approx(1)
        best = max(found, key=lambda each: each["gain"])
        # level1 has a cell a pixel, and the smallest timestep the most of the mask.
        assert (best["timestep"], best["level"]) == (None if rows == "share" else 1, "level1")
        assert len(found) == (2 if rows == "share" else 6)


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


def test_the_budget_that_a_refusal_names_is_enough(make_store):
    store = make_store()
    arguments = {"rows": "concatenate", "timesteps": (1, 50)}
    head = XGBoostHead(2, max_depth=14)
    tight = resident() + HELD + 30_000_000
    with pytest.raises(TedmError, match="not enough for XGBoost") as refusal:
        head.fit_blocks(TrainingData(store, store.labels.names, **arguments, memory=tight))
    message = str(refusal.value)
    enough = int(re.search(r"the least that would do is --memory (\d+)MB", message)[1]) * 10**6
    head.fit_blocks(TrainingData(store, store.labels.names, **arguments, memory=enough + 10**7))
    assert "smaller max_bin or max_depth" in message


def test_plans_follow_from_shapes_and_budget():
    plan = pages.Plan(
        features=8448,
        bins=256,
        outputs=29,
        rows=163_840,
        depth=4,
        reading=10**8,
        threads=2,
        cut_rows=4096,
        page_rows=2048,
        nodes=15,
    )
    histogram = 8448 * 256 * 16
    assert plan.boosting > (15 + 4) * histogram
    assert replace(plan, nodes=8).boosting < plan.boosting
    more = replace(plan, rows=2 * plan.rows)
    assert more.boosting - plan.boosting == plan.rows * (24 * 29 + 64)
    assert (more.cutting, more.paging) == (plan.cutting, plan.paging)
    assert pages._largest(plan, "cut_rows", 2**14, plan.bytes) == 4096
    assert pages._largest(plan, "cut_rows", 2**14, 10**11) == 2**14


def test_the_disk_must_hold_the_cache(make_store, monkeypatch):
    store = make_store()
    monkeypatch.setattr(boosting.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(TedmError, match="set TMPDIR"):
        XGBoostHead(2).fit_blocks(TrainingData(store, store.labels.names, rows="share"))


def test_errors_of_readers_and_of_xgboost_come_through(make_store, monkeypatch, cache):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    passes = []

    def broken(names, chunk_bytes, *, working=None):
        passes.append(names)
        raise TedmError("an image is gone")

    monkeypatch.setattr(data, "row_chunks", broken)
    with pytest.raises(TedmError, match="an image is gone"):
        XGBoostHead(2).fit_blocks(data)
    monkeypatch.undo()
    with pytest.raises(TedmError, match="^XGBoost failed: [^\n]*$"):
        XGBoostHead(2, device="nonsense").fit_blocks(TrainingData(store, store.labels.names, rows="share"))


def test_ctrl_c_ends_a_fit_and_leaves_nothing(make_store, cache):
    store = make_store()
    rounds = []

    def interrupt(done, of, loss):
        rounds.append(done)
        if done == 3:
            assert list(cache.iterdir())
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        XGBoostHead(100_000).fit_blocks(TrainingData(store, store.labels.names, rows="share"), None, interrupt)
    assert 3 <= max(rounds) < 50_000


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


@pytest.mark.slow
def test_a_cluster_equals_one_machine(make_store, tmp_path):
    pytest.importorskip("pyarrow")  # XGBoost's Dask interface imports data frames
    from distributed import Client, LocalCluster

    store = make_store(values=(0, 1, 2), shown=(0, 2))
    training, validation = (TrainingData(store, names, rows="concatenate") for names in (["one", "two", "three"], ["four"]))
    head = XGBoostHead(8, patience=2, class_weight="balanced", learning_rate=0.8)
    here = clone(head).fit_blocks(training, validation)
    seen = []
    local = {"processes": True, "dashboard_address": ":0", "local_directory": str(tmp_path / "dask"), "host": "127.0.0.1"}
    with LocalCluster(n_workers=2, threads_per_worker=1, **local) as cluster, Client(cluster, set_as_default=False) as client:
        training.workers = Cluster(client)
        there = clone(head).fit_blocks(training, validation, lambda *report: seen.append(report))
    assert there.n_iter_ == here.n_iter_
    assert there.report().details["workers"] == 2
    assert seen == [(there.n_iter_, 8, there.loss_curve_[-1])]
    block = store.block("one")
    # Workers see their own weighted rows when they choose bins.
    np.testing.assert_allclose(there.opinions(block, "concatenate"), here.opinions(block, "concatenate"), rtol=0, atol=0.05)


def test_workers_that_cannot_hold_the_rows_are_refused_before_work(make_store):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")

    class Client:  # what a cluster says of itself is all that is looked at
        def scheduler_info(self, n_workers):
            return {"workers": {"a": {"memory_limit": limit}, "b": {"memory_limit": None}}}

    needed = on_cluster.HELD_ON_WORKERS * 4 * data.n_rows * data.n_features / 2
    limit = int(needed) + 1
    on_cluster.require_workers(Client(), data)
    limit = int(needed) - 1
    with pytest.raises(TedmError, match="on each of 2 workers, and one may have .* --memory-limit"):
        on_cluster.require_workers(Client(), data)
