"""Claims: 16 patients take at most 5 % more memory than 4; slices of a volume at most 5 % more time than the same as PNG.

    python benchmarks/volumes.py ../shared/data/subcortical ../shared/checkpoints/brain64.pt [--rounds 3] [--only memory]

Each extraction (manifest, files, one timestep, native layout, one thread) is a process of its own. Memory is its peak: whole
volumes with their masks and brain masks, of which every 12th slice is computed. Time is processor time, of all slices of one
patient, in pairs; the claim is on the median of the ratios. Exit code 1 if a claim fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tedm.extract import extract, load_backbone, peak_memory, read_manifest
from tedm.extract.images import open_volume
from tedm.store.volumes.normalisation import Normalisation

MORE = 1.05
FEWER, MANY = 4, 16  # patients
EVERY = 12  # slices, where memory is measured
QUANTILE = Normalisation("quantile", brain="mask")


def main() -> int:
    """Measure both; 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["memory", "time"], default=None)
    asked = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.only != "time":
            peaks = [
                apart(asked.checkpoint, patients(asked.data, count, folder), folder / f"of-{count}", EVERY)[0]
                for count in (FEWER, MANY)
            ]
            print(f"peak memory: {FEWER} patients {peaks[0] / 1e6:.0f} MB, {MANY} patients {peaks[1] / 1e6:.0f} MB", flush=True)
            failed |= peaks[1] > MORE * peaks[0]
        if asked.only != "memory":
            one = patients(asked.data, 1, folder)
            pictures = as_pictures(one, folder / "pictures")
            ratios = []
            for round_ in range(asked.rounds):
                seconds = [
                    apart(asked.checkpoint, source, folder / f"{source.stem}-{round_}", 1)[1]
                    for source in ((one, pictures) if round_ % 2 else (pictures, one))
                ]
                volume, png = seconds if round_ % 2 else reversed(seconds)
                ratios.append(volume / png)
                print(f"round {round_}: volume {volume:.2f} s, PNG {png:.2f} s, ratio {ratios[-1]:.3f}", flush=True)
            print(f"median ratio {statistics.median(ratios):.3f}")
            failed |= statistics.median(ratios) > MORE
    return int(failed)


def patients(data: Path, count: int, folder: Path) -> Path:
    """Write a manifest of the first patients, with paths that hold from there."""
    head, *lines = (data / "manifest.csv").read_text().splitlines()
    columns = head.split(",")
    files = [columns.index(column) for column in ("image", "mask", "brainmask")]
    rows = [line.split(",") for line in lines[:count]]
    for row in rows:
        for at in files:
            row[at] = str((data / row[at]).resolve())
    path = folder / f"patients-{count}.csv"
    path.write_text("\n".join([head, *(",".join(row) for row in rows), ""]))
    return path


def as_pictures(source: Path, folder: Path) -> Path:
    """Write the slices of volumes as PNG files of 8 bits, with their masks; return their manifest."""
    folder.mkdir()
    manifest, lines = read_manifest(source), ["image,mask"]
    for entry in manifest.entries:
        assert entry.volume is not None
        plane = open_volume(entry, intensity_range=None, normalisation=QUANTILE).slice(entry.volume, entry.slice)
        Image.fromarray(np.rint(plane[..., 0] * 255).astype(np.uint8)).save(folder / f"{entry.name}.png")
        Image.fromarray(manifest.read_mask(entry)).save(folder / f"{entry.name}-mask.png")
        lines.append(f"{entry.name}.png,{entry.name}-mask.png")
    (folder / "pictures.csv").write_text("\n".join([*lines, ""]))
    return folder / "pictures.csv"


def apart(checkpoint: Path, source: Path, store: Path, every: int) -> tuple[int, float]:
    """Extract in a process of its own; bytes of its peak of memory and seconds of processor time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (checkpoint, source, store, every))


def measured(checkpoint: Path, source: Path, store: Path, every: int) -> tuple[int, float]:
    """Extract some of the images of a manifest."""
    backbone = load_backbone(checkpoint)
    since = time.process_time()
    manifest = read_manifest(source)
    some = replace(manifest, entries=manifest.entries[::every], headers=manifest.headers[::every])
    extract(
        some,
        store,
        backbone,
        timesteps=(50,),
        layout="native",
        normalisation=QUANTILE if some.axis else None,
        device="cpu",
        precision="float32",
        threads=1,
    )
    return peak_memory(), time.process_time() - since


if __name__ == "__main__":
    sys.exit(main())
