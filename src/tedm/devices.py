"""Where torch computes: "auto" settled once, the same way for backbones and heads."""

from __future__ import annotations

from typing import Literal

from tedm.errors import TedmError


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
