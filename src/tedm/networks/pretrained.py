"""Weights of TEDM's UNet that another training starts from, whatever it was that they learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tedm.errors import TedmError

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

    def require_images(self, image_channels: int, image_size: int) -> None:
        """Refuse images that are others than those that the weights have seen.

        Raises
        ------
        TedmError
            If they have another number of channels, or of pixels a side.
        """
        for what, theirs, ours in (
            ("channels", self.image_channels, image_channels),
            ("pixels a side", self.image_size, image_size),
        ):
            if theirs != ours:
                raise TedmError(
                    f"the checkpoint is for images of {theirs} {what}, and the images here have {ours}: "
                    "name a checkpoint that was trained on such images"
                )
