"""The checks of `gpu.py`, in the order in which they are made: what cannot be wrong without spoiling the rest comes first.

A check takes the machine and returns a figure; it raises `Failed` if what is promised does not hold, `Skipped` if it cannot be
made. A figure that begins with "measured: " is a figure of which nothing is promised.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from stand_in import empty_store, parts, through
from synthetic import machine as processor

from tedm.errors import TedmError
from tedm.extract import (
    Backbone,
    choose_arithmetic,
    compute,
    extract,
    load_backbone,
    peak_memory,
    read_manifest,
    running,
    writers,
)
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.store import Arithmetic, FeatureStore, Storage

ROOT = Path(__file__).resolve().parents[1]
TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)
MARKED = (
    "tests/extract/backbones/test_backbone.py",
    "tests/extract/test_arriving.py",
    "tests/extract/test_run.py",
    "tests/heads/segmenter/test_predict.py",
)


class Failed(Exception):
    """What is promised does not hold."""


class Skipped(Exception):
    """A check that cannot be made here."""


@dataclass(frozen=True)
class Machine:
    """Where the checks run.

    Parameters
    ----------
    device : {"cuda", "cpu"}
        On "cpu" everything is small.
    folder : Path
        For files.
    shared : Path
        May hold checkpoints.
    """

    device: str
    folder: Path
    shared: Path

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU."""
        return self.device == "cuda"

    @cached_property
    def described(self) -> str:
        """The machine in a line."""
        gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}" if self.cuda else "no GPU: the CPU path, small"
        return f"{gpu}; torch {torch.__version__}; {processor(torch.get_num_threads())}"

    def require_cuda(self) -> None:
        """Skip what needs a GPU."""
        if not self.cuda:
            raise Skipped("no CUDA")

    def backbone(self, size: int | None = None) -> Backbone:
        """Return a new network: the paper's UNet with random weights, on a CPU a tiny one."""
        shape = {"width": 64, "multipliers": (1, 2, 4, 8)} if self.cuda else {"width": 8, "multipliers": (1, 2)}
        return random_backbone(image_size=size or (64 if self.cuda else 16), **shape)

    @property
    def checkpoint(self) -> Path:
        """The file of a backbone with TEDM's network at 64 pixels (16 on a CPU): a trained one where there is one."""
        trained = self.shared / "checkpoints" / "nih64.pt"
        if self.cuda and trained.exists():
            return trained
        path = self.folder / "unet.safetensors"
        if not path.exists():
            save_backbone(self.backbone(), path)
        return path

    def arithmetic(self, precision: Any = "auto", size: int = 128) -> Arithmetic:
        """Return what this machine computes with, on images of such a side."""
        return choose_arithmetic(device=self.device, precision=precision, image_size=size)  # type: ignore[arg-type]

    @cached_property
    def dataset(self) -> Path:
        """The manifest of twelve images with a bright ellipse and their masks, eight of them to learn from."""
        folder, rng, lines = self.folder / "data", np.random.default_rng(0), ["image,mask,split,patient"]
        side = 80 if self.cuda else 20
        folder.mkdir()
        for number in range(12):
            y, x = np.mgrid[:side, : side - 4] / side
            mask = ((y - rng.uniform(0.4, 0.6)) / 0.3) ** 2 + ((x - rng.uniform(0.4, 0.6)) / 0.2) ** 2 < 1
            grey = 70 + 100 * mask + rng.normal(0, 10, mask.shape)
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
            Image.fromarray(mask.astype(np.uint8)).save(folder / f"{number:02}-mask.png")
            lines.append(f"{number:02}.png,{number:02}-mask.png,{'train' if number < 8 else 'test'},p{number}")
        (folder / "manifest.csv").write_text("\n".join([*lines, ""]))
        return folder / "manifest.csv"

    @cached_property
    def store(self) -> FeatureStore:
        """Activations of these images."""
        backbone = load_backbone(self.checkpoint)
        return extract(
            read_manifest(self.dataset),
            self.folder / "features",
            backbone,
            layout="native",
            device=self.device,  # type: ignore[arg-type]
        ).store


def marked_tests(machine: Machine) -> str:
    """The tests of the repository that are marked `gpu`."""
    machine.require_cuda()
    try:
        import pytest  # noqa: F401
    except ModuleNotFoundError:
        raise Skipped("pytest is not installed") from None
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-rs", *MARKED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or [done.stderr])[-1]
    if done.returncode or "skipped" in last or "passed" not in last:
        print(done.stdout, done.stderr)
        raise Failed(last)
    return last


