"""XGBoost on a cluster ends where one machine does, and asks first whether the workers hold the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from tedm.errors import TedmError
from tedm.heads.boosting import cluster as module
from tedm.heads.boosting.head import XGBoostHead
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.workers import Cluster


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

    needed = module.HELD_ON_WORKERS * 4 * data.n_rows * data.n_features / 2
    limit = int(needed) + 1
    module.require_workers(Client(), data)
    limit = int(needed) - 1
    with pytest.raises(TedmError, match="on each of 2 workers, and one may have .* --memory-limit"):
        module.require_workers(Client(), data)
