"""The UNet of OpenAI's improved-diffusion and guided-diffusion.

Residual blocks that see the timestep, attention at chosen resolutions, and a skip connection from every block of the encoder to
its counterpart in the decoder (Nichol and Dhariwal 2021, arXiv:2102.09672; Dhariwal and Nichol 2021, arXiv:2105.05233). Written
for this project; the names of modules are those of the published checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tedm.errors import TedmError

GROUPS = 32


@dataclass(frozen=True)
class Shape:
    """What decides the tensors of the network, and what is done with them.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of images and of the output; twice as many where variances are learned.
    model_channels : int
        Length of the timestep's embedding, and the unit of `channel_mult`.
    first_channels : int
        Channels of the first convolution's output.
    num_res_blocks : int
        Residual blocks of a stage of the encoder; the decoder's stages have one more.
    channel_mult : tuple of float
        Channels of each stage, finest first, in units of `model_channels`.
    attention_at : tuple of int
        Strides at which blocks have attention (the middle always has).
    num_heads, num_heads_upsample : int
        Attention heads of the encoder and the middle, and of the decoder; for `num_head_channels` 0.
    num_head_channels : int
        Channels of a head, or 0 for a fixed number of heads.
    new_attention_order : bool
        Whether queries, keys and values are split before heads are.
    scale_shift_norm : bool
        Whether the timestep scales and shifts, or is added.
    resblock_updown : bool
        Whether residual blocks halve and double.
    conv_resample : bool
        Whether halving and doubling convolve, without `resblock_updown`.
    num_classes : int
        Classes that the network is conditional on; 0 for none.
    """

    in_channels: int
    out_channels: int
    model_channels: int
    first_channels: int
    num_res_blocks: int
    channel_mult: tuple[float, ...]
    attention_at: tuple[int, ...]
    num_heads: int
    num_heads_upsample: int
    num_head_channels: int = 0
    new_attention_order: bool = False
    scale_shift_norm: bool = False
    resblock_updown: bool = False
    conv_resample: bool = True
    num_classes: int = 0


class OpenaiUNet(nn.Module):
    """The noise-predicting UNet.

    Parameters
    ----------
    shape : Shape
        The architecture.
    class_label : int
        The class that all images are said to be of, where the network asks for one.
    timestep_scale : float
        What timesteps are multiplied by before they are embedded.

    Raises
    ------
    TedmError
        If channels cannot be divided into groups or heads.
    """

    # eight bits cannot tell timestep 800 from 801
    kept_in_float32 = ("time_embed.", "label_emb.")

    def __init__(self, shape: Shape, *, class_label: int = 0, timestep_scale: float = 1.0) -> None:
        super().__init__()
        self.shape, self.class_label, self.timestep_scale = shape, class_label, timestep_scale
        times = shape.model_channels * 4
        self.time_embed = nn.Sequential(nn.Linear(shape.model_channels, times), nn.SiLU(), nn.Linear(times, times))
        if shape.num_classes:
            self.label_emb = nn.Embedding(shape.num_classes, times)

        def residual(inputs: int, outputs: int, resample: str = "") -> _ResBlock:
            return _ResBlock(inputs, outputs, times, shape.scale_shift_norm, resample)

        def attention(channels: int, heads: int) -> _Attention:
            heads = channels // shape.num_head_channels if shape.num_head_channels else heads
            return _Attention(channels, heads, shape.new_attention_order)

        channels = shape.first_channels
        self.input_blocks = nn.ModuleList([_Block(nn.Conv2d(shape.in_channels, channels, 3, padding=1))])
        skips = [channels]
        stages = [int(multiplier * shape.model_channels) for multiplier in shape.channel_mult]
        for stage, wider in enumerate(stages):
            for _ in range(shape.num_res_blocks):
                parts: list[nn.Module] = [residual(channels, wider)]
                channels = wider
                if 2**stage in shape.attention_at:
                    parts.append(attention(channels, shape.num_heads))
                self.input_blocks.append(_Block(*parts))
                skips.append(channels)
            if stage < len(stages) - 1:
                half = (
                    residual(channels, channels, "down")
                    if shape.resblock_updown
                    else _Downsample(channels, shape.conv_resample)
                )
                self.input_blocks.append(_Block(half))
                skips.append(channels)
        middle = [residual(channels, channels), attention(channels, shape.num_heads), residual(channels, channels)]
        self.middle_block = _Block(*middle)
        self.output_blocks = nn.ModuleList()
        outputs = []
        for stage, wider in reversed(list(enumerate(stages))):
            for index in range(shape.num_res_blocks + 1):
                parts = [residual(channels + skips.pop(), wider)]
                channels, stride = wider, 2**stage
                if stride in shape.attention_at:
                    parts.append(attention(channels, shape.num_heads_upsample))
                if stage and index == shape.num_res_blocks:
                    double = (
                        residual(channels, channels, "up")
                        if shape.resblock_updown
                        else _Upsample(channels, shape.conv_resample)
                    )
                    parts.append(double)
                    stride //= 2
                self.output_blocks.append(_Block(*parts))
                outputs.append((channels, stride))
        self.outputs: Sequence[tuple[int, int]] = tuple(outputs)
        """Channels and stride of each output block."""
        self.out = nn.Sequential(_norm(channels), nn.SiLU(), nn.Conv2d(channels, shape.out_channels, 3, padding=1))

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) and (B,) to (B, out_channels, H, W); H and W multiples of 2 ** (stages - 1)."""
        times = self.time_embed(_sinusoids(timesteps.float() * self.timestep_scale, self.shape.model_channels))
        if self.shape.num_classes:
            times = times + self.label_emb.weight[self.class_label]
        times = times.to(x.dtype)
        skips = []
        for block in self.input_blocks:
            x = block(x, times)
            skips.append(x)
        x = self.middle_block(x, times)
        for block in self.output_blocks:
            x = block(torch.cat((x, skips.pop()), dim=1), times)
        output: Tensor = self.out(x)
        return output


