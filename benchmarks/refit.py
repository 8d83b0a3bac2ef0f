"""Claim: with a sample of the rows a logistic head takes a third of the passes and 0.7 of the CPU time, to the same minimum.

    python benchmarks/refit.py STORE [--sizes 1,6,12] [--rounds 3]

Fits on random training images of STORE, all timesteps shared and one alone, with the sample and without, in turns; each in a
process of its own with one thread, its features in memory before the clock starts, as in a process that stays.
Medians of user and system time, and the passes over all rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from synthetic import machine

FIT = """import importlib, json, sys, time
import numpy as np, scipy.linalg, scipy.optimize, torch
from tedm.heads import LogisticHead, TrainingData
from tedm.store import FeatureStore
path, n, timestep, steered = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "with"
torch.set_num_threads(1)
if not steered:  # no option: nobody but this benchmark wants it
    importlib.import_module(LogisticHead.__module__.rpartition(".")[0] + ".sampled").MOST_FEATURES = 0
store = FeatureStore.open(path)
names = store.labels.select(split="train")
some = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:n]]
steps = None if timestep < 0 else [timestep]
data = TrainingData(store, some, rows="share", timesteps=steps, memory=8 * 10**9)
for _ in data: pass
passes, began = [], time.process_time()
head = LogisticHead().fit_blocks(data, progress=lambda *_: passes.append(1))
print(json.dumps([time.process_time() - began, len(passes), head.objective_, head.converged_]))
"""


def fitted(*arguments: object) -> tuple[float, int, float, bool]:
    """Fit in a process of its own: seconds of CPU, passes, the minimum, whether it converged."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", FIT, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | one_thread, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, passes, minimum, converged = json.loads(done.stdout)
    return seconds, passes, minimum, converged


def main() -> int:
    """Print a row for each job; 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", default="1,6,12")
    parser.add_argument("--timestep", type=int, default=50, help="the one that is tried alone")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(__doc__.splitlines()[0])
    print(machine(1))
    print("| rows | n | passes without, with | CPU s without, with | minima, apart by |")
    print("|---|--:|--:|--:|--:|")
    fewer, faster, apart, all_converged = [], [], [], True
    for n in (int(size) for size in options.sizes.split(",")):
        for words, timestep in (("all timesteps", -1), (f"t = {options.timestep}", options.timestep)):
            runs = {way: [] for way in ("without", "with")}
            for _ in range(options.rounds):
                for way, met in runs.items():
                    met.append(fitted(options.store, n, timestep, way))
            seconds = {way: statistics.median(run[0] for run in met) for way, met in runs.items()}
            (_, many, before, _), (_, few, after, converged) = runs["without"][0], runs["with"][0]
            fewer.append(few / many)
            faster.append(seconds["with"] / seconds["without"])
            apart.append(abs(after / before - 1))
            all_converged &= converged
            print(
                f"| {words} | {n} | {many}, {few} | {seconds['without']:.2f}, {seconds['with']:.2f} | {apart[-1]:.0e} |",
                flush=True,
            )
    holds = statistics.median(fewer) <= 1 / 3 and statistics.median(faster) <= 0.7 and max(apart) < 1e-5 and all_converged
    print(
        f"passes {statistics.median(fewer):.2f}, CPU {statistics.median(faster):.2f} of those without (medians over the rows)"
    )
    print("the claim holds" if holds else "the claim FAILS")
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
