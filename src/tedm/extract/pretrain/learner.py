"""A network that learns to predict noise, one iteration at a time.

Everything random in an iteration is drawn from (seed, iteration) alone, on the CPU: there is no generator whose state would
have to be kept, and a run that goes on from a file goes on as if it had not stopped. The moving average of the weights, which
runs beside them, is what is used in the end.
"""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.backbones import Schedule
from tedm.extract.backbones.backbone import DTYPES, Backbone
from tedm.extract.backbones.tedm import as_backbone, random_network
from tedm.networks.tedm_unet import TedmUNet
from tedm.store.settings import Precision


@dataclass(frozen=True)
class PretrainSettings:
    """What a training run is: it may only go on with the same, on the same images. `pretrain` explains each."""

    image_size: int
    image_channels: int
    width: int
    multipliers: tuple[int, ...]
    schedule: str
    timesteps_total: int
    batch_size: int
    accumulate: int
    learning_rate: float
    clip_gradient: float | None
    ema_decay: float
    precision: Precision
    flip: bool
    seed: int
    images: str
    """SHA-256 of the training images."""


class Learner:
    """A network, the moving average of its weights, and Adam.

    Parameters
    ----------
    settings : PretrainSettings
        The initial weights are a function of its seed.
    device : torch.device
        Where the network computes.
    """

    def __init__(self, settings: PretrainSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.iteration = 0
        self.schedule = Schedule.named(settings.schedule, settings.timesteps_total)
        self.network = random_network(
            width=settings.width, multipliers=settings.multipliers, image_channels=settings.image_channels, seed=settings.seed
        ).to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self._rounded = None if settings.precision == "float32" else _rounded(self.network, DTYPES[settings.precision])

    def step(self, images: Tensor) -> float:
        """Run one iteration on some of the images.

        Parameters
        ----------
        images : Tensor of shape (images, channels, side, side)
            All that there are, on the CPU, from 0, black, to 1, white.

        Returns
        -------
        float
            The mean absolute error of the predicted noise.

        Raises
        ------
        TedmError
            If the loss or its gradient is not finite; the weights are then those of the iteration before.
        """
        settings = self.settings
        x_t, timesteps, noise = self._draw(images)
        network = self.network if self._rounded is None else self._rounded
        dtype = DTYPES[settings.precision]
        self._round()
        self.optimizer.zero_grad()
        losses = []
        for part in torch.arange(settings.batch_size).chunk(settings.accumulate):
            output = network(x_t[part].to(self.device, dtype), timesteps[part].to(self.device))
            loss = F.l1_loss(output.float(), noise[part].to(self.device)) / settings.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            self._collect_gradients()
            losses.append(float(loss.detach()))
        value = math.fsum(losses)
        most = math.inf if settings.clip_gradient is None else settings.clip_gradient
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), most))
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise TedmError(
                f"the training diverged at iteration {self.iteration + 1}: the loss is {value:g}, its gradient {norm:g} long; "
                f"lower the learning rate (it is {settings.learning_rate:g}) or clip the gradient (--clip-gradient 1)"
            )
        self.optimizer.step()
        self.iteration += 1
        # a warm-up: an average over the last tenth of a short run, so that random weights are soon forgotten
        decay = min(settings.ema_decay, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            for ours, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
                ours.lerp_(theirs, 1 - decay)
        return value

    def backbone(self) -> Backbone:
        """Return the average as it is now, in the learner's own memory: it goes on learning when the learner does."""
        return as_backbone(
            self.average, schedule=self.schedule, image_size=self.settings.image_size, sha256="", step=self.iteration
        )

    def _draw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        settings = self.settings
        digest = hashlib.blake2b(f"{settings.seed}/{self.iteration}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        x_0 = images[torch.randint(len(images), (settings.batch_size,), generator=generator)] * 2 - 1
        timesteps = torch.randint(settings.timesteps_total, (settings.batch_size,), generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        if settings.flip:  # drawn last: the rest is the same with flips and without
            turned = torch.rand(settings.batch_size, generator=generator) < 0.5
            x_0 = torch.where(turned[:, None, None, None], x_0.flip(-1), x_0)
        return self.schedule.x_t(x_0, noise, timesteps), timesteps, noise

    def _round(self) -> None:
        """Bring the rounded copy up to date."""
        if self._rounded is not None:
            with torch.no_grad():
                for rounded, exact in zip(self._rounded.parameters(), self.network.parameters(), strict=True):
                    rounded.copy_(exact)

    def _collect_gradients(self) -> None:
        """Add what the rounded copy found to the gradients of the weights, in float32."""
        if self._rounded is None:
            return
        for rounded, exact in zip(self._rounded.parameters(), self.network.parameters(), strict=True):
            if rounded.grad is not None:
                found = rounded.grad.float()
                exact.grad = found if exact.grad is None else exact.grad + found
                rounded.grad = None


def _rounded(network: TedmUNet, dtype: torch.dtype) -> TedmUNet:
    """Return a copy in another type, rounded where `Backbone.prepare` rounds. (Autocast would round the time embedding too.)"""
    copied = copy.deepcopy(network)
    for name, parameter in copied.named_parameters():
        if not name.startswith(network.kept_in_float32):
            parameter.data = parameter.data.to(dtype)
    return copied