def _sinusoids(timesteps: Tensor, width: int) -> Tensor:
    """Map timesteps (B,) to (B, width) cosines and sines, in float32."""
    pairs = width // 2
    rates = torch.exp(torch.arange(pairs, dtype=torch.float32, device=timesteps.device) * (-math.log(10000) / pairs))
    angles = timesteps[:, None] * rates
    return F.pad(torch.cat((angles.cos(), angles.sin()), dim=1), (0, width % 2))


def _norm(channels: int) -> nn.GroupNorm:
    if channels % GROUPS:
        raise TedmError(f"{channels} channels cannot be normalised in {GROUPS} groups; no network of this kind has them")
    return nn.GroupNorm(GROUPS, channels)


class _Block(nn.Sequential):
    """Modules one after the other, those that see the timestep with it."""

    def forward(self, x: Tensor, times: Tensor) -> Tensor:  # type: ignore[override]
        for part in self:
            x = part(x, times) if isinstance(part, _ResBlock) else part(x)
        return x


class _Downsample(nn.Module):
    """Half the side, by a convolution or by the mean of four."""

    def __init__(self, channels: int, convolve: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if convolve else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.op(x)
        return output


class _Upsample(nn.Module):
    """Twice the side, by copies and perhaps a convolution."""

    def __init__(self, channels: int, convolve: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if convolve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return output


class _ResBlock(nn.Module):
    """Two convolutions, the timestep between them, beside a shortcut; both are resampled where asked."""

    def __init__(self, inputs: int, outputs: int, times: int, scale_shift: bool, resample: str) -> None:
        super().__init__()
        self.scale_shift, self.resample = scale_shift, resample
        self.in_layers = nn.Sequential(_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(times, outputs * (2 if scale_shift else 1)))
        # the third of these was a dropout in training, and gives the fourth its name
        last = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.out_layers = nn.Sequential(_norm(outputs), nn.SiLU(), nn.Identity(), last)
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        norm, activation, convolution = self.in_layers
        inside = convolution(self._resampled(activation(norm(x))))
        given = self.emb_layers(times)[:, :, None, None]
        if self.scale_shift:
            scale, shift = given.chunk(2, dim=1)
            inside = self.out_layers[1:](self.out_layers[0](inside) * (1 + scale) + shift)
        else:
            inside = self.out_layers(inside + given)
        output: Tensor = self.skip_connection(self._resampled(x)) + inside
        return output

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x


class _Attention(nn.Module):
    """Attention of every pixel to every pixel, beside a shortcut.

    The channels of `qkv` are, in the old order, head by head its queries, keys and values; in the new one all queries, then all
    keys, then all values. The tensors are of the same shapes.
    """

    def __init__(self, channels: int, heads: int, new_order: bool) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise TedmError(
                f"{channels} channels cannot be divided among {heads} attention heads; correct num_heads or num_head_channels"
            )
        self.heads, self.new_order = heads, new_order
        self.norm = _norm(channels)
        self.qkv = nn.Conv1d(channels, channels * 3, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        pixels = x.reshape(batch, channels, height * width)
        qkv = self.qkv(self.norm(pixels))
        if self.new_order:
            parts = qkv.view(batch, 3, self.heads, -1, height * width).unbind(1)
        else:
            parts = qkv.view(batch, self.heads, 3, -1, height * width).unbind(2)
        queries, keys, values = (part.transpose(2, 3) for part in parts)
        mixed = F.scaled_dot_product_attention(queries, keys, values).transpose(2, 3)
        output: Tensor = (pixels + self.proj_out(mixed.reshape(batch, channels, -1))).view(batch, channels, height, width)
        return output
