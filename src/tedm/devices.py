"""Where torch computes, and in which precision: "auto" settled once, the same way for backbones and heads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tedm.errors import TedmError

if TYPE_CHECKING:
    import torch


def choose_device(device: str) -> Literal["cpu", "cuda"]:
    """Settle "auto": CUDA where there is one.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        What was asked for.

    Raises
    ------
    TedmError
        If CUDA is asked for where there is none: nothing falls back in silence.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise TedmError(f"there is no device {device!r}; choose auto, cpu or cuda")
    if device == "cpu":
        return "cpu"
    import torch  # here, so that what computes without it stays light

    if device == "cuda" and not torch.cuda.is_available():
        raise TedmError("there is no CUDA device here (torch sees none); choose --device cpu, or run on a GPU node")
    return "cuda" if torch.cuda.is_available() else "cpu"


def require_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises
    ------
    TedmError
        If there is none.
    """
    import torch  # as above

    try:
        device = torch.device(name)
    except RuntimeError:
        raise TedmError(f"there is no device {name!r}; use cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise TedmError(f"the device {name!r} is not supported; use cpu, cuda or cuda:N")
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        have = f"has {found} CUDA device(s)" if torch.version.cuda or torch.version.hip else "is a version for CPUs"
        raise TedmError(
            f"there is no device {name!r}: this torch {torch.__version__} {have}; use --device cpu or install a driver"
        )
    return device


def choose_precision(
    precision: str, device: Literal["cpu", "cuda"], work: Literal["convolutions", "training", "products"]
) -> Literal["float32", "bfloat16"]:
    """Settle "auto": bfloat16 where the device is faster in it.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        What was asked for.
    device : {"cpu", "cuda"}
        Where it is computed.
    work : {"convolutions", "training", "products"}
        What most of the time goes into: a backbone's convolutions, those of a network that learns (float32 weights under
        `torch.autocast`), or an MLP's products of matrices.

    Raises
    ------
    TedmError
        If there is no such precision.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise TedmError(f"there is no precision {precision!r}; choose auto, float32 or bfloat16")
    if precision == "auto":
        return "bfloat16" if _fast_bfloat16(device, work) else "float32"
    return "bfloat16" if precision == "bfloat16" else "float32"


@contextmanager
def repeatable_convolutions(*, exact: bool = True) -> Iterator[None]:
    """Let a GPU's convolutions take the same algorithm each time meanwhile. On a CPU nothing changes.

    Parameters
    ----------
    exact : bool
        Whether factors in float32 are multiplied as such, and not rounded to TF32 (ten bits): what a network says then is
        within 1e-6 of what it says on a CPU, in its probabilities, and within 5e-4 otherwise (an H200). A step of training
        takes up to 1.6 times as long.
    """
    import torch

    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=not exact):
        yield


def cpuinfo(field: str) -> str:
    """Return a field of the first processor in Linux's table, empty where there is none."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        for line in table.read_text().splitlines():
            if line.startswith(field):
                return " ".join(line.split(":", 1)[1].split())
    return ""


def _fast_bfloat16(device: str, work: str) -> bool:
    """Whether bfloat16 pays: on recent GPUs, on CPUs with AMX, and on AMD's with AVX512-BF16.

    An Intel CPU that has the instructions of AVX512-BF16 alone runs TEDM's convolutions at 80 Gflop/s in bfloat16 and at 140
    in float32 (one core of an Emerald Rapids Xeon without AMX): there float32 is both faster and more exact. An AMD EPYC with
    them multiplies an MLP's matrices in less than half the time; its passes of TEDM's UNet take 0.7 of the time in float32,
    steps of training that or a DynUNet 0.63. On an H200 a pass without gradients takes a third of the time. A step of training
    at 64 or 128 pixels is as long as its launches, and autocast adds some (TEDM's UNet 99 ms against 57 in float32 with factors
    in TF32, a DynUNet 21 against 20); steps of an MLP are alike in both.
    """
    if device == "cuda":
        import torch

        return work == "convolutions" and torch.cuda.get_device_capability()[0] >= 8
    flags = cpuinfo("flags").split()
    amd = cpuinfo("vendor_id") == "AuthenticAMD"
    return "amx_bf16" in flags or (amd and "avx512_bf16" in flags)
