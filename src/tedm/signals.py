"""Ctrl-C, SIGTERM and the end of the terminal, at a moment of our choosing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


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
    try:
        yield arrived
    finally:
        restore()
    if arrived:
        signal.raise_signal(arrived[0])
