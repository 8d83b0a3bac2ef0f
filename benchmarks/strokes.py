"""Claim: from a stroke to the mask it takes at most 2 s, on a chest X-ray of 512 x 512 with features at 64 x 64, 8 timesteps.

As a viewer does it: the strokes so far are written to their folder, a head is fitted on them, and mask and uncertainty come at
the image's own size. Strokes grow by one a round; the features are computed at the first opening and kept. Here (2 cores of a
Xeon, with other programs at work), seconds:

| head | slowest of ten rounds | median |
|---|---|---|
| logistic | 1.02 | 0.47 |
| mlp | 0.99 | 0.94 |

A minute earlier, with four programs on the two cores, the slowest rounds took 3.3 and 5.4 s.

    python benchmarks/strokes.py [FOLDER_OF_SHARED_DATA]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.extract import Backbone, LiveArrays, choose_arithmetic, load_backbone, pictures_of, settings_of
from tedm.extract.backbones import random_backbone
from tedm.heads import METHODS
from tedm.store import IGNORE, Storage
from tedm.study.strokes.folder import save_strokes
from tedm.study.strokes.learn import fit_strokes, look
from tedm.study.strokes.painted import Classes
from tedm.study.strokes.remembered import Remembered

SHARED = Path(__file__).resolve().parents[2] / "shared"
ROUNDS, MOST = 10, 2.0
CLASSES = Classes((0, 255), ("background", "lung"), ("#000000", "#e69f00"))
HEADS: tuple[Literal["logistic", "mlp"], ...] = ("logistic", "mlp")


def main() -> int:
    """Print a row for each head; 1 if the claim fails."""
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    image, truth, backbone = real(shared) if (shared / "data").is_dir() else synthetic()
    settings = settings_of(backbone, timesteps=METHODS["tedm"].timesteps)
    arithmetic = choose_arithmetic(device="cpu")
    live = LiveArrays(pictures_of(image, "x-ray"), backbone, settings, arithmetic, Storage("native", "float16"))
    features, start = Remembered(live), time.perf_counter()
    list(features.blocks(["x-ray"]))
    print(f"features, once: {time.perf_counter() - start:.2f} s")
    print("| head | slowest of ten rounds | median |\n|---|---|---|")
    failed = False
    for head in HEADS:
        took = rounds(features, truth, head)
        print(f"| {head} | {max(took):.2f} | {statistics.median(took):.2f} |", flush=True)
        failed |= max(took) > MOST
    return int(failed)


def rounds(features: Remembered, truth: NDArray[np.bool_], head: Literal["logistic", "mlp"]) -> list[float]:
    """Return the seconds of each round, the first of which has a stroke of either class."""
    rng, painted, found = np.random.default_rng(0), np.full(truth.shape, IGNORE, np.uint8), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS + 1):
            y, x = (int(each) for each in rng.choice(np.argwhere(truth == bool(number % 2))))
            part = slice(max(0, y - 4), y + 4), slice(max(0, x - 25), x + 25)
            painted[part] = truth[part]
            if number:
                start = time.perf_counter()
                save_strokes(Path(folder), {"x-ray": painted}, CLASSES)
                look(features, fit_strokes(features, {"x-ray": painted}, CLASSES, head=head, device="cpu"), "x-ray")
                found.append(time.perf_counter() - start)
    return found


def real(shared: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Backbone]:
    """A chest X-ray, its lungs, and a small diffusion model of chest X-rays."""
    path = min((shared / "data" / "montgomery" / "images").iterdir())
    truth = np.asarray(Image.open(path.parents[1] / "masks" / path.name)) > 0
    return np.asarray(Image.open(path)), truth, load_backbone(shared / "checkpoints" / "nih64.pt")


def synthetic() -> tuple[NDArray[np.uint8], NDArray[np.bool_], Backbone]:
    """Two dark ellipses in a bright body, and an untrained model of the same size."""
    y, x = np.mgrid[:512, :512]
    truth = np.minimum(((x - 170) / 75) ** 2, ((x - 345) / 75) ** 2) + ((y - 250) / 150) ** 2 < 1
    image = (160 - 90 * truth + np.random.default_rng(0).normal(0, 9, truth.shape)).clip(0, 255).astype(np.uint8)
    print("no ../shared beside the repository: a synthetic picture and an untrained model")
    return image, truth, random_backbone(image_size=64, width=32, multipliers=(1, 2, 4))


if __name__ == "__main__":
    sys.exit(main())
