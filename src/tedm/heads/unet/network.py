"""Which network segments, and what it is made from.

MONAI's DynUNet, which is nnU-Net's architecture (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), or the published TEDM's
UNet with a channel a class in place of the noise. A shape says all that decides its tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.networks.tedm_unet import TedmUNet
from tedm.packages import package

NetworkName = Literal["dynunet", "tedm"]
# Of the DynUNet: its finest level, and the most of its coarser ones in units of that. Half of nnU-Net's, for a processor.
DYNUNET_WIDTH, MOST_MULTIPLIED = 16, 16
# Of TEDM's UNet as its paper has it (arXiv:2311.07421).
TEDM_WIDTH, TEDM_MULTIPLIERS = 64, (1, 2, 4, 8)
# The DynUNet halves images until this side, as nnU-Net does.
COARSEST_SIDE, FEWEST_LEVELS = 4, 3
# What no network here has: more of these is not tried.
MOST_LEVELS, MOST_CHANNELS = 10, 2**16
# The last layer of TEDM's UNet: a channel a class, whatever it gave before.
LAST_LAYER = "final_conv."


@dataclass(frozen=True)
class NetworkShape:
    """What decides the tensors of a network.

    Parameters
    ----------
    network : {"dynunet", "tedm"}
    width : int
        Channels of the finest level.
    multipliers : tuple of int
        Channels of each level in units of `width`, finest first.
    image_channels, image_size : int
        Of the images.
    classes : int
        Channels of the output.
    timestep : int or None
        What a network that knows timesteps is told; None makes one that knows none.

    Raises
    ------
    ValueError
        If there is no such network.
    """

    network: NetworkName
    width: int
    multipliers: tuple[int, ...]
    image_channels: int
    image_size: int
    classes: int
    timestep: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers of which no network can be made."""
        numbers = (self.width, *self.multipliers, self.image_channels, self.image_size, self.classes)
        if not all(type(number) is int and 1 <= number <= MOST_CHANNELS for number in numbers):
            raise ValueError(f"a network cannot have the width {self.width!r} and the multipliers {self.multipliers!r}")
        least = FEWEST_LEVELS if self.network == "dynunet" else 1
        if not least <= len(self.multipliers) <= MOST_LEVELS:
            raise ValueError(
                f"{self.network} networks have {least} to {MOST_LEVELS} levels; there are {len(self.multipliers)} multipliers"
            )
        if self.network == "tedm" and self.image_size % 2 ** (len(self.multipliers) - 1):
            raise ValueError(
                f"images of {self.image_size} x {self.image_size} pixels cannot be halved {len(self.multipliers) - 1} times"
            )

    @property
    def strides(self) -> list[int]:
        """How far each level of a DynUNet is from the next finer one: 2, and 1 where it cannot be halved any more."""
        side, strides = self.image_size, [1]
        for _ in self.multipliers[1:]:
            halved = side % 2 == 0 and side // 2 >= COARSEST_SIDE
            strides.append(2 if halved else 1)
            side //= strides[-1]
        return strides


def default_multipliers(network: NetworkName, image_size: int) -> tuple[int, ...]:
    """Return the multipliers of the levels where nobody gave some.

    Examples
    --------
    >>> default_multipliers("dynunet", 64)
    (1, 2, 4, 8, 16)
    """
    if network == "tedm":
        return TEDM_MULTIPLIERS
    side, levels = image_size, 1
    while side % 2 == 0 and side // 2 >= COARSEST_SIDE and levels < MOST_LEVELS:
        side, levels = side // 2, levels + 1
    return tuple(min(2**level, MOST_MULTIPLIED) for level in range(max(levels, FEWEST_LEVELS)))


class SegmentationNet(nn.Module):
    """Images to logits of classes.

    Parameters
    ----------
    shape : NetworkShape

    Raises
    ------
    TedmError
        If MONAI is needed and not there, or the numbers make no network.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.timestep = shape.timestep
        self.unet = _unet(shape)
        # Classes that a training pixel shows; the others have no chance, rather than a chance that nothing was learned about.
        self.register_buffer("seen", torch.ones(shape.classes, dtype=torch.bool))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, channels, H, W) in [0, 1] to logits (B, classes, H, W), minus infinity for classes never seen."""
        x = images * 2 - 1
        told = () if self.timestep is None else (torch.full((len(x),), self.timestep, device=x.device),)
        logits: Tensor = self.unet(x, *told)
        return logits.masked_fill(~self.get_buffer("seen")[None, :, None, None], -torch.inf)


def initial_network(shape: NetworkShape, seed: int, start: Mapping[str, Tensor] | None = None) -> SegmentationNet:
    """Return a network with initial weights: the usual ones, a function of the seed, or those that it starts from.

    Parameters
    ----------
    shape : NetworkShape
    seed : int
        torch's own generator is left as it was.
    start : mapping of str to Tensor, or None
        Tensors of TEDM's UNet by its names; those that are absent stay random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegmentationNet(shape)
    if start:
        own = dict(network.unet.named_parameters())
        with torch.no_grad():
            for name in start.keys() & own.keys():
                if not name.startswith(LAST_LAYER):
                    own[name].copy_(start[name])
    return network


def network_on_meta(shape: NetworkShape) -> SegmentationNet:
    """Return such a network without memory: absurd shapes cost nothing."""
    with torch.device("meta"):
        return SegmentationNet(shape)


def _unet(shape: NetworkShape) -> nn.Module:
    if shape.network == "tedm":
        return TedmUNet(
            width=shape.width,
            multipliers=shape.multipliers,
            image_channels=shape.image_channels,
            out_channels=shape.classes,
            timed=shape.timestep is not None,
        )
    if shape.network != "dynunet":
        raise TedmError(f"there is no network {shape.network!r}; choose dynunet or tedm")
    dynunet = package("monai.networks.nets.dynunet", "monai", "a unet (MONAI's DynUNet)")
    strides = shape.strides
    made: nn.Module = dynunet.DynUNet(
        spatial_dims=2,
        in_channels=shape.image_channels,
        out_channels=shape.classes,
        kernel_size=[3] * len(strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[shape.width * multiplier for multiplier in shape.multipliers],
    )
    return made
