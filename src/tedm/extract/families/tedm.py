"""The UNet of the published TEDM.

Two residual blocks and one linear attention a stage, full attention in the middle, and skip connections from both blocks: the
network of lucidrains' denoising-diffusion-pytorch of 2022, in the version that Rosnati et al. trained (arXiv:2311.07421), with
the names of their checkpoints. (Other versions of that code standardise the convolutions' weights or scale the middle attention
differently, with tensors of the same names.) Its levels are the outputs of the attention of each decoder stage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.store.settings import Level

from ..backbone import Backbone
from ..schedule import Schedule
from .family import Content, fit_tensors

NAME = "tedm"
LOOKED_FOR = "TEDM's UNet (model.init_conv.weight, model.ups.0.2.fn.fn.to_qkv.weight)"
PREFIX = "model."  # the published file is a diffusion object that has the network as its `model`

GROUPS = 8
HEADS, HEAD_CHANNELS = 4, 32
SIMILARITY_SCALE = 16
EPS = 1e-5


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and its attention in the decoder."""
    return {f"{PREFIX}init_conv.weight", f"{PREFIX}ups.0.2.fn.fn.to_qkv.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """The backbone of a published checkpoint, or of one of ours.

    Raises
    ------
    TedmError
        If a setting is missing or none of its kind, or the settings contradict the tensors.
    """
    width = _integer(content, "dim")
    multipliers = _integers(content, "dim_mults")
    image_channels = _integer(content, "channels")
    schedule = _schedule(content)
    objective = content.config.get("objective", "pred_noise")
    if objective not in ("pred_noise", "pred_x0"):
        raise TedmError(f"checkpoint {content.name} predicts {objective!r}; networks for pred_noise and pred_x0 can be used")
    out_channels = _integer(content, "out_channels") if content.config.get("out_channels") else image_channels
    try:
        with torch.device("meta"):
            network = TedmUNet(width=width, multipliers=multipliers, image_channels=image_channels, out_channels=out_channels)
    except (RuntimeError, OverflowError) as error:  # sizes that torch cannot even write down
        raise TedmError(
            f"the settings of checkpoint {content.name} make no network: width {width}, multipliers {multipliers}, "
            f"{image_channels} channels. Use the file as its training wrote it."
        ) from error
    fit_tensors(network, content.tensors, prefix=PREFIX, checkpoint=content.name)
    return as_backbone(
        network,
        schedule=schedule,
        image_size=_integer(content, "img_size"),
        sha256=content.sha256,
        step=content.step,
        training_range=(-1.0, 1.0) if content.config.get("normalize", True) else (0.0, 1.0),
        predicts="noise" if objective == "pred_noise" else "image",
    )


def content(backbone: Backbone) -> Content:
    """The inverse of `build`: settings under the names of the published checkpoints."""
    network = backbone.network
    if not isinstance(network, TedmUNet):
        raise TypeError(f"expected the network of a {NAME} backbone, got {type(network).__name__}")
    return Content(
        name="",
        sha256=backbone.sha256,
        tensors={
            **{PREFIX + name: tensor.float() for name, tensor in network.state_dict().items()},
            "alphas_cumprod": torch.tensor(backbone.schedule.alphas_cumprod),
        },
        config={
            "family": NAME,
            "dim": network.width,
            "dim_mults": list(network.multipliers),
            "channels": network.image_channels,
            "out_channels": network.out_channels,
            "img_size": backbone.image_size,
            "timesteps": backbone.schedule.timesteps_total,
            "beta_schedule": backbone.schedule.name,
            "objective": "pred_noise" if backbone.predicts == "noise" else "pred_x0",
            "normalize": backbone.training_range == (-1.0, 1.0),
        },
        step=backbone.step,
    )


def as_backbone(
    network: TedmUNet,
    *,
    schedule: Schedule,
    image_size: int,
    sha256: str,
    step: int | None,
    training_range: tuple[float, float] = (-1.0, 1.0),
    predicts: Literal["noise", "image"] = "noise",
) -> Backbone:
    """A network of this family with its levels: level0 is the coarsest, the last has the image's own resolution."""
    stages = len(network.multipliers)
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=tuple(
            Level(f"level{index}", network.width * multiplier, 2 ** (stages - 1 - index))
            for index, multiplier in enumerate(reversed(network.multipliers))
        ),
        taps=tuple(f"ups.{index}.2" for index in range(stages)),
        image_size=image_size,
        image_channels=network.image_channels,
        size_multiple=2 ** (stages - 1),
        sha256=sha256,
        step=step,
        training_range=training_range,
        predicts=predicts,
    )


