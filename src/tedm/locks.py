"""Locks that a process loses when it ends, however it ends: what has none is no longer being written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tedm.errors import TedmError

try:
    import fcntl

    LOCKS = True
except ImportError:  # Windows has no such locks: there two runs at once are the user's risk
    LOCKS = False

SECONDS = 10.0  # for which a file that another process writes is waited for


def hold_folder(folder: Path, what: Path) -> int | None:
    """Make a folder if it is not there, and lock it for this process.

    Parameters
    ----------
    folder : Path
    what : Path
        What it is for, for the message.

    Returns
    -------
    int or None
        For `let_go`.

    Raises
    ------
    TedmError
        If another process holds it.
    OSError
        If it cannot be made.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if not LOCKS:
            return None
        lock = os.open(folder, os.O_RDONLY)
        if not _locked(lock):
            os.close(lock)
            raise TedmError(f"another run is writing {what}; wait until it is done, or name another folder")
        if _is_at(lock, folder):
            return lock
        os.close(lock)  # it was renamed or deleted before it was locked


def let_go(lock: int | None) -> None:
    """Unlock what `hold_folder` has locked."""
    if lock is not None:
        os.close(lock)


@contextlib.contextmanager
def open_alone(path: Path, what: Path) -> Iterator[BinaryIO]:
    """Open a file for writing, empty, while no other process writes it; wait a little for one that does.

    Raises
    ------
    TedmError
        If another process does not come to an end with it.
    OSError
        If it cannot be opened.
    """
    until = time.monotonic() + SECONDS
    while True:
        number = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        locked = _locked(number)
        if locked and _is_at(number, path):
            break
        os.close(number)
        if not locked:
            if time.monotonic() > until:
                raise TedmError(f"another run is writing {what}; wait until it is done, or name another file")
            time.sleep(0.02)
    with os.fdopen(number, "wb") as file:
        if os.fstat(number).st_size:  # a killed process left it
            file.truncate()
        yield file


def _locked(number: int) -> bool:
    """Lock a file or folder; whether nobody else has it. Where a file system knows no locks, nobody has."""
    try:
        if LOCKS:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False
