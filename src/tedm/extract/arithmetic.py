"""Which arithmetic a backbone runs in: device, precision, memory format, batch and threads.

It follows from what the device can do and from what the user asked for, never from a timing, and it is recorded: with the same
precision, memory format and, on a GPU, batch size an activation is the same bit for bit, whatever its neighbours in the batch.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from tedm.devices import choose_device, choose_precision, cpuinfo
from tedm.errors import TedmError
from tedm.store import Arithmetic
from tedm.store.settings import differences

BATCH_ON_CPU = 8
# On a GPU a batch has so many pixels, within these numbers of entries: launching a pass of TEDM's UNet takes 16 ms, in which an
# H200 does 64 entries of 64 x 64, in bfloat16.
PIXELS_ON_CUDA = 64 * 128 * 128
BATCH_ON_CUDA = (8, 256)

# To be raised with every change after which a forward pass computes other bits (backbone, families, schedule, noise): a store
# that an older tedm has begun is then not continued with other numbers.
REVISION = 1

# What must be equal for equal bits, with its name in messages. Threads are not among them: an entry is computed by one thread.
FIELDS = {
    "device": "device",
    "precision": "precision",
    "channels_last": "channels last",
    "batch_size": "batch size",
    "torch": "torch",
    "processor": "processor",
    "revision": "revision of tedm's network code",
}


def choose_arithmetic(
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    image_size: int = 128,
) -> Arithmetic:
    """Settle every "auto".

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        "auto" takes CUDA where there is one.
    precision : {"auto", "float32", "bfloat16"}
        "auto" takes bfloat16 on GPUs of compute capability 8 or more, on CPUs with AMX-BF16 and on AMD's with AVX512-BF16,
        float32 elsewhere. The memory format is channels_last with bfloat16, and always on a CPU.
    batch_size : int or None
        None takes on CUDA as many as have the pixels of 64 images of 128 x 128, from 8 to 256; on a CPU 8, or the next multiple
        of the threads.
    threads : int or None
        Threads on a CPU, each of which computes an entry; None takes as many as the process may use.
    image_size : int
        Side of the images, for the batch size.

    Raises
    ------
    TedmError
        If there is no such device or precision, or a number is not positive.
    """
    for what, number in (("--batch-size", batch_size), ("threads", threads)):
        if number is not None and number < 1:
            raise TedmError(f"{what} is {number}; it must be at least 1")
    kind = choose_device(device)
    precision = choose_precision(precision, kind, "convolutions")
    threads = threads or available_cores()
    if kind == "cuda":
        least, most = BATCH_ON_CUDA
        default_batch = min(most, max(least, PIXELS_ON_CUDA // image_size**2))
    else:
        default_batch = -(-BATCH_ON_CPU // threads) * threads
    return Arithmetic(
        device=kind,
        precision=precision,
        channels_last=precision == "bfloat16" or kind == "cpu",
        batch_size=batch_size or default_batch,
        threads=threads,
        torch=torch.__version__,
        processor=_processor(kind),
        revision=REVISION,
    )


def on_this_machine(recorded: Arithmetic, device: Literal["auto", "cpu", "cuda"] = "auto") -> Arithmetic:
    """Return the recorded arithmetic as far as this machine has it.

    Parameters
    ----------
    recorded : Arithmetic
        That of a store or a head.
    device : {"auto", "cpu", "cuda"}
        "auto" takes the recorded device where there is one, else the CPU.
    """
    nearest = "cuda" if recorded.device == "cuda" and torch.cuda.is_available() else "cpu"
    kind = nearest if device == "auto" else choose_device(device)
    here = {"torch": torch.__version__, "processor": _processor(kind), "revision": REVISION}
    return dataclasses.replace(recorded, device=kind, **here)  # type: ignore[arg-type]


def arithmetic_differences(recorded: Arithmetic, here: Arithmetic, *, us: str, them: str = "this machine") -> list[str]:
    """Return one line for each part of the arithmetic that must be equal for equal bits and is not.

    Parameters
    ----------
    recorded, here : Arithmetic
        That of a store or a head, and the one that is to be used.
    us, them : str
        Whose they are, for the lines.
    """
    return differences(recorded, here, FIELDS, us=us, them=them)


@contextmanager
def running(arithmetic: Arithmetic) -> Iterator[None]:
    """Set torch up for bit-equal results in this arithmetic; put everything back afterwards."""
    threads = torch.get_num_threads()
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.set_num_threads(arithmetic.threads)
    # float32 means float32; and a convolution algorithm chosen by a timing would not be chosen again.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark


def available_cores() -> int:
    """Return how many cores this process may use: a SLURM job sees its own, not the node's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return cpuinfo("model name") or platform.processor() or platform.machine()
