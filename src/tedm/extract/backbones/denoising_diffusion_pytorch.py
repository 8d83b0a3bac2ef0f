"""Milestones of denoising-diffusion-pytorch (`model-N.pt`), as current releases of that package write them.

They hold the whole diffusion object: the UNet's parameters under `model.`, the schedule's buffers beside them. All but the side
of the images can be told from the tensors; what the network predicts, too, since each objective has loss weights of its own.
"""

from __future__ import annotations

from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from tedm.errors import TedmError

from . import config as settings
from .backbone import Backbone, Prediction
from .family import Content, fit_tensors
from .levels import measure_levels
from .schedule import Schedule
from .third_party import on_meta, package

NAME = "denoising-diffusion-pytorch"
LOOKED_FOR = "a milestone of denoising-diffusion-pytorch (model.init_conv.weight, model.mid_attn.to_qkv.weight)"
PREFIX = "model."
OBJECTIVES: dict[str, Prediction] = {"pred_noise": "noise", "pred_x0": "image", "pred_v": "velocity"}
KNOWN = {"image_size", "dim", "dim_mults", "channels", "self_condition", "objective", "auto_normalize"}


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and its attention in the middle."""
    return {f"{PREFIX}init_conv.weight", f"{PREFIX}mid_attn.to_qkv.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """Return the backbone of a milestone.

    Raises
    ------
    TedmError
        If the package is not installed, a setting is missing or unknown, or the settings contradict the tensors.
    """
    needed, example = {"image_size": ("image_size",)}, {"image_size": 128}
    settings.require(content, "a milestone of denoising-diffusion-pytorch", needed, example)
    settings.require_known(content, KNOWN)
    try:
        told = _told(content)
    except (KeyError, IndexError, ValueError) as error:
        raise TedmError(
            f"checkpoint {content.name} is no whole milestone: it lacks {error}; use the file as written"
        ) from error
    library = package("denoising_diffusion_pytorch.denoising_diffusion_pytorch", "milestones", content)
    image_size = settings.integer(content, "image_size")
    unet = on_meta(lambda: library.Unet(**told), content)
    named = {name: tensor for name, tensor in content.tensors.items() if name.startswith(PREFIX)}
    fit_tensors(unet, named, prefix=PREFIX, checkpoint=content.name)
    network = _Milestone(unet)
    stages = len(told["dim_mults"])
    schedule, remark = Schedule.recorded("of the file", *_recorded(content))
    taps = [f"unet.ups.{index}.3.seen" for index in range(stages)]
    levels, taps_in_order = measure_levels(network, taps, side=image_size, channels=told["channels"])
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=taps_in_order,
        image_size=image_size,
        image_channels=told["channels"],
        size_multiple=2 ** (stages - 1),
        sha256=content.sha256,
        step=content.step,
        training_range=(-1.0, 1.0) if settings.boolean(content, "auto_normalize", True) else (0.0, 1.0),
        predicts=_predicts(content),
        presets={"tedm": tuple(level.name for level in levels)},
        remarks=(remark,) if remark else (),
    )


def _recorded(content: Content) -> tuple[Tensor, list[Tensor]]:
    """Return the file's noise schedule, which it has beside its network."""
    buffer = {**content.schedule, **content.tensors}.get("alphas_cumprod")
    if buffer is None:
        raise TedmError(f"checkpoint {content.name} is no whole milestone: it lacks alphas_cumprod; use the file as written")
    return buffer, [buffer]


class _Arguments(TypedDict):
    """What the package's `Unet` is made with, under its names."""

    dim: int
    init_dim: int
    out_dim: int
    dim_mults: tuple[float, ...]
    channels: int
    self_condition: bool
    learned_sinusoidal_cond: bool
    learned_sinusoidal_dim: int
    full_attn: tuple[bool, ...]
    attn_heads: tuple[int, ...]
    attn_dim_head: tuple[int, ...]


def _told(content: Content) -> _Arguments:
    """Return the constructor's settings: what the user says, else what names and shapes tell."""
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in content.tensors.items()}
    stages = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("downs."))
    learned = tensors.get("time_mlp.0.weights")
    width = tensors["time_mlp.1.weight"].shape[0] // 4
    ends = [tensors.get(f"downs.{at}.3.1.weight", tensors.get(f"downs.{at}.3.weight")) for at in range(stages)]
    wide = [int(end.shape[0]) for end in ends if end is not None]
    full = [f"downs.{at}.2.to_out.weight" in tensors for at in range(stages)]
    keys = [tensors[f"downs.{at}.2.mem_kv"].shape for at in range(stages)]
    conditioned = settings.boolean(content, "self_condition", False)
    channels = settings.integer(content, "channels", tensors["init_conv.weight"].shape[1] // (2 if conditioned else 1))
    multipliers = settings.numbers(content, "dim_mults", tuple(each / width for each in wide))
    return {
        "dim": settings.integer(content, "dim", width),
        "init_dim": tensors["init_conv.weight"].shape[0],
        "out_dim": tensors["final_conv.weight"].shape[0],
        "dim_mults": tuple(int(each) if each == int(each) else each for each in multipliers),
        "channels": channels,
        "self_condition": conditioned,
        "learned_sinusoidal_cond": learned is not None,
        "learned_sinusoidal_dim": 16 if learned is None else 2 * len(learned),
        "full_attn": tuple(full),
        "attn_heads": tuple(int(shape[1]) for shape in keys),
        "attn_dim_head": tuple(int(shape[3] if whole else shape[2]) for whole, shape in zip(full, keys, strict=True)),
    }


def _predicts(content: Content) -> Prediction:
    """Return what the network predicts: its loss weights are those of one objective."""
    if "objective" in content.config:
        return OBJECTIVES[settings.one_of(content, "objective", None, tuple(OBJECTIVES))]
    share = _recorded(content)[0].double()
    ratio = share / (1 - share)
    weights = content.tensors.get("loss_weight")
    for objective, expected in (
        ("pred_noise", torch.ones_like(ratio)),
        ("pred_x0", ratio),
        ("pred_v", ratio / (ratio + 1)),
    ):
        if weights is not None and weights.shape == expected.shape and torch.allclose(weights.double(), expected, rtol=1e-2):
            return OBJECTIVES[objective]
    raise TedmError(
        f"checkpoint {content.name} does not tell what its network predicts (its loss was clipped); write "
        '"objective": "pred_noise", "pred_x0" or "pred_v" to the file of --backbone-config'
    )


class _Milestone(nn.Module):
    """The package's UNet, its timesteps embedded in float32, with a place to see a decoder stage's whole output.

    Attention is added to what went into it by the UNet itself, so that no module of the package has the sum for its output; the
    module after it has it for its input.
    """

    kept_in_float32 = ("unet.time_mlp.",)

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        unet.time_mlp = _InFloat32(unet.time_mlp, unet.init_conv)
        for stage in unet.ups:
            after = nn.Sequential()
            after.add_module("seen", nn.Identity())
            after.add_module("then", stage[3])
            stage[3] = after

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """Map (B, C, H, W) and (B,) to (B, C, H, W)."""
        output: Tensor = self.unet(x, timesteps)
        return output


class _InFloat32(nn.Module):
    """A module that computes in float32, its output cast to the type of another."""

    def __init__(self, inner: nn.Module, like: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.like = [like]  # in a list: it is no part of this module

    def forward(self, timesteps: Tensor) -> Tensor:
        weight = self.like[0].weight
        output: Tensor = self.inner(timesteps).to(weight.dtype)
        return output
