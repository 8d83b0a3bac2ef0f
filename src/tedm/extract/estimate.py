"""What an extraction will cost, from doing a little of it.

A few of the images, spread over the manifest, are really extracted, into a temporary folder: by the same passes, layout, codecs
and threads. Disk and time follow per image. The peak of memory does not depend on the number of images, so that of the trial is
that of the run.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import torch

from tedm.errors import TedmError
from tedm.extract.images import Manifest
from tedm.extract.pipeline import images_at_once
from tedm.extract.registration import share_of
from tedm.extract.rehearsal import MAKE_ROOM
from tedm.extract.run import Extracted, writers
from tedm.files import free_space
from tedm.store import FeatureStore, Location
from tedm.store.place import is_url
from tedm.text import counted, duration, size


class Extraction(Protocol):
    """`tedm.extract.extract` with its settings, `functools.partial(extract, backbone=backbone, timesteps=(1, 50))` say."""

    def __call__(self, manifest: Manifest, path: Path, *, progress: Callable[[int, int, str], None]) -> Extracted:
        """Extract."""


@dataclass(frozen=True)
class Estimate:
    """What an extraction will take.

    Parameters
    ----------
    images : int
        Images that are not in the store yet.
    disk : int
        Bytes that they will take there.
    free : int or None
        Bytes that are free there; None for a bucket.
    memory : int
        Most bytes that the process will have resident.
    device_memory : int
        Most bytes that torch will take of a GPU's memory; 0 without one.
    seconds : float
        From the first image to the last.
    tried : int
        Images that were extracted to find out.
    """

    images: int
    disk: int
    free: int | None
    memory: int
    device_memory: int
    seconds: float
    tried: int

    @property
    def lines(self) -> list[str]:
        """Say it in lines: images, disk, memory, time."""
        free = "" if self.free is None else f", {size(self.free)} free"
        on_device = f", {size(self.device_memory)} on the GPU" if self.device_memory else ""
        return [
            f"{counted(self.images, 'image')} to extract (tried {self.tried})",
            f"disk    {size(self.disk)}{free}",
            f"memory  {size(self.memory)}{on_device}",
            f"time    {duration(self.seconds)}",
        ]

    def with_more(self, images: int) -> Self:
        """Return what the extraction of so many images more takes as well, each like those of this one; 0 changes nothing."""
        share = images / self.images if self.images else 0.0
        return dataclasses.replace(
            self,
            images=self.images + images if self.images else 0,
            disk=round(self.disk * (1 + share)),
            seconds=self.seconds * (1 + share),
        )

    def require_space(self, path: Location) -> None:
        """Raise a `TedmError` if the disk of `path` is too small."""
        if self.free is not None and self.disk > self.free:
            raise TedmError(
                f"{path} will need {self.disk / 1e9:.3g} GB and its disk has {self.free / 1e9:.3g} GB free\n{MAKE_ROOM}"
            )


def estimate_costs(
    manifest: Manifest, path: Location, extraction: Extraction, *, entries: int, shard: tuple[int, int] | None = None
) -> Estimate:
    """Extract a few images elsewhere, and tell what all of them will take. Nothing is written at `path`.

    Parameters
    ----------
    manifest : Manifest
        Checked images.
    path : str or Path
        Where the store is to be, or is: images that it has cost nothing.
    extraction : callable
        `extract` with its settings, without `shard`.
    entries : int
        Timesteps times draws of an image.
    shard : tuple of two int or None
        The part of the images that the run will take; see `extract`.

    Raises
    ------
    TedmError
        Whatever the extraction itself would refuse.
    """
    wanted = list(share_of(manifest, shard))
    if FeatureStore.is_store(path):
        store = FeatureStore.open(path)
        there = set(store.labels.names) - set(store.missing())
        wanted = [at for at in wanted if manifest.entries[at].name not in there]
    free = None if is_url(path) else free_space(Path(path))
    if not wanted:
        return Estimate(0, 0, free, peak_memory(), 0, 0.0, 0)
    with tempfile.TemporaryDirectory(prefix="tedm-dry-run-") as folder:
        started, seen = time.perf_counter(), []
        # the second run of a pair has as many images as fill every stage, and more: only then is the peak reached
        first = extraction(_some(manifest, wanted, 1), Path(folder) / "first", progress=lambda *_: None)
        fill = images_at_once(entries, first.store.arithmetic) + writers(first.store.arithmetic, first.store.storage.layout) + 3
        started = time.perf_counter()
        sample = _some(manifest, wanted, fill)
        done = extraction(sample, Path(folder) / "store", progress=lambda *_: seen.append(time.perf_counter()))
        of_images, of_all = _bytes(done.store)
    tried = len(seen)
    steady = (seen[-1] - seen[0]) / (tried - 1) if tried > 1 else seen[0] - started
    return Estimate(
        images=len(wanted),
        disk=of_images * len(wanted) // tried + of_all,
        free=free,
        memory=peak_memory(),
        device_memory=torch.cuda.max_memory_reserved() if done.store.arithmetic.device == "cuda" else 0,
        seconds=seen[0] - started + steady * (len(wanted) - 1),
        tried=tried,
    )


def peak_memory() -> int:
    """Most bytes that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the process was before it became this program
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _some(manifest: Manifest, wanted: list[int], most: int) -> Manifest:
    """Return images spread evenly over those wanted, and looked at already: what holds of all need not hold of a few.

    Slices are neighbours: spread, each would cost the decoding of a volume, which a run does once for all slices of it.
    """
    count = min(most, len(wanted))
    at = [wanted[number * len(wanted) // count] for number in range(count)]
    if any(manifest.entries[i].volume is not None for i in at):
        middle = (len(wanted) - count) // 2
        at = wanted[middle : middle + count]
    return dataclasses.replace(manifest, entries=tuple(manifest.entries[i] for i in at), headers=(None,) * count)


def _bytes(store: FeatureStore) -> tuple[int, int]:
    """Return the bytes of the files that belong to one image each, and of all others."""
    of_images = of_all = 0
    of_one = {"image", "mask", "features", *(level.name for level in store.settings.levels)}
    for file in Path(store.path).rglob("*"):
        if file.is_file():
            if file.parent.name in of_one and file.name.startswith("c."):
                of_images += file.stat().st_size
            else:
                of_all += file.stat().st_size
    return of_images, of_all
