"""Ctrl-C and SIGTERM wait for the end of what must not be cut in two."""

from __future__ import annotations

import signal
import threading

import pytest

from tedm.signals import Pending, deferred_signals, leave_if_pending


def interrupted(times: int, done: list[list[int]]) -> None:
    with deferred_signals() as arrived:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        done.append(list(arrived))


def test_a_signal_comes_when_the_block_is_left():
    done: list[list[int]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(1, done)
    assert done == [[signal.SIGINT]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_comes_at_once():
    done: list[list[int]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(2, done)
    assert done == []


def test_a_process_that_ignores_a_signal_goes_on_ignoring_it():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with deferred_signals() as arrived:
            signal.raise_signal(signal.SIGTERM)
            assert arrived == []
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def long_work(done: list[str]) -> None:
    with deferred_signals():
        leave_if_pending()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Pending):
            leave_if_pending()
        done.append("in order")


def test_long_work_is_left_where_a_signal_waits():
    done: list[str] = []
    leave_if_pending()
    with pytest.raises(KeyboardInterrupt):
        long_work(done)
    assert done == ["in order"]
    leave_if_pending()


def test_another_thread_has_no_signals_to_wait_for():
    seen = []

    def work() -> None:
        with deferred_signals() as arrived:
            seen.append(arrived)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[]]