def random_backbone(
    *,
    image_size: int = 16,
    width: int = 8,
    multipliers: Sequence[int] = (1, 2),
    image_channels: int = 1,
    seed: int = 0,
    timesteps_total: int = 1000,
    schedule: str = "cosine",
) -> Backbone:
    """An untrained backbone: for tests, benchmarks and dry runs.

    Its SHA-256 is that of the file that `save_backbone` makes of it, so it is the same when saved and loaded.

    Parameters
    ----------
    image_size : int
        Side of its images, a multiple of 2 ** (number of multipliers - 1).
    width : int
        Channels of the finest level, a multiple of 8.
    multipliers : sequence of int
        Channels of each stage in units of `width`, finest first; each stage after the first halves the image.
    image_channels : int
        1 for grey, 3 for RGB.
    seed : int
        Of its weights.
    timesteps_total : int
        T.
    schedule : {"cosine", "linear"}
        Its noise schedule.
    """
    network = random_network(width=width, multipliers=multipliers, image_channels=image_channels, seed=seed)
    backbone = as_backbone(
        network, schedule=Schedule.named(schedule, timesteps_total), image_size=image_size, sha256="", step=None
    )
    return dataclasses.replace(backbone, sha256=hashlib.sha256(content(backbone).to_bytes()).hexdigest())


