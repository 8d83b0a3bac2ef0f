"""Weights of TEDM's UNet that another training starts from, whatever it was that they learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

# What weights have learned: to predict noise (a DDPM), or by contrast (arXiv:2002.05709, arXiv:2006.10511).
Objective = Literal["diffusion", "global-cl", "global-local-cl"]


@dataclass(frozen=True)
class Pretrained:
    """Weights to start from, and the network that they are of.

    Parameters
    ----------
    objective : {"diffusion", "global-cl", "global-local-cl"}
        What they have learned.
    width, multipliers, image_channels
        Of the `TedmUNet`.
    image_size : int
        Side of the images that they have seen, in pixels.
    tensors : mapping of str to Tensor
        By the names that a `TedmUNet` gives them; those of a diffusion model have the layers of time, contrasted ones have not,
        and may lack the decoder stages and the last layers that were not trained.
    sha256 : str
        Of the checkpoint's file.
    """

    objective: Objective
    width: int
    multipliers: tuple[int, ...]
    image_channels: int
    image_size: int
    tensors: Mapping[str, Tensor]
    sha256: str
