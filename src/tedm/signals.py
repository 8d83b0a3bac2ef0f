"""Ctrl-C, SIGTERM and the end of the terminal, at a moment of our choosing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_deferred: list[list[int]] = []  # what has come in each block that is entered, the innermost last
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Pending(Exception):
    """A signal that is deferred has come: whatever can be done again is to be left."""


def leave_if_pending() -> None:
    """Leave long work that can be done again, if a signal has come that is deferred.

    Raises
    ------
    Pending
        For whoever defers signals around the work.
    """
    if _deferred and _deferred[-1]:
        raise Pending


@contextlib.contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and SIGHUP while something must not be cut in two, and deliver the first when the block is left.

    A second one is delivered at once. In another thread than the main one there are no signals to collect.

    Yields
    ------
    list of int
        The signals that have come; look at it to know when to leave.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return
    before = {number: signal.getsignal(number) for number in NUMBERS}
    # a process that ignores a signal (nohup) is to go on doing so; one whose handler is not Python's keeps it
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def collect(number: int, frame: object) -> None:
        arrived.append(number)
        restore()

    for number in before:
        signal.signal(number, collect)
    _deferred.append(arrived)
    try:
        yield arrived
    finally:
        _deferred.pop()
        restore()
    if arrived:
        signal.raise_signal(arrived[0])
