"""Making the next things while these are worked on, one or several at once; how many threads compute."""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
_lock = threading.Lock()
_running = 0  # calls that `begin_alone` has begun, of anybody's


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


def in_order(work: Callable[[S], T], items: Iterable[S], *, threads: int) -> Iterator[T]:
    """What becomes of the items, in their order, several made at once.

    Parameters
    ----------
    work : callable (item)
        Something slow that lets go of Python's lock.
    items : iterable
        Taken by the caller's thread.
    threads : int
        How many are made at a time; as many exist besides the caller's. 1 makes no thread.

    Yields
    ------
    The results; an error comes where it occurred. A caller that stops early waits for those that are being made.
    """
    if threads < 2:
        yield from map(work, items)
        return
    made: deque[Future[T]] = deque()
    coming = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="tedm-in-order") as pool:
        try:
            while True:
                try:
                    made.append(pool.submit(work, next(coming)))
                except StopIteration:
                    break
                except Exception:
                    while made:  # what came before the error is handed over before it
                        yield made.popleft().result()
                    raise
                if len(made) == threads:
                    yield made.popleft().result()
            while made:
                yield made.popleft().result()
        finally:
            for each in made:
                each.cancel()


def begin_alone(threads: int, function: Callable[..., T], *arguments: object) -> Future[T]:
    """Begin to call a function in one of so many threads, in each of which torch has one thread.

    Torch then takes it that threads to come, and MKL in all threads, get one, too: whoever has the result calls
    `threads_back`.
    """
    import torch

    def alone() -> T:
        global _running
        with _lock:
            _running += 1
            # A thread that asks torch for the first time gets the number that any thread has set last: that has to be over.
            torch.get_num_threads()
            torch.set_num_threads(1)
        try:
            return function(*arguments)
        finally:
            with _lock:
                _running -= 1

    return _pool(threads).submit(alone)


def threads_back(count: int) -> None:
    """Let torch have so many threads again, unless others still compute with one each: then the last of them does."""
    import torch

    with _lock:
        if not _running:
            torch.set_num_threads(count)


def one_thread_each(function: Callable[..., T], *parts: Iterable[Any]) -> list[T]:
    """Return what becomes of each part, as many made at once as torch has threads, each with one thread.

    The threads of one operation wait for each other at its end; these wait once.

    Parameters
    ----------
    function : callable
        Called in any thread.
    parts : iterables of equal length
        Its arguments.
    """
    import torch

    threads = torch.get_num_threads()
    if threads == 1:
        return list(map(function, *parts))
    try:
        return [each.result() for each in [begin_alone(threads, function, *part) for part in zip(*parts, strict=True)]]
    finally:
        threads_back(threads)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that stay: a new one would begin with caches and memory of its own."""
    return ThreadPoolExecutor(threads, "tedm-entry")


def _forked() -> None:
    """Forget the threads in a forked process, which has none of them: whoever waited for one would wait for ever."""
    global _lock, _running
    _pool.cache_clear()
    _lock, _running = threading.Lock(), 0


if hasattr(os, "register_at_fork"):  # not on Windows, which forks nothing
    os.register_at_fork(after_in_child=_forked)


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Give torch so many threads on a CPU meanwhile; None leaves it as it is."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
