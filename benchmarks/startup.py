"""Claim: a command has begun within 1.2 s of CPU, a picture is a mask within 1.5, a refit takes 3, scoring ten images 2.

    python benchmarks/startup.py FOLDER --manifest images.csv --checkpoint ddpm.pt --picture another.png [--rounds 5]

Each command runs in a process of its own, in turns with `import torch`, which all of them need: what is theirs is the rest. The
medians of CPU (user and system, of all threads) and wall time are printed, one thread each. "Begun" is a fit of one iteration
at one timestep of one image. `segment` in a process that stays is compared with the eight bare passes of its backbone. FOLDER
keeps the store.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthetic import machine

LIMITS = {"fit, begun": 1.2, "one picture, to its mask": 1.5, "logistic refit": 3.0, "evaluate": 2.0}
STAYING = """import statistics, sys, time, warnings
from pathlib import Path
import numpy as np, torch
from tedm.extract.images import ManifestEntry, read_square
from tedm.study import Session
warnings.simplefilter("ignore")
head, checkpoint, picture = sys.argv[1:]
from tedm.heads import load_head
from tedm.extract import load_backbone, prepared, running
loaded = load_head(Path(head))
backbone = prepared(load_backbone(Path(checkpoint)), loaded.arithmetic)
session = Session(loaded, backbone)
size, steps = loaded.settings.image_size, torch.tensor(loaded.timesteps(None))
entry = ManifestEntry.of_picture(Path(picture))
image = (read_square(entry, size, channels=1, geometry="pad", intensity_range=None)[..., 0] * 255).round().astype(np.uint8)
x = torch.from_numpy(np.random.default_rng(0).standard_normal((len(steps), 1, size, size), np.float32))
def bare():
    with running(loaded.arithmetic):
        backbone.activations(x, steps)
spent = {"bare": [], "segment": []}
for turn in range(12):
    for name, work in (("bare", bare), ("segment", lambda: session.segment(image))):
        began = time.process_time()
        work()
        spent[name].append(time.process_time() - began)
print(*(statistics.median(spent[name][2:]) for name in ("bare", "segment")))
"""


@dataclass(frozen=True)
class Took:
    """What a process took, in seconds."""

    cpu: float
    wall: float
    output: str


def took(arguments: Sequence[str | Path]) -> Took:
    """Run a process to its end, with one thread; what it says if it fails is shown."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([str(each) for each in arguments], env=os.environ | one_thread, capture_output=True, text=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
    return Took(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout)


def command(name: str, *arguments: str | Path) -> list[str | Path]:
    """A command of tedm, by the interpreter that runs this."""
    return [sys.executable, "-m", f"tedm.cli.{name}", *arguments]


def median(runs: Sequence[Took]) -> tuple[float, float]:
    """CPU and wall seconds."""
    return statistics.median(run.cpu for run in runs), statistics.median(run.wall for run in runs)


def main() -> int:
    """Print a row for each command; 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="twelve or so training and ten test images, with masks")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True, help="one more image")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(__doc__.splitlines()[0])
    print(machine(1))
    store, mlp, linear, out, masks = (options.folder / name for name in ("store", "mlp", "linear", "out", "masks"))
    backbone = ["--checkpoint", options.checkpoint]
    took(command("extract", options.manifest, *backbone, store))
    for head, more in ((mlp, ["--method", "tedm", "--iterations", "50"]), (linear, ["--head", "logistic"])):
        shutil.rmtree(head, ignore_errors=True)
        took(command("fit", store, head, *more))
    smallest = ["--method", "tedm", "--timesteps", "1", "--images", "1", "--iterations", "1"]
    asked: dict[str, list[str | Path]] = {
        "import torch": [sys.executable, "-c", "import torch"],
        "fit, begun": command("fit", store, out, *smallest),
        "one picture, to its mask": command("predict", options.picture, mlp, masks, *backbone),
        "logistic refit": command("fit", store, out, "--head", "logistic"),
        "evaluate": command("evaluate", store, linear),
    }
    runs: dict[str, list[Took]] = {name: [] for name in asked}
    staying = []
    for _ in range(options.rounds):
        for name, arguments in asked.items():
            for written in (out, masks):
                shutil.rmtree(written, ignore_errors=True)
            runs[name].append(took(arguments))
        bare, ours = map(float, took([sys.executable, "-c", STAYING, mlp, options.checkpoint, options.picture]).output.split())
        staying.append((ours / bare, ours))
    failed = []
    for name, each in runs.items():
        cpu, wall = median(each)
        limit = LIMITS.get(name)
        print(f"| {name} | {cpu:.2f} s CPU | {wall:.2f} s |" + (f" limit {limit} s of CPU |" if limit else " |"))
        failed += [name] if limit is not None and cpu > limit else []
    ratio = statistics.median(ratio for ratio, _ in staying)
    print(f"segment in a process that stays: {statistics.median(s for _, s in staying):.3f} s, {ratio:.2f} of its bare passes")
    failed += ["segment"] if ratio > 1.1 else []
    print("the claim holds" if not failed else f"the claim FAILS for {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
