"""Claim: a fit of MLPs on random pixels is not slower with all threads than with one, on quiet cores and on busy ones.

    python benchmarks/busy.py STORE [--iterations 300] [--rounds 3]

`tedm-fit` with as many threads as there are cores, and with one, in turns, by itself and beside a process that is busy for
each core but one: at most 1.15 times the wall time of one thread, start-up and all, in medians of the rounds (trying
which is faster takes a few steps). The weights must be the same. STORE has labelled training images.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from synthetic import machine

MOST = 1.15
METHODS = ("tedm", "ledme")


def main() -> int:
    """Print a row for each method and load; 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(__doc__.splitlines()[0])
    print(machine(cores))
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for others in (0, max(1, cores - 1)):
            for method in METHODS:
                took: dict[int, list[float]] = {1: [], cores: []}
                weights = set()
                with busy(others):
                    for _ in range(options.rounds):
                        for threads, seconds in took.items():
                            head = Path(folder) / "head"
                            shutil.rmtree(head, ignore_errors=True)
                            seconds.append(fit(options.store, head, method, options.iterations, threads))
                            weights.add((head / "weights.safetensors").read_bytes())
                one, every = (statistics.median(seconds) for seconds in took.values())
                same = "the same" if len(weights) == 1 else "NOT the same"
                ratio = f"{every:.1f} s with {cores} threads, {one:.1f} with one, {every / one:.2f} of it"
                print(f"{method}, {others} others: {ratio}; the weights are {same}")
                failed += [method] if every > MOST * one or len(weights) > 1 else []
    print("the claim holds" if not failed else "the claim FAILS")
    return int(bool(failed))


def fit(store: Path, head: Path, method: str, iterations: int, threads: int) -> float:
    """Return the wall time of a fit with so many threads."""
    command = [sys.executable, "-m", "tedm.cli.fit", store, head, "--method", method, "--iterations", str(iterations)]
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    began = time.perf_counter()
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    return time.perf_counter() - began


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    sys.exit(main())
