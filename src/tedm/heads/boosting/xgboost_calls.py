"""Calls of XGBoost that end like ours: errors as one line, Ctrl-C at once, memory given back."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import xgboost

from tedm.errors import TedmError

T = TypeVar("T")


class WorkerLostError(TedmError):
    """Training on a cluster stops with any of its workers; Dask makes the rows again."""


def speaking(work: Callable[[], T]) -> T:
    """Call XGBoost so that its errors are one line, and its warnings left out."""
    try:
        with xgboost.config_context(verbosity=0):
            return work()
    except ValueError as error:  # XGBoost's own is one
        if "/collective/" in str(error) or "Invalid worker address" in str(
            error
        ):  # the workers' own network, or another worker
            raise WorkerLostError(
                "XGBoost lost a worker of the cluster while it was training, again and again; are they killed for memory? "
                "Give workers more memory (dask worker --memory-limit), or use fewer pixels (--pixels-per-image)"
            ) from error
        if not isinstance(error, xgboost.core.XGBoostError):
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        cause = re.sub(r"^(\[[\d:]+\]\s*)?(\S+:\d+:\s*)?", "", first)
        raise TedmError(f"XGBoost failed: {cause}") from error


def interruptible(work: Callable[[], T], give_up: Callable[[], None]) -> T:
    """Do some work in a thread of its own: Ctrl-C comes to this one, which is free to answer.

    XGBoost calls back from C, where an interrupt would be printed and taken for the end of the data.
    """

    started = threading.Event()

    def tidy() -> T:
        started.wait()
        try:
            return work()
        except BaseException as error:
            # The frames hold matrices, which hold files: they must go before the folder does.
            each: BaseException | None = error
            while each is not None:
                traceback.clear_frames(each.__traceback__)
                each = each.__cause__
            raise

    with ThreadPoolExecutor(1, thread_name_prefix="tedm-xgboost") as thread:
        try:
            done = thread.submit(tidy)
            # not before: whoever is interrupted while a thread starts does not know it, and cannot wait for its end
            started.set()
            # a signal that came to the other thread is answered by this one at its next look
            while not wait([done], timeout=0.2).done:
                pass
            return done.result()
        except KeyboardInterrupt:
            give_up()
            raise
        finally:
            started.set()
