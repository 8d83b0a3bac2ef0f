"""Reading ahead and computing side by side change neither order nor errors, and leave nothing behind."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from tedm.heads.runtime.threads import each_in_a_thread
from tedm.threads import read_ahead


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_items_come_in_order(ahead):
    assert list(read_ahead(iter(range(20)), ahead=ahead)) == list(range(20))
    assert list(read_ahead([], ahead=ahead)) == []


def test_the_next_item_is_made_while_the_caller_works_and_no_more_than_that():
    made = []

    def items():
        for number in range(10):
            made.append(number)
            yield number

    reading = read_ahead(items(), ahead=1)
    assert next(reading) == 0
    until = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2]  # the caller's, one that waits, one in the making
    reading.close()


def test_an_error_comes_where_it_occurred():
    def items():
        yield 1
        raise KeyError("two")

    reading = read_ahead(items())
    assert next(reading) == 1
    with pytest.raises(KeyError, match="two"):
        next(reading)


def test_a_caller_that_stops_early_leaves_no_thread():
    before = threading.active_count()
    reading = read_ahead(iter(range(1000)))
    next(reading)
    reading.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(threads):
    def slow_first(number):
        time.sleep(0.02 * (number == 0))
        return number**2, torch.get_num_threads()

    everywhere = torch.get_num_threads()
    results = list(each_in_a_thread(slow_first, iter(range(8)), threads))
    assert results == [(number**2, 1) for number in range(8)]
    assert torch.get_num_threads() == everywhere


def test_an_error_in_a_thread_is_the_callers():
    def fail(number):
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(each_in_a_thread(fail, iter(range(8)), 2))
