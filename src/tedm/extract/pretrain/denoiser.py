"""A network that learns to predict the noise in images, at timesteps drawn at random (Ho et al. 2020, arXiv:2006.11239)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tedm.extract.backbones import Backbone, Content, Schedule, tedm
from tedm.extract.backbones.backbone import DTYPES
from tedm.networks.tedm_unet import TedmUNet

from .ddim import sample, sample_noise
from .learner import Learner, TrainingSettings
from .validation import HeldOut

SAMPLE_PASSES = 20


@dataclass(frozen=True)
class DiffusionSettings(TrainingSettings):
    """What the training of a diffusion model is. `pretrain_diffusion` explains each."""

    schedule: str
    timesteps_total: int


class Denoiser(Learner):
    """TEDM's UNet, which learns by the mean absolute error of the predicted noise (Rosnati et al. 2023, arXiv:2311.07421).

    Parameters
    ----------
    settings : DiffusionSettings
        The initial weights are a function of its seed.
    device : torch.device
        Where the network computes.
    """

    settings: DiffusionSettings
    network: TedmUNet
    average: TedmUNet

    def __init__(self, settings: DiffusionSettings, device: torch.device) -> None:
        self.schedule = Schedule.named(settings.schedule, settings.timesteps_total)
        network = tedm.random_network(
            width=settings.width, multipliers=settings.multipliers, image_channels=settings.image_channels, seed=settings.seed
        )
        super().__init__(settings, network, device)

    def backbone(self) -> Backbone:
        """Return the average as it is now, in the learner's own memory: it goes on learning when the learner does."""
        backbone = tedm.as_backbone(
            self.average, schedule=self.schedule, image_size=self.settings.image_size, sha256="", step=self.iteration
        )
        return tedm.trained_on(backbone, self.settings.channel_names, self.settings.intensities)

    def content(self) -> Content:
        """Return what `load_backbone` reads."""
        return tedm.content(self.backbone())

    def file_name(self, name: str) -> str:
        """Return a name as the published checkpoints have it."""
        return tedm.PREFIX + name

    def held_out_loss(self, images: NDArray[np.float32]) -> Callable[[], float]:
        """Return what computes the mean absolute error on images held out, at timesteps and with noise that stay."""
        held_out = HeldOut(images, timesteps_total=self.settings.timesteps_total, seed=self.settings.seed)
        return lambda: held_out.loss(self.backbone())

    def sampler(self, samples: int) -> Callable[[], NDArray[np.float32]]:
        """Return what makes images out of noise that stays, in 20 DDIM passes."""
        shape = (self.settings.image_channels, self.settings.image_size, self.settings.image_size)
        if not samples:
            return lambda: np.zeros((0, *shape), np.float32)
        noise = sample_noise(samples, shape, seed=self.settings.seed)
        passes = min(SAMPLE_PASSES, self.schedule.timesteps_total)
        return lambda: sample(self.backbone().predict_noise, self.schedule, noise, passes=passes)

    def _draw(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw x_t, its timesteps and its noise."""
        settings = self.settings
        x_0 = images[torch.randint(len(images), (settings.batch_size,), generator=generator)] * 2 - 1
        timesteps = torch.randint(settings.timesteps_total, (settings.batch_size,), generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        if settings.flip:  # drawn last: the rest is the same with flips and without
            turned = torch.rand(settings.batch_size, generator=generator) < 0.5
            x_0 = torch.where(turned[:, None, None, None], x_0.flip(-1), x_0)
        return self.schedule.x_t(x_0, noise, timesteps), timesteps, noise

    def _loss(self, network: nn.Module, drawn: tuple[Tensor, ...]) -> Tensor:
        x_t, timesteps, noise = (tensor.to(self.device) for tensor in drawn)
        output = network(x_t.to(DTYPES[self.settings.precision]), timesteps)
        return F.l1_loss(output.float(), noise)
