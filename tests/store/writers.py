"""Processes that write to stores at the same time, or die while they do; run by test_together.py.

The parent imports everything and forks, so that a process is there in milliseconds and all of them start at once.
"""

from __future__ import annotations

import itertools
import os
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch  # noqa: F401  # a store rounds with it: imported once, before any fork

from tedm.store import FeatureStore, Registration, Storage
from tedm.store.place import is_url

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
NAMES = [f"scan {number:02}" for number in range(12)]
PROCESSES = 4


def image_and_cells(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(int(name[5:]))
    image = rng.random((8, 8, 1), dtype=np.float32)
    return image, [rng.normal(size=(2, 1, side, side, depth)).astype(np.float32) for side, depth in ((2, 3), (8, 2))]


def registrations(count: int) -> list[Registration]:
    masks = [np.random.default_rng(100 + number).integers(0, 2, (8, 8)).astype(np.uint8) for number in range(count)]
    return [Registration(name, "train", name, "here", (9, 9), mask) for name, mask in zip(NAMES, masks, strict=False)]


def extract(path: str | Path, layout: str, names: list[str] = NAMES, registered: int = len(NAMES)) -> None:
    """What tedm-extract does with a store, whatever is there already and whoever else is at it."""
    storage = Storage(layout, "float16")
    store = FeatureStore.create(path, SMALL["SETTINGS"], SMALL["ARITHMETIC"], storage, {"tedm": "0"})
    store.register(registrations(registered), (0, 255))
    store.remove_partial_files(names)
    missing = set(store.missing())
    for name in names:
        if name in missing:
            store.write(name, *image_and_cells(name))


def grow(path: Path, layout: str) -> None:
    """One image first, then two more, the last of which stays missing."""
    extract(path, layout, NAMES[:1], 1)
    extract(path, layout, NAMES[:2], 3)


def forked(work: Callable[[], None], start: float | None = None) -> int:
    """Do it in a process of its own, at a given moment; its id."""
    child = os.fork()
    if child:
        return child
    try:
        if start is not None:
            time.sleep(max(0, start - time.monotonic()))
        work()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def status(child: int) -> int:
    """The exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def require(children: list[int]) -> None:
    codes = [status(child) for child in children]
    if any(codes):
        sys.exit(f"exit codes {codes}")


def shards(folder: str | Path, layout: str) -> None:
    """Every process a share of the images, on a path that nobody has made yet; thrice."""
    for attempt in "abc":
        start = time.monotonic() + 0.1
        path = f"{folder}/{attempt}"
        require([forked(lambda k=k, p=path: extract(p, layout, NAMES[k::PROCESSES]), start) for k in range(PROCESSES)])


def same(folder: str | Path, layout: str) -> None:
    """Every process all images, in orders of their own; thrice."""
    for attempt in "abc":
        start = time.monotonic() + 0.1
        path = f"{folder}/{attempt}"
        require([forked(lambda k=k, p=path: extract(p, layout, NAMES[k:] + NAMES[:k]), start) for k in range(PROCESSES)])


def sweeping(folder: Path, layout: str) -> None:
    """One process writes while another one takes every partial file that it sees for that of a dead one."""

    def sweep() -> None:
        while True:
            for partial in folder.rglob("*.partial"):
                partial.unlink(missing_ok=True)

    sweeper = forked(sweep)
    try:
        require([forked(lambda: extract(folder, layout))])
    finally:
        os.kill(sweeper, signal.SIGKILL)
        status(sweeper)


def killed(folder: Path, layout: str, stride: int = 1) -> None:
    """Die by SIGKILL before a file of the store is opened for writing, linked, renamed or removed the k-th time; then go on."""
    for moment in itertools.count(1, stride):
        shutil.rmtree(folder, ignore_errors=True)

        def die_at(last: int = moment) -> None:
            seen = 0

            def hook(event: str, arguments: tuple[object, ...]) -> None:
                nonlocal seen
                written = event in ("os.rename", "os.link", "os.remove") or (
                    event == "open" and str(arguments[0]).endswith(".partial")
                )
                if written and str(folder) in str(arguments[0]):
                    seen += 1
                    if seen == last:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            grow(folder, layout)

        code = status(forked(die_at))
        if code not in (0, -signal.SIGKILL):
            sys.exit(f"moment {moment}: exit code {code}")
        require([forked(lambda: grow(folder, layout))])
        require_equal_trees(folder, moment)
        if code == 0:
            print(f"moments: {(moment - 1) // stride}")
            return


def require_equal_trees(folder: Path, moment: int) -> None:
    """Compare with the first, uninterrupted one, beside it."""
    whole = folder.parent / "whole"
    if not whole.exists():
        require([forked(lambda: grow(whole, folder.name))])
    differs = SMALL["tree"](folder).items() ^ SMALL["tree"](whole).items()
    if differs:
        sys.exit(f"killed at moment {moment}: {sorted({key for key, _ in differs})} differ")


if __name__ == "__main__":
    works = {"shards": shards, "same": same, "sweeping": sweeping, "killed": killed}
    work, folder, layout, *stride = sys.argv[1:]
    works[work](folder if is_url(folder) else Path(folder), layout, *map(int, stride))
