"""A network that learns from images without labels, one iteration at a time.

Everything random in an iteration is drawn from (seed, iteration) alone, on the CPU: there is no generator whose state would
have to be kept, and a run that goes on from a file goes on as if it had not stopped. The moving average of the weights, which
runs beside them, is what is used in the end. What is drawn, and what the loss of it is, is for a learner of each objective.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract.backbones import Content
from tedm.extract.backbones.backbone import DTYPES
from tedm.jsons import JsonValue
from tedm.store.settings import Precision


@dataclass(frozen=True)
class TrainingSettings:
    """What every training run is: it may only go on with the same, on the same images. `pretrain_diffusion` explains each."""

    image_size: int
    image_channels: int
    width: int
    multipliers: tuple[int, ...]
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
    channel_names: tuple[str, ...] = field(default=(), kw_only=True)
    intensities: str = field(default="", kw_only=True)

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values; what is not said of the images is left out, as it was before it could be said."""
        values: dict[str, JsonValue] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in values.items() if value or name not in ("channel_names", "intensities")}


class Learner(ABC):
    """A network, the moving average of its weights, and Adam.

    Parameters
    ----------
    settings : TrainingSettings
    network : Module
        With its initial weights, on the CPU; those that need no gradient stay as they are.
    device : torch.device
        Where the network computes.
    """

    last_in_checkpoint = True
    """Whether a checkpoint has the weights of the last iteration beside the average."""

    def __init__(self, settings: TrainingSettings, network: nn.Module, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.iteration = 0
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.trained().values(), lr=settings.learning_rate)
        self._rounded = None if settings.precision == "float32" else _rounded(self.network, DTYPES[settings.precision])

    @abstractmethod
    def content(self) -> Content:
        """Return what a reader of the checkpoint finds: tensors of the average, and what network they are of."""

    @abstractmethod
    def file_name(self, name: str) -> str | None:
        """Return what a tensor of the network is called in files; None if it is not kept, since it is never trained."""

    @abstractmethod
    def held_out_loss(self, images: NDArray[np.float32]) -> Callable[[], float]:
        """Return what computes the loss of the average on images held out, with the same random numbers each time."""

    @abstractmethod
    def sampler(self, samples: int) -> Callable[[], NDArray[np.float32]]:
        """Return what makes images of the average, (samples, channels, side, side); none where it can make none."""

    @abstractmethod
    def _draw(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw a batch: tensors on the CPU whose first dimension is the images of the batch."""

    @abstractmethod
    def _loss(self, network: nn.Module, drawn: tuple[Tensor, ...]) -> Tensor:
        """Return the mean loss of a batch or a part of one, in float32."""

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the weights that learn, by the network's names."""
        return {name: parameter for name, parameter in self.network.named_parameters() if parameter.requires_grad}

    def named(self, module: nn.Module) -> dict[str, Tensor]:
        """Return what files keep of the network or its average, by the files' names."""
        names = {name: self.file_name(name) for name in module.state_dict()}
        return {called: module.state_dict()[name] for name, called in names.items() if called is not None}

    def restore(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Put what `named` gave back into the network or its average."""
        names = {name: self.file_name(name) for name in module.state_dict()}
        kept = {name: tensors[called] for name, called in names.items() if called is not None}
        module.load_state_dict({**module.state_dict(), **kept})

    def step(self, images: Tensor) -> float:
        """Run one iteration on some of the images.

        Parameters
        ----------
        images : Tensor of shape (images, channels, side, side)
            All that there are, on the CPU, from 0, black, to 1, white.

        Returns
        -------
        float
            The loss.

        Raises
        ------
        TedmError
            If the loss or its gradient is not finite; the weights are then those of the iteration before.
        """
        settings = self.settings
        drawn = self._draw(images, seeded(settings.seed, self.iteration))
        network = self.network if self._rounded is None else self._rounded
        self._round()
        self.optimizer.zero_grad()
        losses = []
        for part in torch.arange(settings.batch_size).chunk(settings.accumulate):
            loss = self._loss(network, tuple(tensor[part] for tensor in drawn)) / settings.accumulate
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


def seeded(seed: int, what: object) -> torch.Generator:
    """Return a generator of random numbers that is a function of the seed and of what is drawn alone."""
    digest = hashlib.blake2b(f"{seed}/{what}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def _rounded(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy in another type, rounded where `Backbone.prepare` rounds. (Autocast would round the time embedding too.)"""
    copied = copy.deepcopy(network)
    kept: tuple[str, ...] = getattr(network, "kept_in_float32", ())
    for name, parameter in copied.named_parameters():
        if not name.startswith(kept):
            parameter.data = parameter.data.to(dtype)
    return copied
