"""Claim: extracting 10,000 tiny images that a store has takes less than 10 s.

    python benchmarks/resume_10000.py FOLDER [--images 10000]

FOLDER gets images, masks, a backbone of 16 x 16 pixels and a store; the same command goes on after an interruption. Measured
are processes of their own, with the start of Python and torch: one that knows all files by size and time, one after every file
was touched (content is compared), and one after that. Exit code 1 if the first or the last takes more than the claim.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tedm.extract.backbones import random_backbone, save_backbone

CLAIM = 10.0  # seconds
PROGRAM = "from tedm.cli.extract import main; main()"


def main() -> None:
    """Make what is not there yet, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    asked = parser.parse_args()
    data = asked.folder / "data"
    if not (asked.folder / "unet.safetensors").exists():
        write_data(data, asked.images)
        save_backbone(random_backbone(), asked.folder / "unet.safetensors")
    print(f"extracted in {extract(asked.folder):.1f} s")
    known = extract(asked.folder)
    for path in data.rglob("*.png"):
        os.utime(path)
    compared, again = extract(asked.folder), extract(asked.folder)
    print(f"{asked.images} known images: {known:.1f} s; all touched: {compared:.1f} s; after that: {again:.1f} s")
    if max(known, again) > CLAIM:
        raise SystemExit(f"the claim of {CLAIM:g} s does not hold")


def write_data(folder: Path, count: int) -> None:
    """Write images and masks of 16 x 16 pixels."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        values = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(values).save(folder / "images" / f"{number:05}.png")
        Image.fromarray((values > 128).astype(np.uint8)).save(folder / "masks" / f"{number:05}.png")


def extract(folder: Path) -> float:
    """Run tedm-extract; the seconds that it takes."""
    options = ["--timesteps", "1", "--layout", "native", "--precision", "float32", "--threads", "1", "--device", "cpu"]
    arguments = [str(folder / "data"), str(folder / "store"), "--checkpoint", str(folder / "unet.safetensors"), *options]
    since = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - since


if __name__ == "__main__":
    main()
