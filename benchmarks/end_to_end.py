"""Claim: extract, fit and evaluate take at most 0.8 of the time of a plain PyTorch script that keeps all features in memory.

    python benchmarks/end_to_end.py FOLDER --manifest images.csv --checkpoint ddpm.pt [--iterations 2000] [--rounds 3]

The commands (method tedm) against one page of PyTorch as one would write it: the same network, images, noise level and
iterations of as many random pixels, each at all eight timesteps as in `tedm-fit` (so equal rows, too), all rows of all pixels
upsampled in memory, `nn.Sequential` with Adam, mean probability of the eight timesteps. Each side runs in processes of its
own, in turns, one thread each; round r has seed r on both sides. CPU (user and system) and wall time are medians; the Dice of
the foreground over the test images is printed for every seed, and must agree within the spread.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
from startup import Took, command, median, took
from synthetic import machine

MOST = 0.8
BATCH, RATE, TIMESTEPS = 512, 1e-3, (1, 10, 25, 50, 200, 400, 600, 800)


def main() -> int:
    """Print both sides; 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="columns image, mask (0 and another value), split")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", type=int, default=None, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain is not None:
        print(plain(options.manifest, options.checkpoint, options.iterations, options.plain))
        return 0
    print(__doc__.splitlines()[0])
    print(machine(1), f"{options.iterations} iterations of {BATCH} pixels at {len(TIMESTEPS)} timesteps")
    sides: dict[str, list[Took]] = {"commands": [], "plain": []}
    parts: dict[str, list[Took]] = {"extract": [], "fit": [], "evaluate": []}
    dice: dict[str, list[float]] = {"commands": [], "plain": []}
    given = ["--manifest", options.manifest, "--checkpoint", options.checkpoint, "--iterations", str(options.iterations)]
    store, head, records = options.folder / "store", options.folder / "head", options.folder / "records.csv"
    for seed in range(options.rounds):
        shutil.rmtree(store, ignore_errors=True)
        shutil.rmtree(head, ignore_errors=True)
        records.unlink(missing_ok=True)
        fit = ["--method", "tedm", "--iterations", str(options.iterations), "--seed", str(seed)]
        runs = {
            "extract": took(command("extract", options.manifest, "--checkpoint", options.checkpoint, store)),
            "fit": took(command("fit", store, head, *fit)),
            "evaluate": took(command("evaluate", store, head, "--records", records)),
        }
        for part, run in runs.items():
            parts[part].append(run)
        sides["commands"].append(Took(sum(r.cpu for r in runs.values()), sum(r.wall for r in runs.values()), ""))
        dice["commands"].append(foreground_dice(records))
        sides["plain"].append(took([sys.executable, Path(__file__), options.folder, *given, "--plain", str(seed)]))
        dice["plain"].append(float(sides["plain"][-1].output))
    for name, each in (sides | parts).items():
        cpu, wall = median(each)
        scores = f" Dice {', '.join(f'{score:.4f}' for score in dice[name])} |" if name in dice else ""
        print(f"| {name} | {cpu:.1f} s CPU | {wall:.1f} s |{scores}")
    (cpu, wall), (plain_cpu, plain_wall) = median(sides["commands"]), median(sides["plain"])
    print(f"ours over plain: {cpu / plain_cpu:.2f} of the CPU time, {wall / plain_wall:.2f} of the wall time")
    spread = max(max(scores) - min(scores) for scores in dice.values())
    alike = abs(statistics.fmean(dice["commands"]) - statistics.fmean(dice["plain"])) <= max(spread, 0.005)
    holds = max(cpu / plain_cpu, wall / plain_wall) <= MOST and alike
    print("the claim holds" if holds else "the claim FAILS" + ("" if alike else ", and the Dice differ"))
    return int(not holds)


def foreground_dice(records: Path) -> float:
    """Mean over the images of the last class."""
    with records.open(newline="") as file:
        rows = list(csv.DictReader(file))
    last = max(int(row["class_value"]) for row in rows)
    return statistics.fmean(float(row["dice"]) for row in rows if int(row["class_value"]) == last)


def plain(manifest: Path, checkpoint: Path, iterations: int, seed: int) -> float:
    """The other side: everything in memory. Only the network is of this package."""
    import torch
    from PIL import Image
    from torch import nn

    from tedm.extract import load_backbone

    torch.manual_seed(seed)
    backbone = load_backbone(checkpoint)
    size, steps = backbone.image_size, torch.tensor(TIMESTEPS)

    @torch.inference_mode()
    def read(path: Path, mask: Path) -> tuple[torch.Tensor, torch.Tensor]:
        image = np.asarray(Image.open(path).convert("L").resize((size, size), Image.Resampling.BILINEAR), np.float32)
        x = torch.from_numpy(image)[None, None].expand(len(steps), 1, size, size) / 127.5 - 1
        levels = backbone.activations(backbone.schedule.x_t(x, torch.randn(x.shape), steps), steps)
        whole = torch.cat([nn.functional.interpolate(level, size=size, mode="nearest") for level in levels], 1)
        labels = np.asarray(Image.open(mask).resize((size, size), Image.Resampling.NEAREST)) > 0
        return whole.permute(0, 2, 3, 1).flatten(1, 2), torch.from_numpy(labels.ravel()).long()  # (timesteps, pixels, channels)

    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = {
        split: [read(manifest.parent / row["image"], manifest.parent / row["mask"]) for row in rows if row["split"] == split]
        for split in ("train", "test")
    }
    x = torch.cat([rows.transpose(0, 1) for rows, _ in images["train"]])  # (pixels, timesteps, channels)
    y = torch.cat([labels for _, labels in images["train"]])
    network = nn.Sequential(
        *(nn.Linear(x.shape[2], 128), nn.ReLU(), nn.BatchNorm1d(128)),
        *(nn.Linear(128, 32), nn.ReLU(), nn.BatchNorm1d(32)),
        nn.Linear(32, 2),
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(iterations):
        batch = torch.randint(len(x), (BATCH,))
        loss = nn.functional.cross_entropy(network(x[batch].flatten(0, 1)), y[batch].repeat_interleave(len(steps)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    scores = []
    with torch.inference_mode():
        for rows, labels in images["test"]:
            mask = network(rows.flatten(0, 1)).softmax(1).view(len(steps), -1, 2).mean(0).argmax(1)
            scores.append(2 * float((mask * labels).sum()) / float(mask.sum() + labels.sum()))
    return statistics.fmean(scores)


if __name__ == "__main__":
    sys.exit(main())
