"""Layers over whole images that keep little: float16 cells instead of rows, one input a layer instead of every step's.

A batch of whole images has so many rows that memory traffic costs more than arithmetic. The first layer multiplies native
cells and upsamples the product; a ReLU, batch normalisation and linear layer together keep their input alone and work through
it in chunks that stay in the processor's cache, backward too. All are exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d

from tedm.heads.data.rows import RowLayout
from tedm.store.layout import bilinear_matrix
from tedm.store.settings import Upsampling

EPSILON = 1e-5
# Numbers that are in flight at once: on a processor what its cache holds, on a GPU what keeps it busy.
CHUNK = {"cpu": 2**19, "cuda": 2**25}
# Cells are converted to float32 so many at a time; longer sums cost a product less.
CONVERTED = {"cpu": 2**21, "cuda": 2**26}

# Of one image: a tensor of shape (timesteps, draws, side, side, channels) for each level.
Cells = Sequence[Tensor]


def first_layer(
    cells: Sequence[Cells], weight: Tensor, bias: Tensor, size: int, upsampling: Upsampling, rows: RowLayout
) -> Tensor:
    """Apply a linear layer to the rows of whole images, from native cells.

    Parameters
    ----------
    cells : sequence of sequences of tensors of shape (timesteps, draws, side, side, channels)
        Levels of each image, of any floating type.
    weight : tensor of shape (features, width)
    bias : tensor of shape (1, width)
    size : int
        Side of the image in pixels.
    upsampling, rows
        How cells become pixels, and these rows.

    Returns
    -------
    tensor of shape (rows of all images, width)
        One image after the other, in the order of `tedm.heads.data.rows`.
    """
    out: Tensor = _FirstLayer.apply(weight, bias, cells, size, upsampling, rows)  # type: ignore[no-untyped-call]
    return out


def normalised_layer(
    x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """Apply ReLU, batch normalisation and a linear layer.

    Parameters
    ----------
    x : tensor of shape (rows, width)
        Before the ReLU.
    scale, shift : tensors of shape (1, width)
    weight, bias : tensors of shape (width, outputs) and (1, outputs)
    mean, variance : tensors of shape (1, width)
        `statistics(x)`: the gradient takes into account that they follow from `x`.

    Returns
    -------
    tensor of shape (rows, outputs)
    """
    out: Tensor = _NormalisedLayer.apply(x, scale, shift, weight, bias, mean, variance)  # type: ignore[no-untyped-call]
    return out


@torch.no_grad()
def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) variance of relu(x) over rows: two tensors of shape (1, width).

    Chunk by chunk, merged as Chan, Golub and LeVeque (1983, The American Statistician 37:242) do: no difference of large sums.
    """
    count, mean, square = 0, torch.zeros(()), torch.zeros(())
    for start, stop in _chunks(x, CHUNK):
        part, ones = torch.relu(x[start:stop]), x.new_ones(1, stop - start)
        its_mean = ones @ part / (stop - start)  # a product is the fastest way to sum down columns
        its_square = (ones @ part.sub_(its_mean).square_()).double()
        if count == 0:
            mean, square = its_mean.double(), its_square
        else:
            away, together = its_mean.double() - mean, count + stop - start
            mean = mean + away * ((stop - start) / together)
            square = square + its_square + away**2 * (count * (stop - start) / together)
        count += stop - start
    return mean.to(x.dtype), (square / count).to(x.dtype)


