"""A Dask cluster and one machine: the commands find the same head, also when a worker is killed.

Claims: with a scheduler and two workers that were started by hand, logistic regression (ridge 1, float64, gradient at most
1e-8) gives the same coefficients within 1e-5 of the largest, also when a worker is killed in the middle; XGBoost scores the
same Dice within 0.5 points; `tedm-evaluate --scheduler` writes the same records and `tedm-predict --scheduler` the same masks.

    python benchmarks/cluster.py STORE [--domain shenzhen] [--images 12]

STORE is a feature store with images of split "train" and "test": of the chest X-rays of `../shared/data`, say, extracted with
`tedm-extract`. XGBoost needs the extra: pip install 'tedm[cluster]'.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from synthetic import machine

BIN = Path(sys.executable).parent
EXACT = ("--ridge", "1", "--iterations", "5000", "--params", '{"dtype": "float64", "tol": 1e-8}')


def main() -> None:
    """All four comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--domain", default=None, help="of the images; all if not given")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--pixels-per-image", type=int, default=1000, help="for XGBoost")
    parser.add_argument("--rounds", type=int, default=20, help="for XGBoost")
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    domain = ["--domain", asked.domain] if asked.domain else []
    with tempfile.TemporaryDirectory() as name, _cluster(Path(name)) as (address, workers):
        folder = Path(name)
        there = ["--scheduler", address]
        common = ["--method", "tedm", "--images", str(asked.images), *domain]
        trees = ["--head", "xgboost", "--iterations", str(asked.rounds), "--pixels-per-image", str(asked.pixels_per_image)]

        def fit(head: str, *options: str) -> float:
            start = time.perf_counter()
            _run("tedm-fit", asked.store, folder / head, *common, *options)
            return time.perf_counter() - start

        seconds = [fit("here", "--head", "logistic", *EXACT), fit("there", "--head", "logistic", *EXACT, *there)]
        # Once the fit is well under way.
        killer = threading.Timer(seconds[1] / 2, _kill_a_worker, [workers[0]])
        killer.start()
        fit("killed", "--head", "logistic", *EXACT, *there)
        killer.join()
        fit("trees", *trees)
        fit("trees-there", *trees, *there)
        dice = {}
        for head in ("here", "trees", "trees-there"):
            _run("tedm-evaluate", asked.store, folder / head, *domain, "--records", folder / f"{head}.csv")
            dice[head] = _dice(folder / f"{head}.csv")
        _run("tedm-evaluate", asked.store, folder / "here", *domain, "--records", folder / "scored-there.csv", *there)
        for where, options in (("masks", []), ("masks-there", there)):
            _run("tedm-predict", folder / "here", asked.store, folder / where, *domain, *options)
        masks = [path.name for path in sorted((folder / "masks").glob("*.png"))]
        different = filecmp.cmpfiles(folder / "masks", folder / "masks-there", masks, shallow=False)
        same_records = filecmp.cmp(folder / "here.csv", folder / "scored-there.csv", shallow=False)
        apart = {head: _apart(folder / "here", folder / head) for head in ("there", "killed")}
        gradient = json.loads((folder / "here" / "head.json").read_text())["provenance"]["fit"]["converged"]
        about = f"{asked.images} images, {len(masks)} test images"
    print(__doc__.splitlines()[0])
    print(f"logistic regression, {about}: converged {gradient}; here {seconds[0]:.0f} s, on two workers {seconds[1]:.0f} s")
    for head, what in (("there", "coefficients"), ("killed", "coefficients, a worker killed in the middle")):
        print(f"claim: {what} within 1e-5 of the largest; figure: {apart[head]:.1e}")
    points = 100 * abs(dice["trees"] - dice["trees-there"])
    print(
        f"claim: Dice of XGBoost within 0.5 points; figure: {points:.2f} ({100 * dice['trees']:.2f} here, "
        f"{100 * dice['trees-there']:.2f} there)"
    )
    print(f"claim: the same records and masks; figure: records {same_records}, {len(different[0])} of {len(masks)} masks")
    print(machine(1), "a thread in each process")
    if max(apart.values()) > 1e-5 or points > 0.5 or not same_records or len(different[0]) < len(masks) or not masks:
        raise SystemExit("a claim does not hold")


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, as a user starts them: the address, and the workers' nannies."""
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    scheduler = [BIN / "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    worker = [BIN / "dask", "worker", "--scheduler-file", file, "--nthreads", "1", "--memory-limit", "4GB", "--no-dashboard"]
    processes = [subprocess.Popen(command, **quiet) for command in (scheduler, worker, worker)]
    try:
        until = time.monotonic() + 60
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(5)  # both workers
        yield json.loads(file.read_text())["address"], processes[1:]
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGINT)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _kill_a_worker(nanny: subprocess.Popen[bytes]) -> None:
    """The process that computes, without a warning; its nanny starts another."""
    children = psutil.Process(nanny.pid).children(recursive=True)
    busiest = max(children, key=lambda child: child.memory_info().rss)
    busiest.kill()
    print(f"killed worker process {busiest.pid}", file=sys.stderr)


def _run(command: str, *arguments: object) -> None:
    subprocess.run([BIN / command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _dice(records: Path) -> float:
    """The mean Dice of the only head and domain, in [0, 1]."""
    from tedm.heads import read_records, summarise

    (cell,) = summarise(read_records(records)).cells
    return cell.mean / 100


def _apart(one: Path, other: Path) -> float:
    """Largest difference of two heads' coefficients, relative to the largest."""
    from tedm.heads import load_head

    first, second = (load_head(path).estimator.coef_ for path in (one, other))
    return float(np.abs(first - second).max() / np.abs(first).max())


if __name__ == "__main__":
    main()
