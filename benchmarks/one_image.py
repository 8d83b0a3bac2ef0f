"""Claim: a strip becomes its square in a tenth of the memory that padding it first takes, at most, and with the same bits.

Each way runs in a process of its own, which measures its peak above what it had before the image. Here (2 cores), `pad` to
256 x 256, in MB:

| image (file) | padded first | in bands |
|---|---|---|
| strip of 20000 x 60 (1.5 kB) | 3207 | 45 |
| tower of 60 x 20000 (3.6 kB) | 3207 | 67 |
| picture of 9000 x 9000 (99.4 kB) | 1377 | 243 |

    python benchmarks/one_image.py
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tedm.extract.images import ManifestEntry, read_image, read_square

SIZE = 256
IMAGES = {"strip of 20000 x 60": (60, 20000), "tower of 60 x 20000": (20000, 60), "picture of 9000 x 9000": (9000, 9000)}


def main() -> int:
    """Measure both ways and print a row for each image; 1 if the claim fails."""
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width) in IMAGES.items():
            path = Path(folder) / "image.png"
            Image.fromarray(np.broadcast_to((np.arange(width) % 251).astype(np.uint8), (height, width))).save(path)
            before, after = (_apart(way, path) for way in (padded_first, in_bands))
            print(
                f"| {name} ({path.stat().st_size / 1000:.1f} kB) | {before[0] / 1e6:.0f} | {after[0] / 1e6:.0f} |", flush=True
            )
            failed |= before[1] != after[1] or ("picture" not in name and 10 * after[0] > before[0])
    return int(failed)


def in_bands(path: Path) -> np.ndarray:
    """As the project does it."""
    return read_square(ManifestEntry.of_picture(path), SIZE, channels=1, geometry="pad", intensity_range=None)


def padded_first(path: Path) -> np.ndarray:
    """In float64, with the whole square in memory."""
    with Image.open(path) as file:
        image = (np.asarray(file).astype(np.float64) / 255.0).clip(0.0, 1.0).astype(np.float32)
    side = max(image.shape)
    above, left = ((side - length) // 2 for length in image.shape)
    around = ((above, side - image.shape[0] - above), (left, side - image.shape[1] - left))
    square = Image.fromarray(np.pad(image, around, mode="edge")).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(square, np.float32).clip(0.0, 1.0)[..., None]


def _apart(way: object, path: Path) -> tuple[int, str]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (way, path))


def _measured(way: object, path: Path) -> tuple[int, str]:
    small = path.with_name("small.png")
    Image.new("L", (9, 9)).save(small)
    read_image(small, channels=1, intensity_range=None)  # what is imported and opened for the first image
    before = _peak()
    square = way(path)  # type: ignore[operator]
    return _peak() - before, hashlib.sha256(square.tobytes()).hexdigest()


def _peak() -> int:
    """Most bytes that this process has had resident; Linux only."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
