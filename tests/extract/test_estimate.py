"""What a dry run says against what a run takes, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tedm.extract.backbones import random_backbone, save_backbone

PROGRAM = """
import sys, time
from tedm.cli.extract import main
from tedm.extract.estimate import peak_memory
since = time.perf_counter()
main(standalone_mode=False)
print(peak_memory(), time.perf_counter() - since)
"""


def run(*arguments):
    """A real process; its output, its peak of memory and its seconds."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments), "--threads", "2", "--device", "cpu"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}).stdout
    *said, last = out.strip().splitlines()
    return said, *map(float, last.split())


def number(text):
    value, unit = text.split(",")[0].split()[:2]
    return float(value) * {"MB": 1e6, "GB": 1e9}[unit]


def seconds(text):
    parts = text.split()
    return sum(int(value) * {"s": 1, "min": 60, "h": 3600}[unit] for value, unit in zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimate")
    (folder / "images").mkdir()
    y, x = np.mgrid[:70, :80]
    rng = np.random.default_rng(0)
    for at in range(200):
        picture = 200 * np.exp(-((y - rng.uniform(20, 50)) ** 2 + (x - 40) ** 2) / 400) + rng.normal(20, 5, y.shape)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{at:03d}.png")
    save_backbone(random_backbone(image_size=64, width=16, multipliers=(1, 2, 4)), folder / "unet.safetensors")
    for count in (20, 80, 200):
        lines = [f"images/{at:03d}.png" for at in range(count)]
        (folder / f"{count}.csv").write_text("\n".join(["image", *lines, ""]))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_dry_run_is_right_about_disk_memory_and_time(many, tmp_path, layout):
    options = [many / "80.csv", tmp_path / "store", "--checkpoint", many / "unet.safetensors", "--layout", layout]
    said, _, _ = run(*options, "--dry-run")
    promised = dict(line.split(maxsplit=1) for line in said[1:])
    since = time.perf_counter()
    _, memory, took = run(*options)
    disk = sum(file.stat().st_size for file in (tmp_path / "store").rglob("*") if file.is_file())
    errors = {
        "disk": number(promised["disk"]) / disk - 1,
        "memory": number(promised["memory"]) / memory - 1,
        "time": seconds(promised["time"]) / took - 1,
    }
    print(layout, {what: f"{100 * error:+.1f} %" for what, error in errors.items()}, f"{time.perf_counter() - since:.0f} s")
    assert abs(errors["disk"]) < 0.1
    assert abs(errors["memory"]) < 0.2
    # the promise of 25 % is for a quiet machine, which tests cannot count on
    assert abs(errors["time"]) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_the_peak_of_memory_is_flat_in_the_number_of_images(many, tmp_path, layout):
    peaks = [
        run(many / f"{count}.csv", tmp_path / f"{count}", "--checkpoint", many / "unet.safetensors", "--layout", layout)[1]
        for count in (20, 200)
    ]
    print(layout, [f"{peak / 1e6:.0f} MB" for peak in peaks])
    assert peaks[1] < 1.05 * peaks[0]
