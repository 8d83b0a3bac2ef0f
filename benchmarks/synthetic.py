"""What the benchmarks of heads share: stores of the published shapes with pseudo-random activations, and what to say of a run.

Speed and memory do not depend on what is in a picture; on shapes, types and numbers of classes they do.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import numpy as np

from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage

# Levels as (channels, stride), image size, timesteps, upsampling, mask values.
SHAPES = {
    # LEDM (arXiv:2112.03126): blocks 5, 6, 7, 8 and 12 of guided-diffusion's decoder, 8448 features of three timesteps.
    "ledm": (((1024, 8), (512, 8), (512, 8), (512, 4), (256, 2)), 256, (50, 150, 250), "bilinear", 29),
    # TEDM (arXiv:2311.07421): four decoder stages, 960 features at each of eight timesteps.
    "tedm": (((512, 8), (256, 4), (128, 2), (64, 1)), 128, (1, 10, 25, 50, 200, 400, 600, 800), "nearest", 2),
    # A backbone for chest X-rays of 64 x 64: 224 features at each of eight timesteps.
    "xray": (((128, 4), (64, 2), (32, 1)), 64, (1, 10, 25, 50, 200, 400, 600, 800), "nearest", 2),
}


def make_store(path: Path, shape: str, images: int, *, classes: int | None = None, size: int | None = None) -> FeatureStore:
    """A native float16 store of random activations and blobby masks; one that is there with as many images is taken as it is.

    Parameters
    ----------
    path : Path
    shape : {"ledm", "tedm", "xray"}
    images : int
        The last two are split "val" and "test", the others "train".
    classes, size : int or None
        Mask values and image side; None takes the paper's.
    """
    if FeatureStore.is_store(path) and len((store := FeatureStore.open(path)).labels) == images and not store.missing():
        return store
    levels, paper_size, timesteps, upsampling, paper_classes = SHAPES[shape]
    size, classes = size or paper_size, classes or paper_classes
    settings = FeatureSettings(
        checkpoint_sha256="00" * 32,
        levels=tuple(Level(f"level{number}", *of) for number, of in enumerate(levels)),
        image_size=size,
        image_channels=1,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling=upsampling,  # type: ignore[arg-type]
        noise="per-image",
        noise_seed=0,
        timesteps=timesteps,
        draws=1,
    )
    store = FeatureStore.create(
        path, settings, Arithmetic("cpu", "float32", False, 1, 1, "none", "none"), Storage("native", "float16"), {}
    )
    names = [f"image {number:03}" for number in range(images)]
    masks = {name: _mask(np.random.default_rng([1, number]), size, classes) for number, name in enumerate(names)}
    splits = ["train"] * (images - 2) + ["val", "test"]
    registrations = [
        Registration(name, split, name, "random", (size, size), masks[name]) for name, split in zip(names, splits, strict=True)
    ]
    store.register(registrations, range(classes))
    for number, name in enumerate(names):
        rng = np.random.default_rng([2, number])
        cells = []
        for level in settings.levels:
            side = settings.side(level)
            # A little of the mask in every channel, as activations have it; the rest is noise.
            seen = masks[name][level.stride // 2 :: level.stride, level.stride // 2 :: level.stride] / classes - 0.5
            noise = rng.standard_normal((len(timesteps), 1, side, side, level.channels), dtype=np.float32)
            cells.append(noise + seen[None, None, :, :, None].astype(np.float32))
        store.write(name, np.zeros((size, size, 1), np.float32), cells)
    return store


def _mask(rng: np.random.Generator, size: int, classes: int) -> np.ndarray:
    """Patches of classes: a coarse map, enlarged."""
    coarse = rng.integers(classes, size=(8, 8))
    return np.kron(coarse, np.ones((size // 8, size // 8), int)).astype(np.uint8)


def peak_bytes() -> int:
    """The most that this process has had resident (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


def machine(threads: int) -> str:
    """The processor and the threads, for the line below a figure."""
    models = re.findall(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, {threads} threads, {platform.system()}"
