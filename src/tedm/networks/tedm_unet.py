"""The UNet of the published TEDM.

Two residual blocks and one linear attention a stage, full attention in the middle, and skip connections from both blocks: the
network of lucidrains' denoising-diffusion-pytorch of 2022, in the version that Rosnati et al. trained (arXiv:2311.07421), with
the names of their checkpoints. (Other versions of that code standardise the convolutions' weights or scale the middle attention
differently, with tensors of the same names.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.text import listed

GROUPS = 8
HEADS, HEAD_CHANNELS = 4, 32
SIMILARITY_SCALE = 16
EPS = 1e-5


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
    timed : bool
        Whether it is told a timestep. Without, it is the network that segments or contrasts: the same layers and names, less
        those that a timestep goes through.

    Raises
    ------
    TedmError
        If a number cannot make a network.
    """

    # eight bits cannot tell timestep 800 from 801
    kept_in_float32 = ("time_mlp.",)

    def __init__(
        self,
        *,
        width: int,
        multipliers: Sequence[int],
        image_channels: int,
        out_channels: int | None = None,
        timed: bool = True,
    ) -> None:
        super().__init__()
        if width < 1 or width % GROUPS:
            raise TedmError(f"a width of {width} channels cannot be normalised in {GROUPS} groups; use a multiple of {GROUPS}")
        if not multipliers or min(multipliers) < 1 or image_channels < 1:
            raise TedmError(
                f"multipliers {listed(multipliers)} and {image_channels} image channels make no network; "
                "use whole numbers of at least one, for example multipliers 1,2,4,8"
            )
        self.width, self.multipliers, self.image_channels = width, tuple(multipliers), image_channels
        self.out_channels = out_channels or image_channels
        times = width * 4 if timed else None
        channels = [width, *(width * multiplier for multiplier in multipliers)]
        stages = list(itertools.pairwise(channels))

        self.init_conv = nn.Conv2d(image_channels, width, 7, padding=3)
        self.time_mlp: nn.Sequential | None = None
        if times is not None:
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

    def forward(self, x: Tensor, timesteps: Tensor | None = None) -> Tensor:
        """Map (B, image_channels, H, W) to (B, out_channels, H, W); H and W multiples of 2 ** (stages - 1).

        Parameters
        ----------
        timesteps : Tensor of shape (B,), or None
            For a network that is told timesteps, and for no other.
        """
        first = self.init_conv(x)
        times = self._times(timesteps, first.dtype)
        x, skips = self._down(first, times)
        return self._up(x, first, skips, times)

    def encode(self, x: Tensor, timesteps: Tensor | None = None) -> Tensor:
        """Map (B, image_channels, H, W) to what the middle makes of it: (B, channels of the last stage, coarsest H, W)."""
        x = self.init_conv(x)
        return self._down(x, self._times(timesteps, x.dtype))[0]

    def decode(self, x: Tensor, stages: int, timesteps: Tensor | None = None) -> Tensor:
        """Map (B, image_channels, H, W) to the output of the attention of one of the first decoder stages.

        Parameters
        ----------
        stages : int
            Decoder stages that are run, at least 1: the tap of the last of them is returned.
        """
        first = self.init_conv(x)
        times = self._times(timesteps, first.dtype)
        x, skips = self._down(first, times)
        for index, (block1, block2, attention, larger) in enumerate(map(_parts, self.ups)):
            x = block1(torch.cat((x, skips.pop()), dim=1), times)
            x = attention(block2(torch.cat((x, skips.pop()), dim=1), times))
            if index == stages - 1:
                break
            x = larger(x)
        return x

    def _times(self, timesteps: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        if self.time_mlp is None:
            return None
        assert timesteps is not None, "this network is told timesteps"
        times: Tensor = self.time_mlp(timesteps).to(dtype)
        return times

    def _down(self, x: Tensor, times: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Run the encoder and the middle on what the first convolution gave."""
        skips = []
        for block1, block2, attention, smaller in map(_parts, self.downs):
            x = block1(x, times)
            skips.append(x)
            x = attention(block2(x, times))
            skips.append(x)
            x = smaller(x)
        return self.mid_block2(self.mid_attn(self.mid_block1(x, times)), times), skips

    def _up(self, x: Tensor, first: Tensor, skips: list[Tensor], times: Tensor | None) -> Tensor:
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
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, pixels.shape[-1:], self.g.flatten(), None, EPS).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Convolution, group normalisation, a scale and a shift where asked, SiLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor, scale_shift: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = self.proj(x)
        if scale_shift is None:
            return F.silu(self.norm(x), inplace=True)
        scale, shift = scale_shift
        if len(x) > 1:
            return F.silu(self.norm(x) * (scale + 1) + shift, inplace=True)
        # one entry: its scale and shift go into the normalisation's own, which saves two passes over the memory
        gain = self.norm.weight * (scale + 1).flatten()
        offset = self.norm.bias * (scale + 1).flatten() + shift.flatten()
        return F.silu(F.group_norm(x, GROUPS, gain, offset, self.norm.eps), inplace=True)


class _ResnetBlock(nn.Module):
    """Two blocks, the first modulated by the timestep if there is one, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, times: int | None) -> None:
        super().__init__()
        self.time_mlp = None if times is None else nn.Sequential(nn.SiLU(), nn.Linear(times, outputs * 2))
        self.block1 = _Block(inputs, outputs)
        self.block2 = _Block(outputs, outputs)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, times: Tensor | None) -> Tensor:
        modulation = None
        if self.time_mlp is not None:
            scale, shift = self.time_mlp(times)[:, :, None, None].chunk(2, dim=1)
            modulation = (scale, shift)
        output: Tensor = self.block2(self.block1(x, modulation))
        output += self.res_conv(x)
        return output


class _LinearAttention(nn.Module):
    """Attention whose cost is linear in the number of pixels (Shen et al. 2018, arXiv:1812.01243).

    What is small is multiplied first: the keys' softmax is divided by its sums, and the output's weights are applied, when the
    pixels have been summed away.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_CHANNELS
        self.to_qkv = nn.Conv2d(channels, inner * 3, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, channels, 1), _Norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        weight, bias = self.to_out.get_parameter("0.weight"), self.to_out.get_parameter("0.bias")
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, -1)
        qkv = F.linear(pixels, self.to_qkv.weight.flatten(1))
        queries, keys, values = qkv.view(batch, height * width, 3, HEADS, HEAD_CHANNELS).unbind(2)
        queries = queries.softmax(dim=3)
        keys = (keys - keys.amax(dim=1, keepdim=True)).exp_()
        context = keys.permute(0, 2, 3, 1) @ values.transpose(1, 2)  # (batch, heads, channels of keys, channels of values)
        context *= HEAD_CHANNELS**-0.5 / (height * width) / keys.sum(dim=1)[..., None]
        by_head = weight.view(-1, HEADS, HEAD_CHANNELS).permute(1, 2, 0)
        out = torch.baddbmm(bias, queries.reshape(batch, height * width, -1), (context @ by_head).flatten(1, 2))
        output: Tensor = self.to_out[1](out.view(batch, height, width, -1).permute(0, 3, 1, 2))
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
        output: Tensor = self.fn(x)
        output += x
        return output


def _attention(channels: int, attention: nn.Module) -> _Residual:
    return _Residual(_Normed(channels, attention))
