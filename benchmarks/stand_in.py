"""Question: what rate does all of an extraction but the network sustain, and what bounds it, when the network is a fast GPU's?

    python benchmarks/stand_in.py [--rates 10 50 200] [--size 128] [--seconds 4] [--folder FOLDER]

A stand-in takes the place of TEDM's UNet (width 64, multipliers 1, 2, 4, 8; eight timesteps, float16 stores): it returns
activations in bfloat16 that lie ready, those of the network with random weights, and lets as much time pass as a GPU of so
many images a second would take. As beside a GPU, batches have 64 entries, one batch is computed while the one before is
handled, and images are written by up to four threads. Core-seconds are those of the whole process, the stand-in takes none.
Nothing is claimed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import zarr
from synthetic import machine
from torch import Tensor

from tedm.chunks.encoding import Shard
from tedm.extract import (
    ON_THE_WAY,
    TEDM_TIMESTEPS,
    Backbone,
    Behind,
    Waited,
    available_cores,
    choose_arithmetic,
    compute,
)
from tedm.extract.backbones import DTYPES, random_backbone
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Registration, Storage

BATCH = 64
AS_FAST = 0.95  # of the network's rate: what is left is not worth a name


@dataclass(frozen=True, eq=False)
class StandIn(Backbone):
    """A backbone whose activations lie ready, each batch when a GPU would have it.

    Parameters
    ----------
    entries_a_second : float
        How fast it is.
    ready : list of Tensor
        One for each level: activations of some entries, repeated as needed.
    batch : int
        Entries of the largest batch.
    free_at : list of float
        When the batch that is computed now is done.
    """

    entries_a_second: float = float("inf")
    ready: list[Tensor] = field(default_factory=list)
    batch: int = BATCH
    free_at: list[float] = field(default_factory=lambda: [0.0])

    def activations(self, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Wait until the batch before is done, begin this one, and return it."""
        time.sleep(max(0.0, self.free_at[0] - time.perf_counter()))
        self.free_at[0] = max(self.free_at[0], time.perf_counter()) + len(x_t) / self.entries_a_second
        return [level[: len(x_t)] for level in self.ready]

    def prepare(self, device: str = "cpu", **how: Any) -> StandIn:
        """Move what lies ready."""
        of = {"precision": how["precision"], "channels_last": how["channels_last"]}
        if len(self.ready[0]) >= self.batch:
            return self  # it is done already, outside of what is measured
        ready = [level.to(device, DTYPES[of["precision"]]) for level in self.ready]
        # as many as a batch has, so that what is returned is a view
        whole = [
            level.repeat(-(-self.batch // len(level)), 1, 1, 1).contiguous(memory_format=torch.channels_last) for level in ready
        ]
        return replace(self, ready=whole, **of)


def stand_in(
    backbone: Backbone, images_a_second: float, timesteps: tuple[int, ...] = TEDM_TIMESTEPS, batch: int = BATCH
) -> StandIn:
    """Return a stand-in for a backbone, with the activations of one image of grain."""
    of = {each.name: getattr(backbone, each.name) for each in fields(backbone)}
    return StandIn(**of, entries_a_second=images_a_second * len(timesteps), ready=_ready(backbone, timesteps), batch=batch)


@lru_cache(maxsize=1)
def _ready(backbone: Backbone, timesteps: tuple[int, ...]) -> list[Tensor]:
    side = backbone.image_size
    x_t = torch.randn(len(timesteps), backbone.image_channels, side, side, generator=torch.Generator().manual_seed(0))
    return [level.cpu() for level in backbone.activations(x_t, torch.tensor(timesteps))]


def empty_store(path: Path, backbone: Backbone, storage: Storage, arithmetic: Arithmetic, images: int) -> FeatureStore:
    """Create a store for so many images without labels."""
    settings = FeatureSettings(
        checkpoint_sha256=backbone.sha256,
        levels=backbone.levels,
        image_size=backbone.image_size,
        image_channels=backbone.image_channels,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling="nearest",
        noise="per-image",
        noise_seed=0,
        timesteps=TEDM_TIMESTEPS,
        draws=1,
    )
    store = FeatureStore.create(path, settings, arithmetic, storage, {})
    side = (settings.image_size, settings.image_size)
    store.register([Registration(f"{number:05}", "train", f"{number}", "", side, None) for number in range(images)], ())
    return store


@dataclass(frozen=True)
class Passed:
    """What a run of the stages took.

    Parameters
    ----------
    images : int
    seconds, cores : float
        Of the clock, and of all cores together.
    for_images, for_disk : float
        Seconds in which the network waited.
    """

    images: int
    seconds: float
    cores: float
    for_images: float
    for_disk: float


def through(backbone: Backbone, store: FeatureStore, arithmetic: Arithmetic, *, writers: int, write: bool = True) -> Passed:
    """Let all images of a store pass, as `tedm.extract.extract` does; without `write`, nothing is laid out or written."""
    size, channels = store.settings.image_size, store.settings.image_channels
    image = np.random.default_rng(0).random((size, size, channels), dtype=np.float32)
    names, waited = store.labels.names, Waited()
    backbone = backbone.prepare(arithmetic.device, precision=arithmetic.precision, channels_last=arithmetic.channels_last)
    since, cores = time.perf_counter(), time.process_time()

    images, dtype = ((name, image) for name in names), store.storage.type_of_cells(store.settings)

    def done(computed: Any) -> None:
        if write:
            store.write(computed.name, computed.image, computed.cells, checked=dtype == "float16")

    with Behind(done, threads=writers, waiting=1, waited=waited) as disk:
        for computed in compute(backbone, store.settings, arithmetic, images, waited=waited, dtype=dtype):
            disk.put(computed)
            del computed
    seconds, used = time.perf_counter() - since, time.process_time() - cores
    return Passed(len(names), seconds, used, waited.for_images, waited.for_disk)


def parts(backbone: Backbone, folder: Path, storage: Storage, arithmetic: Arithmetic, images: int = 8) -> dict[str, float]:
    """Return core-seconds an image of what surrounds the network: noise and conversion, layout and packing, writing."""
    fast = stand_in(backbone, float("inf"), batch=arithmetic.batch_size)
    store = empty_store(folder, backbone, storage, arithmetic, images)
    settings = store.settings
    through(fast, store, arithmetic, writers=1, write=False)
    before = through(fast, store, arithmetic, writers=1, write=False).cores / images
    image = np.zeros((settings.image_size, settings.image_size, settings.image_channels), np.float32)
    dtype = storage.type_of_cells(settings)
    (computed,) = compute(fast, settings, arithmetic, [("00000", image)], dtype=dtype)
    group = zarr.open_group(folder, mode="r")
    shards = [Shard.of(group[name]) for name in store.feature_arrays()]

    def packed() -> None:
        for shard, values in zip(shards, storage.parts(computed.cells, settings), strict=True):
            shard.packed(values)

    packed()
    packing = _cores(lambda: [packed() for _ in range(images)]) / images
    how = {"checked": dtype == "float16"}
    store.write("00000", image, computed.cells, **how)
    writing = _cores(lambda: [store.write(name, image, computed.cells, **how) for name in store.labels.names]) / images
    shutil.rmtree(folder)
    return {"noise and conversion": before, "layout and packing": packing, "writing": max(0.0, writing - packing)}


def _cores(work: Any) -> float:
    since = time.process_time()
    work()
    return time.process_time() - since


def bound(passed: Passed, rate: float, cores: int) -> str:
    """Say what kept a run from being faster."""
    if passed.images / passed.seconds >= AS_FAST * rate:
        return "the network"
    if passed.cores / passed.seconds >= 0.85 * cores:
        return "the processor"
    stage = "writing" if passed.for_disk > passed.for_images else "reading and noise"
    return f"{stage}, with cores idle or at other work"


def main() -> None:
    """Both layouts at each rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 50, 200], help="images a second")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run, about")
    parser.add_argument("--most", type=int, default=64, help="images of a run")
    parser.add_argument("--folder", type=Path, default=None, help="where stores are written and removed again")
    asked = parser.parse_args()
    cores = available_cores()
    print(machine(torch.get_num_threads()))
    arithmetic = replace(choose_arithmetic(device="cpu"), precision="bfloat16", batch_size=BATCH)
    backbone = random_backbone(image_size=asked.size, width=asked.width, multipliers=(1, 2, 4, 8))
    backbone = backbone.prepare("cpu", precision="bfloat16", channels_last=True)
    print("| layout | network, images/s | sustained | core-s an image | cores busy | MB/s written | bounded by |")
    print("|---|--:|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch, mock.patch.dict(ON_THE_WAY, cpu=ON_THE_WAY["cuda"]):
        of_layout = {}
        for layout in ("native", "upsampled"):
            storage = Storage(layout, "float16")  # type: ignore[arg-type]
            of_layout[layout] = parts(backbone, Path(scratch) / "parts", storage, arithmetic)
            for rate in asked.rates:
                images = int(min(asked.most, max(2 * BATCH / len(TEDM_TIMESTEPS), asked.seconds * rate)))
                path = Path(scratch) / "store"
                store = empty_store(path, backbone, storage, arithmetic, images)
                passed = through(stand_in(backbone, rate), store, arithmetic, writers=min(4, cores))
                written = sum(store.files().values()) / 1e6
                shutil.rmtree(path)
                print(
                    f"| {layout} | {rate:g} | {images / passed.seconds:.1f} | {passed.cores / images:.3f} | "
                    f"{passed.cores / passed.seconds:.1f} of {cores} | {written / passed.seconds:.0f} | "
                    f"{bound(passed, rate, cores)} |",
                    flush=True,
                )
    for layout, of in of_layout.items():
        print(f"{layout}, core-seconds an image: " + ", ".join(f"{what} {seconds:.3f}" for what, seconds in of.items()))


if __name__ == "__main__":
    main()
