"""Networks whose code is another package's: found if it is installed, wrapped, and called as that package calls them.

No file of the package is touched, and none of its readers is used: it gets settings and makes a network without memory, which
takes the tensors that we have read.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

import torch
from torch import Tensor, nn

from tedm import packages
from tedm.errors import TedmError
from tedm.jsons import JsonObject

from . import config as settings
from .backbone import Prediction
from .family import Content, no_larger_than
from .schedule import MOST_TIMESTEPS, Schedule

T = TypeVar("T")
PREDICTIONS: dict[str, Prediction] = {"epsilon": "noise", "sample": "image", "v_prediction": "velocity"}


def package(module: str, extra: str, content: Content) -> ModuleType:
    """Import a module that a checkpoint needs, of an optional package; see `tedm.packages`."""
    return packages.package(module, extra, f"checkpoint {content.name}")


def on_meta(make: Callable[[], T], content: Content) -> T:
    """Make a network without memory: absurd settings cost nothing.

    Raises
    ------
    TedmError
        If the settings make no network.
    """
    try:
        with torch.device("meta"), no_larger_than(content):
            return make()
    except TedmError:
        raise
    except Exception as error:  # settings can be wrong in as many ways as there are settings
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise TedmError(f"the settings of checkpoint {content.name} make no network: {first}") from error


def decoder_taps(blocks: nn.ModuleList, path: str) -> list[str]:
    """Return a tap after each residual block of a decoder, and after its attention where it has one."""
    taps = []
    for at, block in enumerate(blocks):
        residuals, attentions = block.get_submodule("resnets"), getattr(block, "attentions", None)
        paired = isinstance(attentions, nn.ModuleList) and len(attentions) == len(list(residuals.children()))
        inner = "attentions" if paired else "resnets"
        taps += [f"{path}.{at}.{inner}.{index}" for index in range(len(list(residuals.children())))]
    return taps


def schedule_of(name: str, alphas_cumprod: Tensor, content: Content) -> Schedule:
    """Return the numbers of a package's scheduler, checked."""
    try:
        return Schedule(name, alphas_cumprod.double().numpy())
    except TedmError as error:
        raise TedmError(f"checkpoint {content.name}: {error}") from error


def require_timesteps(name: str, config: JsonObject, content: Content) -> None:
    """Refuse a number of timesteps that no scheduler could write down, before a package makes one."""
    value = config.get(name, 1000)
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= MOST_TIMESTEPS:
        raise settings.wrong(content, name, value, f"a whole number of timesteps from 2 to {MOST_TIMESTEPS}")


def training_range(content: Content) -> tuple[float, float]:
    """Black and white in training: the setting `training_range`, or -1 and 1."""
    value = content.config.get("training_range", [-1.0, 1.0])
    ends = [float(each) for each in value if isinstance(each, (int, float))] if isinstance(value, (list, tuple)) else []
    if not isinstance(value, (list, tuple)) or len(value) != 2 or len(ends) != 2 or not ends[0] < ends[1]:
        raise settings.wrong(content, "training_range", value, "two numbers, the lower first")
    return ends[0], ends[1]


class ThirdPartyNetwork(nn.Module):
    """Another package's UNet, called with images and timesteps alone.

    Parameters
    ----------
    unet : Module
        The network.
    label : int or None
        The class that all images are said to be of.
    """

    def __init__(self, unet: nn.Module, label: int | None = None) -> None:
        super().__init__()
        self.unet, self.label = unet, label

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """Map (B, C, H, W) and (B,) to (B, C, H, W)."""
        labels = {} if self.label is None else {"class_labels": torch.full_like(timesteps, self.label)}
        output = self.unet(x, timesteps, **labels)
        result: Tensor = output if isinstance(output, Tensor) else output.sample
        return result
