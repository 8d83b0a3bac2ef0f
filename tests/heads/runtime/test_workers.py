"""A cluster computes what this process computes, also when a worker dies on the way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster
from processes import Forked

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, method_named, predict
from tedm.heads.data.dataset import TrainingData
from tedm.heads.linear.logistic import LogisticHead
from tedm.heads.runtime import workers as module
from tedm.heads.runtime.workers import HERE, connect
from tedm.store import FeatureStore, Registration

TIMESTEPS = (1, 50, 400)


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two workers, all of them processes."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=None, protocol="tcp://"
    ) as made:
        yield made


@pytest.fixture
def address(cluster):
    """Of a scheduler with two workers, whatever the test before did to them."""
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    return cluster.scheduler_address


EXACT = {"dtype": "float64", "tol": 1e-8}


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_a_cluster_finds_the_same_coefficients(make_store, address, rows):
    store = make_store()
    here = LogisticHead(1.0, **EXACT).fit_blocks(TrainingData(store, store.labels.names, rows=rows))
    with connect(address) as workers:
        there = LogisticHead(1.0, **EXACT).fit_blocks(TrainingData(store, store.labels.names, rows=rows, workers=workers))
    assert there.converged_
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=0, atol=1e-5 * np.abs(here.coef_).max())


def test_a_cluster_predicts_and_scores_the_same_bits(make_store, address):
    store = make_store()
    heads = {
        "a": fit(store, method_named("tedm", timesteps=TIMESTEPS), images=1, iterations=20),
        "b": fit(store, method_named("timestep:50"), images=1),
    }
    others = [name for name in store.labels.names if name not in heads["a"].provenance.images]
    with connect(address) as workers:
        pairs = zip(predict(store, heads, others), predict(store, heads, others, workers=workers), strict=True)
        for here, there in pairs:
            assert (here.name, here.head) == (there.name, there.head)
            assert here.probabilities.tobytes() == there.probabilities.tobytes()


def test_scores_of_a_cluster_are_those_of_this_process(make_store, address, tmp_path):
    store = make_store(own=True)
    store.relabel([Registration(name, "test", "", "", (0, 0), None) for name in ("three", "four")], store.labels.classes)
    heads = {"a": fit(store, method_named("tedm", timesteps=TIMESTEPS), iterations=20)}
    with connect(address) as workers:
        assert repr(evaluate(store, heads, workers=workers)) == repr(evaluate(store, heads))


def test_a_fit_survives_a_worker_that_is_killed(make_store, address, cluster):
    store, killed = make_store(), []

    def kill_one(done, of, loss):
        if done == 3:
            pid = next(iter(cluster.workers.values())).process.process.pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    here = LogisticHead(1.0, **EXACT).fit_blocks(TrainingData(store, store.labels.names, rows="share"))
    with connect(address) as workers:
        data = TrainingData(store, store.labels.names, rows="share", workers=workers)
        there = LogisticHead(1.0, **EXACT).fit_blocks(data, progress=kill_one)
    assert killed
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=0, atol=1e-5 * np.abs(here.coef_).max())


def test_no_scheduler_and_no_worker_are_said(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    with pytest.raises(TedmError, match="no Dask scheduler answers at tcp://127.0.0.1:9"), connect("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(TedmError, match="no Dask scheduler answers at nonsense"), connect("nonsense://"):
        pass
    monkeypatch.setattr(module, "WORKER_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", protocol="tcp://") as empty,
        pytest.raises(TedmError, match="has no worker; start some with dask worker tcp://"),
        connect(empty.scheduler_address),
    ):
        pass


def test_a_scheduler_that_dies_ends_the_fit_with_one_line(make_store, tmp_path):
    store, address = make_store(), tmp_path / "scheduler.json"
    scheduler = ["--port", "0", "--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", address]
    worker = ["--scheduler-file", address, "--no-nanny", "--no-dashboard", "--nthreads", "1"]
    processes = [Forked("distributed.cli.dask_scheduler", scheduler), Forked("distributed.cli.dask_worker", worker)]
    try:
        until = time.monotonic() + 60
        while not address.exists() and time.monotonic() < until:
            time.sleep(0.1)

        def kill_it(done, of, loss):
            if done == 2:
                processes[0].kill()

        def fit_there():
            with connect(json.loads(address.read_text())["address"]) as workers:
                data = TrainingData(store, store.labels.names, rows="share", workers=workers)
                LogisticHead(1.0, **EXACT).fit_blocks(data, progress=kill_it)

        with pytest.raises(TedmError, match="was lost .*repeat the command"):
            fit_there()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


class Unreadable:
    """A context that only this process can make sense of."""

    def __reduce__(self):
        return FeatureStore.open, (Path("/not/there"),)


def test_a_store_that_workers_cannot_see_is_said(address):
    with connect(address) as workers, pytest.raises(TedmError, match="(?s)a worker cannot read it.*same path on every worker"):
        list(workers.over(sorted, Unreadable(), ["one"]))


def test_without_an_address_this_process_computes():
    with connect(None) as workers:
        assert workers is HERE
        assert list(workers.over(lambda context, names, more: [(context, list(names), more)], "c", ["a", "b"], 1)) == [
            ("c", ["a", "b"], 1)
        ]
    assert threading.active_count() < 50