def float32_parity(machine: Machine) -> str:
    """The largest difference of a level's activations, relative to its largest one."""
    machine.require_cuda()
    worst = max(_apart(machine, "float32"))
    if worst > 1e-4:
        raise Failed(f"{worst:.2g} of a level's largest activation, promised 1e-4")
    return f"{worst:.2g} of a level's largest activation at most (1e-4 is promised)"


def bfloat16_parity(machine: Machine) -> str:
    """The distance of bfloat16 to float32 on a CPU, in the norm: no larger than twice a CPU's own, which is said, too."""
    x_t, steps = _inputs(machine)
    exact = machine.backbone().activations(x_t, steps)
    apart = {}
    for device in dict.fromkeys(("cpu", machine.device)):
        rough = machine.backbone().prepare(device, precision="bfloat16", channels_last=True).activations(x_t, steps)
        apart[device] = max(float((a.float().cpu() - b).norm() / b.norm()) for a, b in zip(rough, exact, strict=True))
    said = ", ".join(f"{device} {value:.3g}" for device, value in apart.items()) + " from float32, in the norm"
    if apart[machine.device] > min(0.05, max(2 * apart["cpu"], 0.02)):
        raise Failed(said)
    return said


def neighbours(machine: Machine) -> str:
    """An image alone, in a batch of others, and in the padded last one has equal bits, in both precisions."""
    rng, checked = np.random.default_rng(1), 0
    for precision in ("float32", "bfloat16"):
        backbone = machine.backbone()
        size = backbone.image_size
        arithmetic = machine.arithmetic(precision, size)
        images = [(f"image {number}", rng.random((size, size, 1), dtype=np.float32)) for number in range(11)]
        settings = empty_store(machine.folder / "none", backbone, Storage("native", "float16"), arithmetic, 1).settings
        shutil.rmtree(machine.folder / "none")
        together = {done.name: done.cells for done in compute(backbone, settings, arithmetic, images)}
        backwards = {done.name: done.cells for done in compute(backbone, settings, arithmetic, images[::-1])}
        for image in (images[0], images[5], images[10]):
            (alone,) = compute(backbone, settings, arithmetic, [image])
            for cells in (together[image[0]], backwards[image[0]]):
                checked += 1
                if any(a.tobytes() != b.tobytes() for a, b in zip(alone.cells, cells, strict=True)):
                    raise Failed(f"{image[0]} in {precision}: other bits than alone")
    return f"{checked} comparisons in float32 and {precision}, batches of {arithmetic.batch_size}, 11 images of 8 entries"


def resumed(machine: Machine) -> str:
    """A store that was made in two runs has the files of one that was made in one, byte for byte."""
    manifest = read_manifest(machine.dataset)
    some = replace(manifest, entries=manifest.entries[:5], headers=manifest.headers[:5])
    files = []
    for name, runs in (("once", [manifest]), ("twice", [some, manifest])):
        path = machine.folder / name
        for part in runs:
            extract(part, path, load_backbone(machine.checkpoint), layout="upsampled", device=machine.device)  # type: ignore[arg-type]
        found = {str(at.relative_to(path)): hashlib.sha256(at.read_bytes()).hexdigest() for at in path.glob("features/c.*")}
        files.append(found)
        shutil.rmtree(path)
    if len(files[0]) != len(manifest.entries) or files[0] != files[1]:
        raise Failed(f"{sum(files[0].get(key) != value for key, value in files[1].items())} files differ")
    return f"{len(files[0])} images, 5 and then the others: equal bytes"


def padded(machine: Machine) -> str:
    """The last, padded batch on a GPU has a CPU's numbers."""
    machine.require_cuda()
    rng, backbone = np.random.default_rng(2), machine.backbone()
    images = [(f"image {number}", rng.random((64, 64, 1), dtype=np.float32)) for number in range(9)]
    found = {}
    for device in ("cuda", "cpu"):
        arithmetic = choose_arithmetic(device=device, precision="float32")  # type: ignore[arg-type]
        settings = empty_store(machine.folder / "none", backbone, Storage("native", "float16"), arithmetic, 1).settings
        shutil.rmtree(machine.folder / "none")
        wanted = images if device == "cuda" else images[8:]
        *_, last = compute(machine.backbone(), settings, arithmetic, wanted)
        found[device] = last.cells
    worst = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found["cuda"], found["cpu"], strict=True))
    if worst > 1e-4:
        raise Failed(f"{worst:.2g} of a level's largest activation, promised 1e-4")
    return f"8 entries and 56 of padding: {worst:.2g} of a level's largest activation"