def random_network(*, width: int, multipliers: Sequence[int], image_channels: int, seed: int) -> TedmUNet:
    """A UNet with torch's usual initial weights, a function of `seed`; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TedmUNet(width=width, multipliers=multipliers, image_channels=image_channels)


class TedmUNet(nn.Module):
    """The noise-predicting UNet.

    Parameters
    ----------
    width : int
        Channels of the finest level, a multiple of 8.
    multipliers : sequence of int
        Channels of each stage in units of `width`, finest first.
    image_channels : int
        Channels of the images.
    out_channels : int, optional
        Channels of the output; by default as many as the images have.

    Raises
    ------
    TedmError
        If a number cannot make a network.
    """

    # eight bits cannot tell timestep 800 from 801
    kept_in_float32 = ("time_mlp.",)

    def __init__(self, *, width: int, multipliers: Sequence[int], image_channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        if width < 1 or width % GROUPS:
            raise TedmError(f"a width of {width} channels cannot be normalised in {GROUPS} groups; use a multiple of {GROUPS}")
        if not multipliers or min(multipliers) < 1 or image_channels < 1:
            raise TedmError(
                f"multipliers {', '.join(map(str, multipliers))} and {image_channels} image channels make no network; "
                "use whole numbers of at least one, for example multipliers 1,2,4,8"
            )
        self.width, self.multipliers, self.image_channels = width, tuple(multipliers), image_channels
        self.out_channels = out_channels or image_channels
        times = width * 4
        channels = [width, *(width * multiplier for multiplier in multipliers)]
        stages = list(itertools.pairwise(channels))

        self.init_conv = nn.Conv2d(image_channels, width, 7, padding=3)
        self.time_mlp = nn.Sequential(_Sinusoids(width), nn.Linear(width, times), nn.GELU(), nn.Linear(times, times))
        self.downs = nn.ModuleList()
        for index, (fine, coarse) in enumerate(stages):
            last = index == len(stages) - 1
            smaller = nn.Conv2d(fine, coarse, 3, padding=1) if last else nn.Conv2d(fine, coarse, 4, stride=2, padding=1)
            blocks = [
                _ResnetBlock(fine, fine, times),
                _ResnetBlock(fine, fine, times),
                _attention(fine, _LinearAttention(fine)),
            ]
            self.downs.append(nn.ModuleList([*blocks, smaller]))
        middle = channels[-1]
        self.mid_block1 = _ResnetBlock(middle, middle, times)
        self.mid_attn = _attention(middle, _Attention(middle))
        self.mid_block2 = _ResnetBlock(middle, middle, times)
        self.ups = nn.ModuleList()
        for index, (fine, coarse) in enumerate(reversed(stages)):
            last = index == len(stages) - 1
            conv = nn.Conv2d(coarse, fine, 3, padding=1)
            larger = conv if last else nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv)
            self.ups.append(
                nn.ModuleList(
                    [
                        _ResnetBlock(coarse + fine, coarse, times),
                        _ResnetBlock(coarse + fine, coarse, times),
                        _attention(coarse, _LinearAttention(coarse)),
                        larger,
                    ]
                )
            )
        self.final_res_block = _ResnetBlock(width * 2, width, times)
        self.final_conv = nn.Conv2d(width, self.out_channels, 1)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """From (B, image_channels, H, W) and (B,) to (B, out_channels, H, W); H and W multiples of 2 ** (stages - 1)."""
        x = first = self.init_conv(x)
        times = self.time_mlp(timesteps).to(x.dtype)
        skips = []
        for block1, block2, attention, smaller in map(_parts, self.downs):
            x = block1(x, times)
            skips.append(x)
            x = attention(block2(x, times))
            skips.append(x)
            x = smaller(x)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, times)), times)
        for block1, block2, attention, larger in map(_parts, self.ups):
            x = block1(torch.cat((x, skips.pop()), dim=1), times)
            x = block2(torch.cat((x, skips.pop()), dim=1), times)
            x = larger(attention(x))
        x = self.final_res_block(torch.cat((x, first), dim=1), times)
        output: Tensor = self.final_conv(x)
        return output


def _parts(stage: nn.Module) -> list[nn.Module]:
    return list(stage.children())


class _Sinusoids(nn.Module):
    """Timesteps (B,) to (B, width) sines and cosines, in float32 whatever the network's type."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pairs = width // 2

    def forward(self, timesteps: Tensor) -> Tensor:
        # computed here, not kept as a buffer: the published checkpoints have none
        indices = torch.arange(self.pairs, device=timesteps.device, dtype=torch.float32)
        angles = timesteps.float()[:, None] * torch.exp(indices * -(math.log(10000) / (self.pairs - 1)))
        return torch.cat((angles.sin(), angles.cos()), dim=1)


class _Norm(nn.Module):
    """Layer normalisation over the channels of each pixel, with a gain and no shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * (variance + EPS).rsqrt() * self.g


class _Block(nn.Module):
    """Convolution, group normalisation, a scale and a shift where asked, SiLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor, scale_shift: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            scale, shift = scale_shift
            x = x * (scale + 1) + shift
        return F.silu(x)


class _ResnetBlock(nn.Module):
    """Two blocks, the first modulated by the timestep, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, times: int) -> None:
        super().__init__()
        self.time_mlp = nn.Sequential(nn.SiLU(), nn.Linear(times, outputs * 2))
        self.block1 = _Block(inputs, outputs)
        self.block2 = _Block(outputs, outputs)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        scale, shift = self.time_mlp(times)[:, :, None, None].chunk(2, dim=1)
        output: Tensor = self.block2(self.block1(x, (scale, shift))) + self.res_conv(x)
        return output


class _LinearAttention(nn.Module):
    """Attention whose cost is linear in the number of pixels (Shen et al. 2018, arXiv:1812.01243)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_CHANNELS
        self.to_qkv = nn.Conv2d(channels, inner * 3, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, channels, 1), _Norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        queries, keys, values = _heads(self.to_qkv(x))
        queries = queries.softmax(dim=2) * HEAD_CHANNELS**-0.5
        context = keys.softmax(dim=3) @ (values / (height * width)).transpose(2, 3)
        output: Tensor = self.to_out((context.transpose(2, 3) @ queries).reshape(batch, -1, height, width))
        return output


