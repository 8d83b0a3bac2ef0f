"""Claim: what a store of volumes costs beside its activations grows as the number of slices: ten times the slices take at most
thirteen times as long to read the manifest, to register, to open, to list and to go on with, whole or as a shard, and as much
metadata.

    python benchmarks/million_slices.py FOLDER [--patients 100 1000] [--slices 100] [--linked]

FOLDER gets a store of each size, with files of their real names: patients are volumes of 4 x 4 x SLICES voxels with masks,
the backbone has two levels at 16 x 16 pixels, activations are one byte and never computed: their files are links to a few.
With --linked there are no masks, and the files that a store keeps of them are such links, too: `--patients 10000 --linked` is
a million slices, and registering them is metadata alone. Exit code 1 if the claim fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np

from tedm.extract import as_read, extract, peak_memory, read_manifest, registrations, whole_images
from tedm.extract.backbones import random_backbone
from tedm.store import FeatureStore, labelling

WORST = 1.3  # times as much as the number of slices
AFFINE = np.diag([1.0, 1.0, 1.2, 1.0])
HOW = {
    "timesteps": (1,),
    "layout": "native",
    "intensity_range": (0.0, 1000.0),
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
}


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--linked", action="store_true", help="files of masks are links too")
    asked = parser.parse_args()
    rows: list[dict[str, float]] = []
    for patients in asked.patients:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measured, (asked.folder / str(patients), patients, asked.slices, asked.linked)))
        print(", ".join(f"{what} {value:.4g}" for what, value in rows[-1].items()), flush=True)
    first, last = rows[0], rows[-1]
    times = last["slices"] / first["slices"]
    worse = [
        f"{what}: {last[what] / first[what]:.1f} times as much for {times:g} times the slices"
        for what in first
        if ((what.endswith(" s") and last[what] > 1) or what == "metadata MB") and last[what] > WORST * times * first[what]
    ]
    if worse:
        raise SystemExit("the claim does not hold\n  " + "\n  ".join(worse))


def measured(folder: Path, patients: int, slices: int, linked: bool) -> dict[str, float]:
    """Make a store of so many patients, go on with it, and say what each part of that took."""
    source, path = folder / "data" / "manifest.csv", folder / "store"
    if not source.exists():
        write_patients(source.parent, patients, slices, labelled=not linked)
    found: dict[str, float] = {"slices": patients * slices}
    backbone = random_backbone()
    with timed(found, "read manifest s"):
        manifest = read_manifest(source)
    if not FeatureStore.is_store(path):
        first = replace(manifest, entries=manifest.entries[:slices], headers=manifest.headers[:slices])
        store = extract(first, path, backbone, **HOW).store
        with timed(found, "masks s"):
            new = registrations(manifest, store.settings, skip=set(store.labels.names))
        with timed(found, "register s"), mock.patch.object(labelling, "_write_masks", nothing) if linked else nullcontext():
            store.register(new, manifest.classes or ())
        del new
        byte = OneByte(folder)
        for name in store.missing():
            of = store.files_of(name)
            for array in of if linked else [array for array in of if array != "mask"]:
                byte.link(path / of[array])
    del manifest
    with timed(found, "open s"):
        store = FeatureStore.open(path)
    with timed(found, "list s"):
        missing = store.missing()
    if missing:
        raise SystemExit(f"{len(missing)} images are missing")
    sizes = store.files()
    of_all = store.files_of_all()
    found["files"] = len(sizes)
    found["metadata MB"] = sum(size for key, size in sizes.items() if key in of_all) / 1e6
    with timed(found, "known manifest s"):
        known = read_manifest(source, known=whole_images(path), as_read=as_read(path))
    with timed(found, "go on s"):
        extract(known, path, backbone, **HOW)
    with timed(found, "go on as shard 3 of 100 s"):
        extract(known, path, backbone, shard=(3, 100), **HOW)
    found["peak MB"] = peak_memory() / 1e6
    return found


def nothing(*_: object) -> None:
    """Write no masks."""


class OneByte:
    """Files of one byte that take no room: links to one file, and to the next when a file system allows it no more of them."""

    MOST = 60_000  # ext4 allows 65,000

    def __init__(self, folder: Path) -> None:
        self._folder, self._links = folder, 0

    def link(self, path: Path) -> None:
        """Make such a file."""
        source = self._folder / f"byte-{self._links // self.MOST}"
        if self._links % self.MOST == 0:
            source.write_bytes(b"0")
        path.hardlink_to(source)
        self._links += 1


@contextmanager
def timed(found: dict[str, float], what: str) -> Iterator[None]:
    """Note the seconds of processor time of what is done inside: what a busy machine does not change."""
    since = time.process_time()
    yield
    found[what] = time.process_time() - since
    print(f"  {what}: {found[what]:.2f}", flush=True)


def write_patients(folder: Path, patients: int, slices: int, labelled: bool) -> None:
    """Write volumes, with masks of two classes if wanted; no two are alike."""
    folder.mkdir(parents=True)
    rng, lines = np.random.default_rng(0), ["image,mask,split"]
    for number in range(patients):
        voxels = rng.integers(0, 1000, (4, 4, slices)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), folder / f"p{number:05}.nii")
        mask = f"p{number:05}-mask.nii" if labelled else ""
        if labelled:
            nibabel.save(nibabel.Nifti1Image((voxels > 700).astype(np.uint8), AFFINE), folder / mask)
        lines.append(f"p{number:05}.nii,{mask},{'train' if number % 5 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
