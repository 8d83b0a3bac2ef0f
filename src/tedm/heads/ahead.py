"""Reading the next while this one is computed on, and several at once where there are threads for it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(items: Iterable[T], *, ahead: int = 1) -> Iterator[T]:
    """The same items, made in a thread of their own while the caller works on those before.

    Parameters
    ----------
    items : iterable
        Something slow to iterate over that lets go of Python's lock (reads files, decodes).
    ahead : int
        Items that may wait; with the caller's and the one that is being made, `ahead` + 2 exist at a time. 0 makes no thread.

    Yields
    ------
    The items, in order; an error comes where it occurred. A caller that stops early stops the thread.
    """
    if ahead < 1:
        yield from items
        return
    waiting: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
                del item  # the caller may let go of it now; so must this thread
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=make, name="tedm-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = waiting.get()
            if not more:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
            del item
    finally:
        stopped.set()
        thread.join()


def each_in_a_thread(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """The results of a function for each item, in order, several computed at once.

    Many small products gain nothing from the threads inside BLAS and torch, and lose a lot to their barriers when the cores are
    busy: while this runs each thread has one core and one item.

    Parameters
    ----------
    function : callable
        Called in any of the threads.
    items : iterable
        Made by the caller's thread; at most `threads` + 1 exist at a time.
    threads : int
        1 computes in the caller's thread.

    Yields
    ------
    The results, in the order of the items.
    """
    everywhere = torch.get_num_threads()
    waiting: deque[Future[R]] = deque()
    with _blas().limit(limits=1, user_api="blas"):
        pool = ThreadPoolExecutor(threads, "tedm-compute", initializer=torch.set_num_threads, initargs=(1,))
        torch.set_num_threads(1)
        try:
            if threads == 1:
                yield from map(function, items)
                return
            for item in items:
                waiting.append(pool.submit(function, item))
                del item
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(everywhere)


@cache
def _blas() -> ThreadpoolController:
    """Looking for the libraries takes longer than a small pass."""
    return ThreadpoolController()
