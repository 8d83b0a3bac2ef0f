"""Reading ahead changes when things are made, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from tedm import threads
from tedm.threads import begin_alone, in_order, one_thread_each, read_ahead, threads_back, torch_threads


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_items_come_in_order_whoever_makes_them(ahead):
    assert list(read_ahead(iter(range(20)), ahead=ahead)) == list(range(20))
    assert list(read_ahead([], ahead=ahead)) == []


def test_no_more_items_exist_than_were_asked_for():
    alive, most, turn = 0, 0, threading.Lock()

    class Item:
        def __init__(self) -> None:
            nonlocal alive, most
            with turn:
                alive += 1
                most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            with turn:
                alive -= 1

    for item in read_ahead((Item() for _ in range(30)), ahead=2):
        time.sleep(0.002)
        del item
    assert 2 <= most <= 4


def test_an_error_comes_where_it_occurred():
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    coming = read_ahead(items())
    assert next(coming) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)


def test_a_caller_that_stops_early_stops_the_thread():
    coming = read_ahead(iter(range(10**9)), ahead=1)
    assert next(coming) == 0
    coming.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "tedm-read-ahead"]


def test_the_next_item_is_made_while_the_caller_works_and_no_more_than_that() -> None:
    made = []

    def items() -> Iterator[int]:
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


def test_torch_has_so_many_threads_meanwhile_and_those_of_before_afterwards():
    import torch

    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with torch_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_what_several_threads_make_comes_in_the_order_of_the_items(threads):
    def slower_at_first(item: int) -> int:
        time.sleep(0.001 * (5 - item % 5))
        return item * item

    assert list(in_order(slower_at_first, range(20), threads=threads)) == [item * item for item in range(20)]


def test_no_more_items_are_taken_than_threads_can_work_on() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(30):
            taken.append(item)
            yield item

    for made, _ in enumerate(in_order(abs, items(), threads=3), 1):
        assert len(taken) - made <= 3


def test_several_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=5)
    assert len(list(in_order(lambda _: both.wait(), range(4), threads=2))) == 4


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_came_before_an_error_of_the_items_comes_before_it(threads) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("the disk is gone")

    coming = in_order(lambda item: 10 * item, items(), threads=threads)
    assert [next(coming) for _ in range(3)] == [10, 20, 30]
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)


def test_an_error_of_several_comes_where_it_occurred_and_ends_the_threads() -> None:
    coming = in_order(lambda item: 1 // (2 - item), range(9), threads=2)
    assert [next(coming), next(coming)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(coming)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tedm-in-order")]


def test_torch_has_its_threads_back_when_nobody_computes_alone_any_more():
    before = torch.get_num_threads()
    go_on = threading.Event()
    try:
        torch.set_num_threads(3)
        waits = begin_alone(2, lambda: (go_on.wait(10), torch.get_num_threads())[1])
        assert begin_alone(2, torch.get_num_threads).result(10) == 1
        threads_back(3)
        fresh: list[int] = []
        for expected in (1, 3):  # what a new thread gets: one while another's call is under way
            thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
            thread.start()
            thread.join()
            assert fresh[-1] == expected
            go_on.set()
            assert waits.result(10) == 1
            threads_back(3)
    finally:
        go_on.set()
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks nothing")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    assert begin_alone(1, lambda: 1).result(10) == 1
    child = os.fork()
    if child == 0:
        try:
            os._exit(begin_alone(1, lambda: 7).result(10))
        finally:
            os._exit(1)  # after an error, too: the rest of the tests is the parent's
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_each_part_has_one_thread_whatever_was_set_before_its_thread_first_used_torch(request: pytest.FixtureRequest) -> None:
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    together = threading.Barrier(2)

    def meet(*_: object) -> int:
        together.wait(timeout=10)  # so that each thread takes one
        return torch.get_num_threads()

    threads._pool.cache_clear()
    request.addfinalizer(threads._pool.cache_clear)
    for started in [threads._pool(2).submit(together.wait, 10) for _ in range(2)]:
        started.result()
    torch.set_num_threads(2)
    assert one_thread_each(meet, (0, 1), (2, 3)) == [1, 1]
    assert torch.get_num_threads() == 2