def out_of_memory(machine: Machine) -> str:
    """Too small a card names a batch size, and with that the same extraction ends. A cap on the allocator is the small card."""
    machine.require_cuda()
    manifest = read_manifest(machine.dataset)
    save_backbone(machine.backbone(128), machine.folder / "large.safetensors")
    backbone = load_backbone(machine.folder / "large.safetensors").prepare("cuda", precision="bfloat16", channels_last=True)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with running(machine.arithmetic("bfloat16")):
        backbone.activations(torch.randn(8, 1, 128, 128), torch.tensor(TIMESTEPS))
    cap = 2.5 * torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, cap / torch.cuda.get_device_properties(0).total_memory))
    how: dict[str, Any] = {"layout": "native", "device": "cuda", "precision": "bfloat16"}
    try:
        try:
            extract(manifest, machine.folder / "too large", backbone, batch_size=64, **how)
        except TedmError as error:
            said, named = str(error), re.search(r"--batch-size (\d+)", str(error))
        else:
            raise Failed(f"64 entries of 128 x 128 fit into {cap / 1e9:.1f} GB: the cap was not kept")
        if named is None:
            raise Failed(f"no batch size is named: {said}")
        size = int(named[1])
        torch.cuda.empty_cache()
        done = extract(manifest, machine.folder / "small", backbone, batch_size=size, **how)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    return f"{cap / 1e9:.1f} GB do not hold a batch of 64; {size} is named, and {done.computed} images went through with it"


def copies(machine: Machine) -> str:
    """Pinned copies on a stream of their own hide behind the network."""
    machine.require_cuda()
    backbone, arithmetic = machine.backbone(128), machine.arithmetic("bfloat16")
    backbone = backbone.prepare("cuda", precision="bfloat16", channels_last=True)
    x_t, steps = torch.randn(64, 1, 128, 128), torch.tensor(TIMESTEPS * 8)
    from tedm.extract import Arriving, Place

    with running(arithmetic):
        levels = backbone.activations(x_t, steps)
        megabytes = sum(level.numel() * level.element_size() for level in levels) / 1e6
        shapes = [level.permute(0, 2, 3, 1).shape for level in levels]
        places = [Place(0, [torch.empty(shape, dtype=torch.float16, pin_memory=True) for shape in shapes])]
        alone = _median(lambda: backbone.activations(x_t, steps))
        pinned = _median(lambda: list(Arriving(levels, places).misfits()))
        pageable = _median(lambda: [level.permute(0, 2, 3, 1).contiguous().cpu() for level in levels])

        def both() -> None:
            arriving = Arriving(levels, places)
            backbone.activations(x_t, steps)
            list(arriving.misfits())

        together = _median(both)
        if not all(torch.equal(a, b.permute(0, 2, 3, 1).half().cpu()) for a, b in zip(places[0].rows, levels, strict=True)):
            raise Failed("other numbers arrived than were computed")
    said = (
        f"{megabytes:.0f} MB a batch: pinned {megabytes / pinned / 1e3:.1f} GB/s, pageable {megabytes / pageable / 1e3:.1f}; "
        f"network {1e3 * alone:.0f} ms, copy {1e3 * pinned:.0f} ms, both at once {1e3 * together:.0f} ms"
    )
    if together > 1.05 * max(alone, pinned) + 0.5 * min(alone, pinned):
        raise Failed(f"the copy does not hide behind the network: {said}")
    return said


