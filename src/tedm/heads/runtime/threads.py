"""Several items computed at once, where there are threads for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")


def each_in_a_thread(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield the results of a function for each item, in order, several computed at once.

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
    """Find the libraries once: it takes longer than a small pass."""
    return ThreadpoolController()
