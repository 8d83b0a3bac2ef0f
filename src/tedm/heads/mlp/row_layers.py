"""Layers on rows of random pixels, of all members at once: little besides the products.

Batches of pixels are small enough to stay in the processor's cache. What costs there are passes over them that are no products:
a ReLU, batch normalisation and linear layer together take few, since the normalisation is folded into the weights and all that
its gradient needs of the rows are two sums. Exact up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tedm.heads.mlp.layers import folded_layer, gradients_of_sums


def normalised_rows(
    x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, *, across: bool = False, rounds: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Apply ReLU, batch normalisation over the rows and a linear layer to the rows of each member.

    Parameters
    ----------
    x : tensor of shape (members, rows, width)
        Before the ReLU.
    scale, shift : tensors of shape (members, 1, width)
    weight, bias : tensors of shape (members, width, outputs) and (members, 1, outputs)
    across : bool
        Whether the rows of an output are neighbours in memory: better where outputs are few, and for a softmax.
    rounds : bool
        Whether the products on the way forward and back multiply in bfloat16, as in `rounded_product`. That of the weights'
        gradient does not: the scale's is a small difference of its sums.

    Returns
    -------
    out : tensor of shape (members, rows, outputs)
    mean, variance : tensors of shape (members, 1, width)
        Of relu(x) over the rows; the variance is the biased one. Without gradients.
    """
    applied = _NormalisedRows.apply(x, scale, shift, weight, bias, across, rounds)  # type: ignore[no-untyped-call]
    out, mean, variance = applied
    return out.mT if across else out, mean, variance


def rounded_product(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a linear layer to the rows of each member, its products and that of its weights' gradient in bfloat16.

    Sums are float32 within a product, whose result is rounded once more: torch gives no other type than that of the factors.

    Parameters
    ----------
    rows : tensor of shape (members, rows, features), bfloat16
    weight, bias : tensors of shape (members, features, width) and (members, 1, width), float32

    Returns
    -------
    tensor of shape (members, rows, width), float32
    """
    out: Tensor = _RoundedProduct.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    return out


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) variance over rows: two tensors of shape (members, 1, width).

    In two passes, without a difference of large sums. (torch's `var_mean` over rows takes twenty times as long.)
    """
    mean = x.sum(1, keepdim=True) / x.shape[1]
    return mean, (x - mean).square().sum(1, keepdim=True) / x.shape[1]


class _RoundedProduct(torch.autograd.Function):
    """Rounded copies of the factors are multiplied; weights, bias and all gradients that leave it are float32."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return torch.bmm(rows, weight.to(rows.dtype)).to(weight.dtype).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        product = torch.bmm(rows.mT, gradient.to(rows.dtype))
        return None, product.to(gradient.dtype), gradient.sum(1, keepdim=True)


class _NormalisedRows(torch.autograd.Function):
    """As `tedm.heads.mlp.layers.normalised_layer`, with members and without chunks; the output is transposed where `across`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, across: bool, rounds: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        r = torch.relu(x)
        mean, variance = moments(r)
        folded, offset = folded_layer(scale, shift, weight, bias, mean, variance)
        out = _product(offset.mT, folded.mT, r.mT, rounds) if across else _product(offset, r, folded, rounds)
        ctx.across, ctx.rounds = across, rounds
        ctx.save_for_backward(r, scale, shift, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        r, scale, shift, weight, mean, variance = ctx.saved_tensors
        gradient = gradient.mT if ctx.across else gradient
        product = (gradient.mT @ r).mT
        bias_gradient = gradient.sum(1, keepdim=True)
        own_gradients, (back, offset, slope) = gradients_of_sums(
            product, bias_gradient, scale, shift, weight, mean, variance, r.shape[1]
        )
        x_gradient = _product(offset, gradient, back, ctx.rounds).addcmul_(r, slope)
        torch.ops.aten.threshold_backward.grad_input(x_gradient, r, 0, grad_input=x_gradient)  # nothing where r is not above 0
        return x_gradient, *own_gradients, bias_gradient, None, None


def _product(offset: Tensor, one: Tensor, other: Tensor, rounds: bool) -> Tensor:
    """Return one other + offset, in float32."""
    if not rounds:
        return torch.baddbmm(offset, one, other)
    return torch.bmm(one.to(torch.bfloat16), other.to(torch.bfloat16)).to(offset.dtype).add_(offset)