def rate(size: int, layout: Any) -> Callable[[Machine], str]:
    """Return a check: images a second into a store against the bare backbone's, and what takes the time."""

    def check(machine: Machine) -> str:
        if not machine.cuda and size > 64:
            raise Skipped("no CUDA")
        side = size if machine.cuda else size // 4
        backbone, arithmetic = machine.backbone(side), machine.arithmetic(size=side)
        how = {"precision": arithmetic.precision, "channels_last": arithmetic.channels_last}
        backbone = backbone.prepare(machine.device, **how)  # type: ignore[arg-type]
        entries = arithmetic.batch_size
        x_t, steps = torch.randn(entries, 1, side, side), torch.tensor([TIMESTEPS[at % 8] for at in range(entries)])
        with running(arithmetic):
            backbone.activations(x_t, steps)
            bare = _median(lambda: backbone.activations(x_t, steps)) * len(TIMESTEPS) / entries  # seconds an image
        storage, path = Storage(layout, "float16"), machine.folder / "rate"
        images = {64: 1536, 128: 384, 256: 96}[size] // (1 if layout == "native" else 3) if machine.cuda else 6
        store, threads = empty_store(path, backbone, storage, arithmetic, images), writers(arithmetic, layout)
        dry = through(backbone, store, arithmetic, writers=threads, write=False)  # the first, which takes the memory, too
        passed = through(backbone, store, arithmetic, writers=threads)
        size_of_image = sum(store.files().values()) // images
        shutil.rmtree(path)
        around = parts(backbone, path, storage, arithmetic, images=4)
        of = {"the network": bare, "all but layout and writing": dry.seconds / images}
        of |= {"layout and packing": around["layout and packing"] / threads}
        of |= {"the disk": _plain_writes(machine.folder / "plain", size_of_image, max(threads, images // 4), threads)}
        limit = max(of, key=lambda what: of[what])
        alone = ", ".join(f"{what} {1 / seconds:.0f}" for what, seconds in of.items() if seconds)
        return (
            f"measured: {side} x {side}, {arithmetic.precision}, batches of {entries}, bare {1 / bare:.1f} images/s, store "
            f"{images / passed.seconds:.1f} ({bare * images / passed.seconds:.2f} of it), limited by {limit}; each alone, in "
            f"images/s: {alone} ({threads} threads, {size_of_image / 1e6:.1f} MB an image, "
            f"{size_of_image * images / passed.seconds / 1e6:.0f} MB/s written)"
        )

    return check


def mlp(machine: Machine) -> str:
    """An MLP that was fitted on the device says what one says that was fitted on the CPU."""
    from tedm.heads import fit, method_named

    names = machine.store.labels.select(split="test")
    dice, seconds = {}, {}
    iterations = 300 if machine.cuda else 30
    for device in dict.fromkeys(("cpu", machine.device)):
        since = time.perf_counter()
        head = fit(machine.store, method_named("tedm"), iterations=iterations, device=device)
        seconds[device] = time.perf_counter() - since
        dice[device] = _dice(machine.store, names, [head.probabilities(machine.store.block(name)).argmax(-1) for name in names])
    said = ", ".join(
        f"{device} {1e3 * seconds[device] / iterations:.1f} ms an iteration, Dice {dice[device]:.3f}" for device in dice
    )
    if abs(dice[machine.device] - dice["cpu"]) > 0.03:
        raise Failed(said)
    return said


def pretraining(machine: Machine) -> str:
    """The loss of a DDPM falls, in both precisions, and is resumed."""
    from tedm.extract.pretrain import pretrain_diffusion

    rng, said = np.random.default_rng(3), []
    side, width, iterations = (64, 64, 60) if machine.cuda else (16, 8, 10)
    y, x = np.mgrid[:side, :side] / side
    images = np.stack(
        [np.exp(-((y - rng.uniform(0.3, 0.7)) ** 2 + (x - rng.uniform(0.3, 0.7)) ** 2) * 20)[None] for _ in range(16)]
    ).astype(np.float32)
    for precision in ("float32", "bfloat16"):
        path = machine.folder / f"{precision}.safetensors"
        losses: list[float] = []

        def note(done: int, of: int, loss: float, losses: list[float] = losses) -> None:
            losses.append(loss)

        how: dict[str, Any] = {"width": width, "multipliers": (1, 2, 4) if machine.cuda else (1, 2), "batch_size": 8}
        how |= {"precision": precision, "device": machine.device, "learning_rate": 1e-3, "progress": note}
        since = time.perf_counter()
        pretrain_diffusion(images, path, iterations=iterations, keep_state=True, **how)
        seconds = (time.perf_counter() - since) / iterations
        pretrain_diffusion(images, path, iterations=iterations + 2, resume=True, **how)
        third = len(losses) // 3
        first, last = float(np.mean(losses[:third])), float(np.mean(losses[-third:]))
        said.append(f"{precision} {1e3 * seconds:.0f} ms an iteration, loss {first:.3f} to {last:.3f}")
        if len(losses) != iterations + 2 or not last < first:
            raise Failed("; ".join(said))
    return "; ".join(said)


def baseline(method: str) -> Callable[[Machine], str]:
    """Return a check: a network that learns from images fits and predicts."""

    def check(machine: Machine) -> str:
        from tedm.extract.pretrain import read_pretrained
        from tedm.heads import fit, method_named, predict

        if method == "unet":
            try:
                import einops  # noqa: F401
                import monai  # noqa: F401
            except ModuleNotFoundError as error:
                raise Skipped(f"{error.name} is not installed: it is an extra, tedm[monai]") from None
            if not machine.cuda:
                raise Skipped("no CUDA (its network is too large for a minute of a CPU)")
        iterations = 100 if machine.cuda else 4
        start = read_pretrained(machine.checkpoint) if method == "ddpm-finetune" else None
        since = time.perf_counter()
        head = fit(machine.store, method_named(method), iterations=iterations, start=start, device=machine.device)
        seconds = (time.perf_counter() - since) / iterations
        losses = list(head.provenance.report.loss_curve)
        names = machine.store.labels.select(split="test")
        masks = [each.mask for each in predict(machine.store, {"head": head}, names)]
        said = f"{1e3 * seconds:.0f} ms an iteration, loss {losses[0]:.3f} to {losses[-1]:.3f}, "
        said += f"Dice {_dice(machine.store, names, masks):.3f}"
        if not np.isfinite(losses).all() or (machine.cuda and not losses[-1] < losses[0]):
            raise Failed(said)
        return said

    return check


def peak(machine: Machine) -> str:
    """The most that all of the above took."""
    on_device = f", {torch.cuda.max_memory_reserved() / 1e9:.1f} GB on the GPU" if machine.cuda else ""
    return f"measured: {peak_memory() / 1e9:.1f} GB of memory{on_device}"


def _inputs(machine: Machine) -> tuple[torch.Tensor, torch.Tensor]:
    side = machine.backbone().image_size
    x_t = torch.randn(len(TIMESTEPS), 1, side, side, generator=torch.Generator().manual_seed(0))
    return x_t, torch.tensor(TIMESTEPS)


def _apart(machine: Machine, precision: Any) -> Iterator[float]:
    x_t, steps = _inputs(machine)
    exact = machine.backbone().activations(x_t, steps)
    ours = machine.backbone().prepare(machine.device, precision=precision).activations(x_t, steps)
    for a, b in zip(ours, exact, strict=True):
        yield float((a.float().cpu() - b).abs().max() / b.abs().max())


def _median(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds, with whatever the GPU does."""
    seconds = []
    for _ in range(rounds):
        since = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - since)
    return sorted(seconds)[rounds // 2]


def _plain_writes(folder: Path, size: int, files: int, threads: int) -> float:
    """Seconds for a file of so many bytes that are at hand, where so many threads write and do nothing else."""
    content = np.random.default_rng(0).bytes(size)
    folder.mkdir()
    since = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: (folder / str(number)).write_bytes(content), range(files)))
    seconds = (time.perf_counter() - since) / files
    shutil.rmtree(folder)
    return seconds


def _dice(store: FeatureStore, names: Sequence[str], masks: Sequence[Any]) -> float:
    from tedm.heads import score

    return float(
        np.mean([score(store.mask(name), np.asarray(mask), 2).dice[1] for name, mask in zip(names, masks, strict=True)])
    )


CHECKS: dict[str, Callable[[Machine], str]] = {
    "tests marked gpu": marked_tests,
    "activations, float32, CUDA to CPU": float32_parity,
    "activations, bfloat16 to float32": bfloat16_parity,
    "equal bits whatever the neighbours": neighbours,
    "equal bytes after a resume": resumed,
    "padded last batch": padded,
    "out of memory names a batch size that works": out_of_memory,
    "pinned copies and streams": copies,
    "MLP fit": mlp,
    "pre-training": pretraining,
    "baseline ddpm-finetune": baseline("ddpm-finetune"),
    "baseline unet (MONAI)": baseline("unet"),
    **{f"images/s, {size} px, {layout}": rate(size, layout) for size in (64, 128, 256) for layout in ("native", "upsampled")},
    "peak memory": peak,
}
