"""Calls of XGBoost end like ours: one line for an error, Ctrl-C at once, nothing left behind."""

from __future__ import annotations

import signal
import threading

import pytest
import xgboost

from tedm.errors import TedmError
from tedm.heads.boosting.head import XGBoostHead
from tedm.heads.boosting.xgboost_calls import WorkerLostError, interruptible, speaking
from tedm.heads.data.dataset import TrainingData


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


def test_an_error_of_xgboost_is_one_line_and_others_are_left_alone():
    def fail():
        xgboost.train({"objective": "nonsense"}, xgboost.DMatrix([[0.0], [1.0]], [0, 1]), 1)

    with pytest.raises(TedmError, match="^XGBoost failed: [^\n\\[]*nonsense[^\n]*$"):
        speaking(fail)
    with pytest.raises(ValueError, match="^mine$"):
        speaking(lambda: (_ for _ in ()).throw(ValueError("mine")))
    with pytest.raises(WorkerLostError, match="lost a worker of the cluster"):
        speaking(lambda: (_ for _ in ()).throw(ValueError("[1] /workspace/src/collective/comm.cc: closed")))
    assert speaking(lambda: 3) == 3


def test_an_interrupt_reaches_the_caller_while_the_work_goes_on_elsewhere():
    stop, threads = threading.Event(), []

    def work():
        threads.append(threading.current_thread())
        signal.raise_signal(signal.SIGINT)
        assert stop.wait(timeout=20)
        raise InterruptedError

    with pytest.raises(KeyboardInterrupt):
        interruptible(work, stop.set)
    assert threads != [threading.current_thread()]
    assert not threads[0].is_alive()
    assert interruptible(lambda: 3, stop.set) == 3
