"""The MLP as a network: several members side by side, the first layer on native cells or on rows.

C -> 128 -> 32 -> classes (256 -> 128 from 30 classes on), ReLU, then batch normalisation after each hidden layer (TEDM,
arXiv:2311.07421; LEDM, arXiv:2112.03126). Every tensor has a leading axis of members, so that an ensemble is one network. The
first layer is linear, and upsampling is too: for whole images it multiplies the levels' own cells and upsamples the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from tedm.heads.rows import RowLayout
from tedm.store.layout import bilinear_matrix
from tedm.store.settings import Upsampling

EPSILON = 1e-5
MOMENTUM = 0.1
MANY_CLASSES = 30


def hidden_sizes(classes: int) -> tuple[int, int]:
    """Widths of the two hidden layers, as LEDM chose them."""
    return (128, 32) if classes < MANY_CLASSES else (256, 128)


class Committee(nn.Module):
    """Members of one architecture, independent of each other.

    Parameters
    ----------
    members : int
        How many.
    features : int
        Length of a row.
    hidden : sequence of int
        Widths of the hidden layers.
    classes : int
        Outputs.
    generator : torch.Generator
        Of the initial weights (torch's defaults for a linear layer), drawn member by member, so that the first members of a
        larger ensemble are those of a smaller one.
    """

    def __init__(self, members: int, features: int, hidden: Sequence[int], classes: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [features, *hidden, classes]
        shapes = list(pairwise(widths))
        drawn = [[_initial(fan_in, fan_out, generator) for fan_in, fan_out in shapes] for _ in range(members)]
        self.weights = nn.ParameterList([torch.stack([m[layer][0] for m in drawn]) for layer in range(len(shapes))])
        self.biases = nn.ParameterList([torch.stack([m[layer][1] for m in drawn]) for layer in range(len(shapes))])
        self.scales = nn.ParameterList([torch.ones(members, 1, width) for width in hidden])
        self.shifts = nn.ParameterList([torch.zeros(members, 1, width) for width in hidden])
        for layer, width in enumerate(hidden):
            self.register_buffer(f"mean_{layer}", torch.zeros(members, 1, width))
            self.register_buffer(f"variance_{layer}", torch.ones(members, 1, width))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits of shape (members, rows, classes) from rows of shape (members, rows, features) or (1, rows, features)."""
        return self.after_first(rows @ self.weights[0])

    def after_first(self, product: Tensor) -> Tensor:
        """Logits from the first layer's product, before its bias: shape (members, rows, width)."""
        x: Tensor = product + self.biases[0]
        for layer in range(len(self.scales)):
            x = self._normalised(torch.relu(x), layer)
            x = x @ self.weights[layer + 1] + self.biases[layer + 1]
        return x

    def first_on_cells(self, cells: Sequence[Tensor], size: int, upsampling: Upsampling, rows: RowLayout) -> Tensor:
        """The first layer's product from native cells.

        Parameters
        ----------
        cells : sequence of tensors of shape (images, timesteps, draws, side, side, channels)
            One for each level.
        size : int
            Side of the image in pixels.

        Returns
        -------
        tensor of shape (members, rows, width)
            Rows of all images, one image after the other, in the order of `tedm.heads.rows`.
        """
        first: Tensor = self.weights[0]
        members, _, width = first.shape
        timesteps = cells[0].shape[1]
        total: Tensor | None = None
        start = 0
        for level in cells:
            channels = level.shape[-1]
            if rows == "share":
                weight = first[:, start : start + channels]
                small = level.reshape(1, -1, channels) @ weight
                small = small.reshape(members, *level.shape[:-1], width)
            else:
                weight = first.reshape(members, timesteps, -1, width)[:, :, start : start + channels]
                small = torch.einsum("ntdyxc,mtch->mndyxh", level, weight)
            large = upsample_tensor(small, size, upsampling)
            total = large if total is None else total + large
            start += channels
        assert total is not None  # a block has a level
        return torch.reshape(total, (members, -1, width))

    @torch.inference_mode()
    def probabilities(self, cells: Sequence[Tensor], size: int, upsampling: Upsampling, rows: RowLayout) -> Tensor:
        """Class probabilities of one image's rows, for prediction.

        The same as a softmax of `after_first(first_on_cells(...))` in evaluation mode, up to rounding: a member and a timestep
        at a time, so that what is in flight stays in the processor's cache, and with each normalisation folded into the layer
        after it.

        Parameters
        ----------
        cells : sequence of tensors of shape (timesteps, draws, side, side, channels)
            One for each level, float32.
        size, upsampling, rows
            As in `first_on_cells`.

        Returns
        -------
        tensor of shape (members, rows, classes)
        """
        layers = self._folded()
        timesteps, draws = cells[0].shape[:2]
        members, _, width = self.weights[0].shape
        per_part = draws * size**2
        if rows == "share":
            parts = [[level[timestep] for level in cells] for timestep in range(timesteps)]
            side_by_side = 1
        else:  # one product a level for all timesteps, not one each
            parts = [[level.permute(1, 2, 3, 0, 4).flatten(3) for level in cells]]
            side_by_side = timesteps
        out = torch.empty(members, len(parts) * per_part, layers[-1][0].shape[-1], device=cells[0].device)
        for member in range(members):
            first = self.weights[0][member].reshape(side_by_side, -1, width)
            for number, part in enumerate(parts):
                x = _first_layer(part, first, self.biases[0][member], size, upsampling)
                for weight, bias in layers:
                    x = torch.addmm(bias[member], x.relu_(), weight[member])
                torch.softmax(x, dim=-1, out=out[member, number * per_part : (number + 1) * per_part])
        return out

    def _folded(self) -> list[tuple[Tensor, Tensor]]:
        """The layers after the first, each with the normalisation before it."""
        layers = []
        for layer in range(len(self.scales)):
            factor = self.scales[layer] * torch.rsqrt(self.get_buffer(f"variance_{layer}") + EPSILON)
            offset = self.shifts[layer] - self.get_buffer(f"mean_{layer}") * factor
            weight = self.weights[layer + 1]
            layers.append((factor.transpose(1, 2) * weight, offset @ weight + self.biases[layer + 1]))
        return layers

    def _normalised(self, x: Tensor, layer: int) -> Tensor:
        mean, variance = self.get_buffer(f"mean_{layer}"), self.get_buffer(f"variance_{layer}")
        if self.training:
            now_variance, now_mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            with torch.no_grad():
                unbiased = now_variance * (x.shape[1] / max(x.shape[1] - 1, 1))
                mean.lerp_(now_mean, MOMENTUM)
                variance.lerp_(unbiased, MOMENTUM)
            mean, variance = now_mean, now_variance
        factor: Tensor = self.scales[layer] * torch.rsqrt(variance + EPSILON)
        normalised: Tensor = x * factor + (self.shifts[layer] - mean * factor)
        return normalised


def _first_layer(cells: Sequence[Tensor], weight: Tensor, bias: Tensor, size: int, upsampling: Upsampling) -> Tensor:
    """One member's first layer for the rows of one part.

    Parameters
    ----------
    cells : sequence of tensors of shape (draws, side, side, timesteps x channels)
        One for each level, of the timesteps that are side by side in a row.
    weight : tensor of shape (timesteps, channels of all levels, width)
    bias : tensor of shape (1, width)

    Returns
    -------
    tensor of shape (draws x size x size, width)
    """
    timesteps, _, width = weight.shape
    draws = cells[0].shape[0]
    total = bias.expand(draws * size**2, width).reshape(draws, size, size, width).clone()
    start = 0
    for level in cells:
        side, channels = level.shape[1], level.shape[-1] // timesteps
        small = level @ weight[:, start : start + channels].reshape(-1, width)
        if upsampling == "nearest":
            stride = size // side
            total.view(draws, side, stride, side, stride, width).add_(small[:, :, None, :, None, :])
        else:
            total.add_(upsample_tensor(small, size, upsampling))
        start += channels
    return total.view(-1, width)


def upsample_tensor(cells: Tensor, size: int, upsampling: Upsampling) -> Tensor:
    """`tedm.store.layout.upsample` for tensors of shape (..., side, side, channels)."""
    *lead, side, _, channels = cells.shape
    if side == size:
        return cells
    stride = size // side
    if upsampling == "nearest":
        patches = cells[..., :, None, :, None, :].expand(*lead, side, stride, side, stride, channels)
        return patches.reshape(*lead, size, size, channels)
    matrix = torch.tensor(bilinear_matrix(side, size), dtype=cells.dtype, device=cells.device)
    wide = (matrix @ cells).reshape(*lead, side, size * channels)
    return (matrix @ wide).reshape(*lead, size, size, channels)


def _initial(fan_in: int, fan_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """torch's default for `nn.Linear`: uniform within 1 / sqrt(fan_in)."""
    bound = fan_in**-0.5
    weight = (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * bound
    bias = (torch.rand(1, fan_out, generator=generator) * 2 - 1) * bound
    return weight, bias
