"""Stages of a pipeline that work at the same time: one that makes items ahead, one that takes them away behind.

Between two stages there is a queue of a few items, so the number of items in memory does not depend on how many there are. A
stage that finds its queue empty or full waits, and the seconds are counted: they tell which stage sets the pace (`pace`).
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from tedm.text import duration
from tedm.threads import read_ahead

T = TypeVar("T")


@dataclass
class Waited:
    """Seconds in which the middle stage, the device, had nothing to do.

    Parameters
    ----------
    for_images : float
        Because nothing was read yet.
    for_disk : float
        Because what it had made was not taken away yet.
    """

    for_images: float = 0.0
    for_disk: float = 0.0


def pace(done: int, left: int, seconds: float, waited: Waited) -> str:
    """Return a remark for the progress line.

    Parameters
    ----------
    done, left : int
        Images of this run.
    seconds : float
        Since it began to read the first image.
    waited : Waited
        What the device has waited.

    Examples
    --------
    >>> pace(90, 10, 100.0, Waited(for_images=0.2, for_disk=30.0))
    '0.90 images/s, 11 s left, the device waits for the disk 30 % of the time'
    """
    rate = done / max(seconds, 1e-9)
    text = f"{_three_digits(rate)} images/s, {duration(left / rate)} left" if left else f"{_three_digits(rate)} images/s"
    longest, whom = max((waited.for_images, "images"), (waited.for_disk, "the disk"))
    share = round(100 * longest / max(seconds, 1e-9))
    return (
        f"{text}, the device waits for {whom} {share} % of the time" if share >= 5 else f"{text}, the disk waits for the device"
    )


def _three_digits(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def ahead(items: Iterable[T], *, waiting: int, waited: Waited) -> Iterator[T]:
    """Yield the same items in the same order, made in a thread of their own while the caller works on those before.

    Parameters
    ----------
    items : iterable
        None of them None. Something slow to iterate over that lets go of Python's lock: reads, decodes, computes with NumPy.
    waiting : int
        Items that may wait for the caller; with the caller's and the one that is being made, `waiting` + 2 exist at a time.
    waited : Waited
        Its `for_images` is counted up.

    Yields
    ------
    The items; an error comes where it occurred. A caller that stops early stops the thread.
    """
    with contextlib.closing(read_ahead(items, ahead=waiting)) as made:  # type: ignore[type-var]
        while True:
            since = time.perf_counter()
            item = next(made, None)
            waited.for_images += time.perf_counter() - since
            if item is None:
                return
            yield item
            del item


class Behind(Generic[T]):
    """Threads that work on items while the caller makes the next ones; a context that ends when all are done.

    An error in the work is raised by the next `put`, or at the end; what was put after that item is dropped. When the caller
    itself is interrupted, what was put is still worked on: it is complete, and little.

    Parameters
    ----------
    work : callable (item)
        Called in one of the threads; in order where there is one thread.
    threads : int
        Items that are worked on at once.
    waiting : int
        Further items that may wait.
    waited : Waited
        Its `for_disk` is counted up.
    """

    def __init__(self, work: Callable[[T], None], *, threads: int, waiting: int, waited: Waited) -> None:
        self._work = work
        self._waited = waited
        self._items: queue.Queue[list[T]] = queue.Queue(maxsize=waiting)
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._run, name="tedm-behind", daemon=True) for _ in range(threads)]

    def put(self, item: T) -> None:
        """Hand an item over; waits while too many are there already."""
        since = time.perf_counter()
        self._put([item])
        self._waited.for_disk += time.perf_counter() - since
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for _ in self._threads:
            self._put([])
        for thread in self._threads:
            thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _put(self, item: list[T]) -> None:
        self._items.put(item)  # never for ever: the threads take items until the end, after an error too

    def _run(self) -> None:
        while item := self._items.get():
            if self._error is None:
                try:
                    self._work(item.pop())
                except BaseException as error:
                    self._error = error
            item.clear()  # while this thread waits for the next one, this one's memory is free
