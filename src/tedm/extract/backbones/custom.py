"""A network of the user's own: `--backbone module:function` calls the function and gets all that a backbone is.

This is the one door through which code of others comes in, and the user opens it by name. A network that is no
diffusion model comes through it too, without a schedule: it sees the images as they are, and timestep 0 is the only one.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.jsons import JsonObject

from .backbone import Backbone, Prediction
from .levels import measure_levels
from .schedule import Schedule

NAME = "own"


@dataclass(frozen=True)
class OwnNetwork:
    """What the user's function returns.

    Parameters
    ----------
    network : Module
        Called with images (B, channels, H, W) and timesteps (B,), int64; without a schedule, with images alone.
    schedule : Schedule or None
        The noise that it was trained with (`Schedule.named("cosine", 1000)` say); None for one that is no diffusion model.
    taps : sequence of str
        Names of the modules to tap, as in `network.named_modules()`; each gives a tensor (B, channels, H / stride, W / stride).
    image_size : int
        Side of the images that it is to see, in pixels.
    image_channels : {1, 3}
        Grey or RGB.
    training_range : tuple of two floats
        What black and white were in training.
    predicts : {"noise", "image", "velocity"}
        What a diffusion model returns.
    """

    network: nn.Module
    schedule: Schedule | None
    taps: Sequence[str]
    image_size: int
    image_channels: int = 3
    training_range: tuple[float, float] = (-1.0, 1.0)
    predicts: Prediction = "noise"


def own_backbone(reference: str, config: JsonObject | None = None) -> Backbone:
    """Return the backbone that a function returns.

    Parameters
    ----------
    reference : str
        "module:function"; the module is looked for in the current folder, too.
    config : mapping, optional
        Keyword arguments of the function.

    Raises
    ------
    TedmError
        If there is no such function, it returns something else, or its taps cannot be levels. What the function itself raises
        comes through as it is: it is the user's own code.
    """
    function = _function(reference)
    try:
        inspect.signature(function).bind(**(config or {}))
    except TypeError as error:
        raise TedmError(f"{reference} cannot be called with the settings {sorted(config or {})}: {error}") from error
    own = function(**(config or {}))
    if not isinstance(own, OwnNetwork):
        raise TedmError(f"{reference} returned {type(own).__name__}; expected a tedm.extract.OwnNetwork")
    return backbone_of(own)


def backbone_of(own: OwnNetwork) -> Backbone:
    """Return a network of the user's own as a backbone; its `sha256` is that of its weights, schedule and taps."""
    if own.image_channels < 1:
        raise TedmError(f"image_channels is {own.image_channels}; a backbone takes images of 1 channel or more")
    own.network.eval()
    network = own.network if own.schedule is not None else _WithoutTimesteps(own.network)
    taps = list(own.taps) if own.schedule is not None else [f"network.{tap}" for tap in own.taps]
    levels, taps_in_order = measure_levels(network, taps, side=own.image_size, channels=own.image_channels)
    schedule = own.schedule or Schedule.without_noise()
    digest = hashlib.sha256(f"{taps_in_order} {schedule.name} {own.image_size} {own.predicts}".encode())
    digest.update(schedule.alphas_cumprod.tobytes())
    for name, tensor in sorted(own.network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=taps_in_order,
        image_size=own.image_size,
        image_channels=own.image_channels,
        size_multiple=max(level.stride for level in levels),
        sha256=digest.hexdigest(),
        step=None,
        training_range=own.training_range,
        predicts=own.predicts,
    )


class _WithoutTimesteps(nn.Module):
    """A network that knows of no timesteps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        output: Tensor = self.network(x)
        return output


def _function(reference: str) -> Callable[..., object]:
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise TedmError(f"{reference!r} names no function; write module:function, my_networks:unet say")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise TedmError(f"{module_name} needs a package that is not installed: {error.name}") from error
        raise TedmError(f"there is no module {module_name}; looked in {here} and in what is installed") from error
    finally:
        sys.path.remove(here)
    function: object = getattr(module, name, None)
    if not callable(function):
        raise TedmError(f"the module {module_name} has no function {name}; it is read from {module.__file__}")
    return function
