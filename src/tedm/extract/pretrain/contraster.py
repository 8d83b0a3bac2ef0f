"""Networks that learn by contrast: two views of the same shall be alike, of different things not.

Global: the encoder of TEDM's UNet under a projection, two views of each image, NT-Xent over the batch (SimCLR, Chen et al.
2020, arXiv:2002.05709). Local: two decoder stages under a projection, regions of two views of the same image (Chaitanya et al.
2020, arXiv:2006.10511), on an encoder that has learned globally and is kept as it is, as Chaitanya et al. do.

The code that was published with TEDM (arXiv:2311.07421) has a local stage that cannot teach what it is for: its projection
stays at random weights, it compares regions at equal coordinates of views that were cropped apart, and so lets 47 % of its
positive pairs be wrong regions. None of that is here: the projection learns, and the views of the local stage differ in
intensity alone (as in Chaitanya's own code), so that equal coordinates are the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tedm.extract.backbones import Content
from tedm.extract.backbones.backbone import DTYPES
from tedm.networks.pretrained import Objective, Pretrained
from tedm.networks.tedm_unet import TedmUNet
from tedm.signals import leave_if_pending

from .learner import Learner, TrainingSettings, seeded
from .losses import local_contrast, nt_xent
from .pretrained import DECODED, PREFIX, contrasted_content, is_learned
from .views import change_intensity, choose_regions, crop_and_resize

HIDDEN, PROJECTED = 1024, 128
REGIONS, REGION = 20, 3
NETWORK = "network."


@dataclass(frozen=True)
class ContrastSettings(TrainingSettings):
    """What a contrastive training is. `pretrain_contrast` explains each."""

    objective: Objective
    as_published: bool
    start: str
    """SHA-256 of the checkpoint that the encoder is of; empty where it begins at random."""


class Contraster(Learner):
    """The untimed UNet under a projection, both of which learn.

    Parameters
    ----------
    settings : ContrastSettings
        The initial weights are a function of its seed.
    start : Pretrained or None
        The encoder of the local objective; for no other.
    device : torch.device
        Where the network computes.
    """

    settings: ContrastSettings
    last_in_checkpoint = False

    def __init__(self, settings: ContrastSettings, start: Pretrained | None, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = _GlobalNetwork(settings) if settings.objective == "global-cl" else _LocalNetwork(settings)
        if start is not None:
            network.network.load_state_dict(dict(start.tensors), strict=False)
        for name, parameter in network.network.named_parameters():
            parameter.requires_grad_(is_learned(name, settings.objective) and (start is None or name not in start.tensors))
        super().__init__(settings, network, device)

    def content(self) -> Content:
        """Return what `read_pretrained` reads: the UNet without the projection."""
        tensors = {name: tensor for name, tensor in self.named(self.average).items() if name.startswith(PREFIX)}
        settings = self.settings
        return contrasted_content(
            tensors,
            objective=settings.objective,
            width=settings.width,
            multipliers=settings.multipliers,
            image_channels=settings.image_channels,
            image_size=settings.image_size,
            step=self.iteration,
        )

    def file_name(self, name: str) -> str | None:
        """Return the UNet's own names under the prefix of all checkpoints; what no loss reaches is not kept."""
        if not name.startswith(NETWORK):
            return name
        own = name.removeprefix(NETWORK)
        return PREFIX + own if is_learned(own, self.settings.objective) else None

    def held_out_loss(self, images: NDArray[np.float32]) -> Callable[[], float]:
        """Return what computes the loss on views that stay, in batches of about the training's size."""
        parts = torch.arange(len(images)).tensor_split(max(1, len(images) // self.settings.batch_size))
        drawn = self._views(torch.from_numpy(images), seeded(self.settings.seed, "held out"))

        def loss() -> float:
            losses = []
            with torch.no_grad():
                for part in parts:
                    leave_if_pending()
                    losses.append(float(self._contrast(self.average, [each[part] for each in drawn], torch.float32)))
            return math.fsum(loss * len(part) for loss, part in zip(losses, parts, strict=True)) / len(images)

        return loss

    def sampler(self, samples: int) -> Callable[[], NDArray[np.float32]]:
        """Return what makes no images: this network can make none."""
        shape = (self.settings.image_channels, self.settings.image_size, self.settings.image_size)
        return lambda: np.zeros((0, *shape), np.float32)

    def _draw(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        # without replacement: an image that is there twice would be taken for two different ones
        batch = images[torch.randperm(len(images), generator=generator)[: self.settings.batch_size]]
        if self.settings.flip:
            turned = torch.rand(len(batch), generator=generator) < 0.5
            batch = torch.where(turned[:, None, None, None], batch.flip(-1), batch)
        return self._views(batch, generator)

    def _views(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return two views as the network sees them, from -1 to 1; and, of the local objective, the regions to compare."""
        if self.settings.objective == "global-cl":
            cropped = [crop_and_resize(batch, generator) for _ in range(2)]
        else:
            cropped = [batch, batch]
        views = [change_intensity(view, generator) * 2 - 1 for view in cropped]
        if self.settings.objective == "global-cl":
            return tuple(views)
        side = map_side(self.settings.image_size, self.settings.multipliers)
        regions = regions_of(side)
        return *views, choose_regions(len(batch), side, regions=regions, region=REGION, generator=generator)

    def _loss(self, network: nn.Module, drawn: tuple[Tensor, ...]) -> Tensor:
        return self._contrast(network, list(drawn), DTYPES[self.settings.precision])

    def _contrast(self, network: nn.Module, drawn: list[Tensor], dtype: torch.dtype) -> Tensor:
        first, second, *regions = (tensor.to(self.device) for tensor in drawn)
        projected: Tensor = network(torch.cat((first, second)).to(dtype)).float()
        if not regions:
            return nt_xent(*projected.chunk(2))
        pixels = projected.flatten(2).transpose(1, 2)  # (2 x images, pixels of the map, channels)
        of_both = torch.cat((regions[0], regions[0]))  # (2 x images, regions, pixels of a region)
        chosen = pixels[torch.arange(len(pixels), device=self.device)[:, None, None], of_both]
        return local_contrast(*chosen.flatten(2).chunk(2))


def map_side(image_size: int, multipliers: tuple[int, ...]) -> int:
    """Return the side of the map that the local objective compares regions of: the tap of the second decoder stage."""
    side: int = image_size // 2 ** (len(multipliers) - DECODED)
    return side


def regions_of(side: int) -> int:
    """Return how many regions are compared of a map: 20, or as many as do not overlap."""
    cells: int = (side // REGION) ** 2
    return min(REGIONS, cells)


class _GlobalNetwork(nn.Module):
    """The encoder, C -> 1024 -> 128, with batch normalisation in between as Chen et al. have it.

    Without it the means of all images' maps are so alike that the loss stayed at chance for 120 iterations (X-rays of 64 x 64,
    batches of 12, learning rate 1e-3). The published code has none, and does not pool: its C is the whole middle map.
    """

    def __init__(self, settings: ContrastSettings) -> None:
        super().__init__()
        self.network = _unet(settings)
        channels = settings.width * settings.multipliers[-1]
        if settings.as_published:
            pixels = (settings.image_size // 2 ** (len(settings.multipliers) - 1)) ** 2
            self.pooled: nn.Module = nn.Identity()
            layers: list[nn.Module] = [nn.Linear(channels * pixels, HIDDEN)]
        else:
            self.pooled = nn.AdaptiveAvgPool2d(1)
            # always by the batch, both views of it: there is no other state than weights
            layers = [nn.Linear(channels, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN, track_running_stats=False)]
        self.projection = nn.Sequential(*layers, nn.ReLU(), nn.Linear(HIDDEN, PROJECTED))

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.pooled(self.network.encode(x)).flatten(1))
        return projected


class _LocalNetwork(nn.Module):
    """The encoder, two decoder stages, and two convolutions of 1 x 1 as a projection."""

    def __init__(self, settings: ContrastSettings) -> None:
        super().__init__()
        self.network = _unet(settings)
        channels = settings.width * settings.multipliers[-DECODED]
        self.projection = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, PROJECTED, 1))

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.network.decode(x, DECODED))
        return projected


def _unet(settings: ContrastSettings) -> TedmUNet:
    return TedmUNet(width=settings.width, multipliers=settings.multipliers, image_channels=settings.image_channels, timed=False)
