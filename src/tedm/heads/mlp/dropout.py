"""Dropout whose every step is a function of the seed, so that a fit which was interrupted goes on to the same bits."""

from __future__ import annotations

import torch
from torch import Tensor

from tedm.heads.data.sampling import draw
from tedm.heads.mlp.batches import UNITS


class Dropout:
    """Hidden units that are left out of a step, the others made larger by as much (Srivastava et al. 2014).

    Parameters
    ----------
    rate : float
        Part that is left out, from 0 to below 1.
    generator : torch.Generator
        On the CPU: what is left out is the same wherever it is computed.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        self.rate, self.generator = rate, generator

    def __call__(self, x: Tensor) -> Tensor:
        """Return activations of shape (members, rows, width) with zeros in place of what is left out."""
        kept = torch.rand(x.shape, generator=self.generator) >= self.rate
        return x * kept.to(x.device) / (1 - self.rate)


def dropout_of_step(rate: float, seed: int, iteration: int) -> Dropout | None:
    """Return what a step leaves out; None where that is nothing."""
    if not rate:
        return None
    return Dropout(rate, torch.Generator().manual_seed(int(draw(seed, UNITS, iteration).integers(2**62))))