class _Attention(nn.Module):
    """Attention of every pixel to every pixel, by cosine similarity.

    The published code normalises over the pixels, where one would expect the channels (Henry et al. 2020, arXiv:2010.04245);
    its networks were trained like that, so it is kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_CHANNELS
        self.to_qkv = nn.Conv2d(channels, inner * 3, 1, bias=False)
        self.to_out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        queries, keys, values = _heads(self.to_qkv(x))
        queries, keys = F.normalize(queries, dim=3), F.normalize(keys, dim=3)
        weights = (queries.transpose(2, 3) @ keys * SIMILARITY_SCALE).softmax(dim=3)
        output: Tensor = self.to_out((values @ weights.transpose(2, 3)).reshape(batch, -1, height, width))
        return output


def _heads(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3 x heads x channels, H, W) to three of (B, heads, channels, H x W)."""
    queries, keys, values = (part.reshape(len(part), HEADS, HEAD_CHANNELS, -1) for part in qkv.chunk(3, dim=1))
    return queries, keys, values


class _Normed(nn.Module):
    """A module after a normalisation; the names `fn` and `norm` are the checkpoints'."""

    def __init__(self, channels: int, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        self.norm = _Norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.fn(self.norm(x))
        return output


class _Residual(nn.Module):
    """A module beside a shortcut."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.fn(x) + x
        return output


def _attention(channels: int, attention: nn.Module) -> _Residual:
    return _Residual(_Normed(channels, attention))


def _setting(content: Content, name: str) -> Any:
    if name not in content.config:
        raise TedmError(
            f"checkpoint {content.name} has the tensors of TEDM's UNet but not the setting {name!r}; "
            "use a file that has its training's `config` in it, as the published code writes it"
        )
    return content.config[name]


def _integer(content: Content, name: str) -> int:
    value = _setting(content, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected a whole number above zero")
    return value


def _integers(content: Content, name: str) -> tuple[int, ...]:
    value = _setting(content, name)
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, int) and item > 0 for item in value):
        raise TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected whole numbers above zero")
    return tuple(value)


def _schedule(content: Content) -> Schedule:
    """The schedule that the file holds; a file without one gets the schedule that its settings name.

    The published code computed its schedules in float32, which moves x_t by 1e-5 at small timesteps: the file's own numbers
    are the ones that the network was trained with.
    """
    named = Schedule.named(str(_setting(content, "beta_schedule")), _integer(content, "timesteps"))
    if "alphas_cumprod" in content.tensors:
        key = "alphas_cumprod"
        alphas_cumprod = content.tensors[key].double()
    elif "sqrt_alphas_cumprod" in content.tensors and "sqrt_one_minus_alphas_cumprod" in content.tensors:
        key = "sqrt_alphas_cumprod"
        image, rest = (content.tensors[name].double().square() for name in (key, "sqrt_one_minus_alphas_cumprod"))
        alphas_cumprod = (
            torch.where(image < 0.5, image, 1 - rest) if image.shape == rest.shape else image
        )  # the smaller is exact
    else:
        return named
    found = alphas_cumprod.numpy()
    if found.shape != named.alphas_cumprod.shape or not np.allclose(found, named.alphas_cumprod, rtol=0, atol=1e-5):
        raise TedmError(
            f"the settings of checkpoint {content.name} contradict its tensors\n"
            f"  {key}: the settings ask for a {named.name} schedule of shape {named.alphas_cumprod.shape}, "
            f"the file has another, of shape {found.shape}\nUse the file as its training wrote it."
        )
    return Schedule(named.name, found)