def folded_layer(
    scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of batch normalisation and a linear layer together, to be applied to relu(x).

    With f = scale / deviation and o = shift - mean f, these are f W and o W + b. Shapes are those of `normalised_layer`, or
    have a leading axis of members.
    """
    factor = scale * torch.rsqrt(variance + EPSILON)
    return factor.mT * weight, (shift - mean * factor) @ weight + bias


def gradients_of_sums(
    product: Tensor,
    bias_gradient: Tensor,
    scale: Tensor,
    shift: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    count: int,
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Return the gradients of a normalised layer's parameters, and what makes that of its input.

    All follow from two sums over rows. Shapes are those of `normalised_layer`, or have a leading axis of members.

    Parameters
    ----------
    product : tensor of the weight's shape
        relu(x)^T gradient.
    bias_gradient : tensor of the bias's shape
        The gradient, summed.
    scale, shift, weight, mean, variance
        The layer's.
    count : int
        Rows.

    Returns
    -------
    scale, shift, weight : tensors
        Their gradients.
    back, offset, slope : tensors
        The gradient by x is gradient back + offset + slope x where x is above zero, and nothing elsewhere.
    """
    inverse = torch.rsqrt(variance + EPSILON)
    factor = scale * inverse
    weight_gradient = factor.mT * product + (shift - mean * factor).mT * bias_gradient
    shift_gradient = bias_gradient @ weight.mT
    scale_gradient = inverse * ((weight * product).sum(-1).unsqueeze(-2) - mean * shift_gradient)
    # f (d - shift_gradient / n - normalised scale_gradient / n), d being the gradient by the normalised and scaled r
    slope = -factor * inverse * scale_gradient / count
    offset = -factor * shift_gradient / count - slope * mean
    back = (factor.mT * weight).mT.contiguous()
    return (scale_gradient, shift_gradient, weight_gradient), (back, offset, slope)


def working_bytes(images: int, rows_per_image: int, widths: Sequence[int]) -> int:
    """Return the most bytes that a forward and backward pass in float32 has in memory besides cells and weights.

    Parameters
    ----------
    images, rows_per_image : int
    widths : sequence of int
        Of the hidden layers, and the number of classes.
    """
    *hidden, classes = widths
    kept = [sum(hidden[: layer + 1]) for layer in range(len(hidden))]
    # Per row: logits, their softmax and two gradients; or a layer's input, its gradient and that of its output.
    at_most = max(kept[-1] + 4 * classes, *(k + hidden[layer] + widths[layer + 1] for layer, k in enumerate(kept)))
    labels = 8 + 8
    one_image = rows_per_image * hidden[0]  # being upsampled, or pooled
    return images * rows_per_image * (at_most * 4 + labels) + one_image * 4 + (CONVERTED["cpu"] + 2 * CHUNK["cpu"]) * 4


class _FirstLayer(torch.autograd.Function):
    """Products by levels, upsampled; backward, the gradient pooled to each level, then products with its cells."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor, cells: Sequence[Cells], size: int, upsampling: Upsampling, rows: RowLayout
    ) -> Tensor:
        ctx.about = (cells, size, upsampling, rows)
        ctx.shape = weight.shape
        width = weight.shape[1]
        timesteps, draws = cells[0][0].shape[:2]
        lead = timesteps * draws if rows == "share" else draws
        out = bias.new_empty(len(cells) * lead * size**2, width)
        out[:] = bias
        for levels, pixels in zip(cells, out.view(len(cells), lead, size, size, width), strict=True):
            coarse: Tensor | None = None  # product of the levels so far
            groups = _by_side(levels, rows)
            for number, (side, terms) in enumerate(groups):
                small = pixels if side == size else bias.new_zeros(lead, side, side, width)
                if coarse is not None:
                    _spread(coarse, small, upsampling)
                flat = small.view(-1, width)
                for start, stop in _chunks(terms[0][0], CONVERTED):
                    for its_cells, features in terms:
                        flat[start:stop].addmm_(its_cells[start:stop].to(weight.dtype), weight[features])
                # Nearest neighbours of nearest neighbours are nearest neighbours: enlarged from level to level, most of the
                # copying is between small arrays.
                chained = upsampling == "nearest" and number + 1 < len(groups) and groups[number + 1][0] % side == 0
                coarse = small if chained else None
                if side != size and not chained:
                    _spread(small, pixels, upsampling)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cells, size, upsampling, rows = ctx.about
        width = gradient.shape[1]
        weight_gradient = gradient.new_zeros(ctx.shape)
        bias_gradient = _column_sums(gradient)
        for levels, pixels in zip(cells, gradient.view(len(cells), -1, size, size, width), strict=True):
            finest = pixels
            for side, terms in reversed(_by_side(levels, rows)):
                if upsampling == "nearest" and finest.shape[1] % side == 0:
                    small = finest = _pooled(finest, side, upsampling)
                else:
                    small = _pooled(pixels, side, upsampling)
                flat = small.reshape(-1, width)
                for start, stop in _chunks(terms[0][0], CONVERTED):
                    for its_cells, features in terms:
                        weight_gradient[features].addmm_(its_cells[start:stop].to(flat.dtype).T, flat[start:stop])
                del small, flat
        return weight_gradient, bias_gradient, None, None, None, None


class _NormalisedLayer(torch.autograd.Function):
    """With r = relu(x), f = scale / deviation and o = shift - mean f, the output is r (f W) + (o W + b): a product a chunk."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, scale, shift, weight, mean, variance)
        folded, offset = folded_layer(scale, shift, weight, bias, mean, variance)
        out = x.new_empty(len(x), weight.shape[1])
        for start, stop in _chunks(x, CHUNK):
            torch.addmm(offset, torch.relu(x[start:stop]), folded, out=out[start:stop])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, mean, variance = ctx.saved_tensors
        product = torch.zeros_like(weight)
        for start, stop in _chunks(x, CHUNK):
            product.addmm_(torch.relu(x[start:stop]).T, gradient[start:stop])
        bias_gradient = _column_sums(gradient)
        own_gradients, (back, offset, slope) = gradients_of_sums(
            product, bias_gradient, scale, shift, weight, mean, variance, len(x)
        )
        x_gradient = torch.empty_like(x)
        for start, stop in _chunks(x, CHUNK):
            part, own = x[start:stop], x_gradient[start:stop]
            torch.addmm(offset, gradient[start:stop], back, out=own)
            own.addcmul_(part, slope)  # where part is negative this is wrong, and the next line makes it zero
            torch.ops.aten.threshold_backward.grad_input(own, part, 0, grad_input=own)
        return x_gradient, *own_gradients, bias_gradient, None, None


def _chunks(x: Tensor, numbers: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield parts of the rows of about so many numbers, as suits the kind of device."""
    rows, width = x.shape
    at_once = max(1, numbers[x.device.type] // width)
    for start in range(0, rows, at_once):
        yield start, min(rows, start + at_once)


def _by_side(levels: Cells, rows: RowLayout) -> list[tuple[int, list[tuple[Tensor, slice]]]]:
    """Return sides, the coarsest first, each with the matrices (cells, channels) whose products add up, and their features.

    What has the same side is upsampled once. Concatenated timesteps are matrices of their own.
    """
    timesteps = levels[0].shape[0]
    channels = sum(level.shape[-1] for level in levels)
    groups: dict[int, list[tuple[Tensor, slice]]] = {}
    start = 0
    for level in levels:
        stop, side = start + level.shape[-1], level.shape[2]
        terms = groups.setdefault(side, [])
        if rows == "share":
            terms.append((level.reshape(-1, level.shape[-1]), slice(start, stop)))
        else:
            for timestep in range(timesteps):
                first = timestep * channels
                terms.append((level[timestep].reshape(-1, level.shape[-1]), slice(first + start, first + stop)))
        start = stop
    return sorted(groups.items(), key=lambda group: group[0])


def _spread(cells: Tensor, pixels: Tensor, upsampling: Upsampling) -> None:
    """Add cells of shape (lead, side, side, width), upsampled, to pixels of shape (lead, size, size, width)."""
    lead, side, _, width = cells.shape
    size = pixels.shape[1]
    if upsampling == "nearest":
        stride = size // side
        pixels.view(lead, side, stride, side, stride, width).add_(cells[:, :, None, :, None])
        return
    matrix = torch.tensor(bilinear_matrix(side, size), dtype=cells.dtype, device=cells.device)
    for small, large in zip(cells, pixels, strict=True):
        wide = torch.bmm(matrix.expand(side, size, side), small)  # `@` would fold the batch, by copying
        large.view(size, size * width).addmm_(matrix, wide.view(side, size * width))


def _pooled(pixels: Tensor, side: int, upsampling: Upsampling) -> Tensor:
    """Apply the transpose of `_spread`: from shape (lead, size, size, width) to (lead, side, side, width)."""
    lead, size, _, width = pixels.shape
    if side == size:
        return pixels
    if upsampling == "nearest":  # a divisor of one makes the mean a sum
        return avg_pool2d(pixels.permute(0, 3, 1, 2), size // side, divisor_override=1).permute(0, 2, 3, 1)
    matrix = torch.tensor(bilinear_matrix(side, size).T.copy(), dtype=pixels.dtype, device=pixels.device)
    out = pixels.new_empty(lead, side, side, width)
    for large, small in zip(pixels, out, strict=True):
        torch.matmul(matrix, (matrix @ large.reshape(size, size * width)).view(side, size, width), out=small)
    return out


def _column_sums(rows: Tensor) -> Tensor:
    """Return sums over rows, of shape (1, width)."""
    return rows.sum(0, keepdim=True)
