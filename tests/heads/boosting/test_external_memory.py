"""Pages on disk and the plan that they follow: any pages give the same trees, and a plan keeps to its budget."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.base import predictor
from tedm.heads.boosting import external_memory as module
from tedm.heads.boosting.head import XGBoostHead
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.memory import HELD, resident


def trees(booster):
    return [re.sub(r"gain=[^,]*,cover=[^,]*", "", tree) for tree in booster.get_dump()]


def test_many_pages_equal_one(make_store, monkeypatch):
    data = TrainingData(make_store(values=(0, 1, 2)), ["one", "two", "three", "four"], rows="share")
    one = XGBoostHead(4).fit_blocks(data)
    monkeypatch.setattr(module, "LEAST_PAGE", 13)
    monkeypatch.setattr(module, "LARGEST_PAGE", 1)
    many = XGBoostHead(4).fit_blocks(data)
    assert many.report().details["page_rows"] < 20 < one.report().details["page_rows"]
    assert many.report().details["cache_bytes"] > one.report().details["cache_bytes"]
    assert trees(many.booster_) == trees(one.booster_)
    monkeypatch.setattr(predictor, "PART_BYTES", 1)
    block = data.features.block("one")
    assert np.array_equal(many.opinions(block, "share"), one.opinions(block, "share"))


def test_cuts_from_some_rows_serve_all(make_store, monkeypatch, labelled_rows):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="concatenate")
    all_rows = XGBoostHead(5).fit_blocks(data)
    monkeypatch.setattr(module, "CUT_ROWS", (40, 10))
    few = XGBoostHead(5).fit_blocks(data)
    assert few.report().details["cut_rows"] == 40
    assert few.loss_curve_[-1] == pytest.approx(all_rows.loss_curve_[-1], rel=0.2)
    assert trees(few.booster_) != trees(all_rows.booster_)
    rows = module.some_rows(data, 40, 0, threading.Event())
    x, _ = labelled_rows(data)
    assert len(rows) == len(np.unique(rows, axis=0)) == 40
    assert all((x == row).all(axis=1).any() for row in rows)


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
    plan = module.Plan(
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
    assert module._largest(plan, "cut_rows", 2**14, plan.bytes) == 4096
    assert module._largest(plan, "cut_rows", 2**14, 10**11) == 2**14


def test_the_disk_must_hold_the_cache(make_store, monkeypatch):
    store = make_store()
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(TedmError, match="set TMPDIR"):
        XGBoostHead(2).fit_blocks(TrainingData(store, store.labels.names, rows="share"))


@pytest.mark.parametrize("rows", [5, 7, 1000])
def test_pages_are_all_rows_in_order_pass_after_pass(make_store, labelled_rows, rows):
    data = TrainingData(make_store(), ["one", "two", "three"], rows="share")
    plan = replace(module.plan_pages(data, None, classes=2, bins=16, depth=2), page_rows=rows)
    weights = np.array([1.0, 3.0])
    pages = module.Pages(data, module.positions_of(np.array([0, 1])), weights, plan, None, threading.Event())
    x, y = labelled_rows(data)

    def take(met, **page):
        met.append({name: array.copy() for name, array in page.items()})

    for _ in range(2):
        met = []
        while pages.next(partial(take, met)):
            pass
        assert [len(page["data"]) for page in met[:-1]] == [rows] * (len(met) - 1)
        assert np.array_equal(np.concatenate([page["data"] for page in met]), x)
        assert np.array_equal(np.concatenate([page["label"] for page in met]), y)
        assert np.array_equal(np.concatenate([page["weight"] for page in met]), weights[y])
        pages.reset()


def test_classes_that_are_absent_have_no_place():
    positions = module.positions_of(np.array([1, 4]))
    assert (positions[1], positions[4], set(np.delete(positions, [1, 4]))) == (0, 1, {-1})


def test_work_that_was_stopped_ends_at_its_next_step(make_store):
    stop = threading.Event()
    module.go_on(stop)
    stop.set()
    with pytest.raises(InterruptedError):
        module.some_rows(TrainingData(make_store(), ["one"], rows="share"), 4, 0, stop)
