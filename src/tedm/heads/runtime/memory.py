"""How much memory a fit or an evaluation may take, and whether what it needs fits.

A budget is the most that the whole process may have resident: Python, libraries and all. Every algorithm states what it will
need before it starts, so that an impossible budget is refused and not discovered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tedm.errors import TedmError
from tedm.text import gigabytes

# This part of a budget may hold decoded activations between passes. It is bounded so that the peak does not follow the number
# of images, and small because the other parts are what a computation stands on.
KEPT_SHARE = 1 / 8
# What the allocator, interpreter and libraries take beyond what we can count: a part of that, and whatever is asked for.
SLACK = 1.05
HELD = 2**26


class BudgetError(TedmError):
    """A budget that does not hold what is asked for; more memory, or sharing it with fewer, would do."""


class Budget:
    """Bytes that this process may have resident.

    Parameters
    ----------
    memory : int or None
        Bytes in all; None takes half of what is free now, on top of what the process has already.
    kept : int or None
        Bytes of decoded activations that may stay in memory between passes; None takes an eighth of the budget.

    Raises
    ------
    TedmError
        If `memory` is not above zero.
    """

    def __init__(self, memory: int | None = None, *, kept: int | None = None) -> None:
        if memory is not None and memory <= 0:
            raise TedmError(f"--memory is {memory} bytes; it must be more than nothing, 4GB say")
        self.total = resident() + free() // 2 if memory is None else memory
        self.was_given = memory is not None
        self.kept_was_given = kept is not None
        self._unkept = int(self.total * KEPT_SHARE) if kept is None else kept
        self._advises = True

    def left(self) -> int:
        """Return the bytes that may still be taken."""
        return max(0, self.total - resident() - HELD)

    def keep(self, nbytes: int) -> bool:
        """Tell whether that much more may stay in memory between passes; if so, it counts as taken from now on."""
        if nbytes > self._unkept:
            return False
        self._unkept -= nbytes
        return True

    def give_back(self, nbytes: int) -> None:
        """Take note that what was granted by `keep` no longer stays."""
        self._unkept += nbytes

    def keepable(self) -> int:
        """Return the bytes that `keep` would still grant."""
        return self._unkept

    @contextmanager
    def without_advice(self) -> Iterator[None]:
        """Say in refusals what memory would do, and nothing else, meanwhile: a committee does not take its heads' options."""
        before, self._advises = self._advises, False
        try:
            yield
        finally:
            self._advises = before

    def require(self, needed: int, what: str, remedy: str = "") -> None:
        """Refuse work that needs more than is left.

        Parameters
        ----------
        needed : int
            Bytes on top of what the process has now.
        what : str
            The work, as the end of "is not enough for ...".
        remedy : str
            What else could be done, a clause.

        Raises
        ------
        BudgetError
            With the least budget that would do.
        """
        least = resident() + HELD + int(needed * SLACK)
        if least <= self.total:
            return
        name = "--memory" if self.was_given else "half of the free memory,"
        raise BudgetError(
            f"{name} {gigabytes(self.total)} is not enough for {what}: "
            f"the least that would do is --memory {_megabytes_up(least)}"
            + (f"; or {remedy}" if remedy and self._advises else "")
        )


def resident() -> int:
    """Return the bytes of memory that this process has now."""
    return int(psutil.Process().memory_info().rss)


def free() -> int:
    """Return the bytes that are free on this machine, or in the control group (a SLURM job, a container) of this process."""
    available = int(psutil.virtual_memory().available)
    for folder in _control_groups():
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            try:
                most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
            except (OSError, ValueError):
                continue
            if most.isdecimal():
                available = min(available, max(0, int(most) - used))
    return available


def _megabytes_up(nbytes: int) -> str:
    """Write bytes rounded up, so that what the message names will do."""
    return f"{-(-nbytes // 10**7) * 10}MB"


def _control_groups() -> list[Path]:
    """Return this process's control groups and their parents, where Linux shows them."""
    root, folders = Path("/sys/fs/cgroup"), []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        folder = (root / "memory" if controllers else root) / path.lstrip("/")
        folders += [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]
    return folders
