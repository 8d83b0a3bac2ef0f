"""Freed memory: kept for the next step while steps repeat, and given back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import threading
from collections.abc import Iterator

# glibc's parameters (mallopt(3)): free bytes at the heap's end above which they are given back, and the size from which a block
# is mapped by itself. Beside each the largest that it sets for itself as a program goes on, which is what it is put back to.
TRIM_THRESHOLD, TRIMMED_FROM = -1, 64 << 20
MMAP_THRESHOLD, MAPPED_FROM = -3, 32 << 20
# Blocks of so many bytes are mapped by themselves all the same: few, slow anyway, and they would leave holes of their size.
KEPT_BELOW = 256 << 20

_lock = threading.Lock()
_inside = 0


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory meanwhile, for whatever takes as much again, and give it back at the end.

    A step of a network takes and frees the same large blocks each time. glibc gives them back to the system in between, which
    hands them out again page by page and cleared: up to a quarter of a training's time on a CPU. The process holds its peak
    until the end, and it may be a quarter larger, for holes between blocks. Contexts may overlap, also in several threads: the
    last one gives back. Where the C library is not glibc, nothing is changed.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(MMAP_THRESHOLD, KEPT_BELOW)
            _set(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _set(MMAP_THRESHOLD, MAPPED_FROM)
                _set(TRIM_THRESHOLD, TRIMMED_FROM)
                give_back()


def give_back() -> None:
    """Return freed memory to the system, also that of many small parts, which glibc keeps for itself; nothing elsewhere."""
    if trim := getattr(_libc(), "malloc_trim", None):
        trim(0)


def _set(parameter: int, value: int) -> None:
    if mallopt := getattr(_libc(), "mallopt", None):
        mallopt(parameter, value)


@functools.cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
