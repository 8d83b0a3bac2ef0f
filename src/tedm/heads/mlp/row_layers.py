"""Steps on rows of random pixels, of all members at once: forward and back by hand, in memory that stays from step to step.

Batches of pixels are small enough to stay in the processor's cache. What costs there is all that is no product: passes over the
rows, and what a general way back keeps account of. A ReLU, batch normalisation and linear layer together take few passes, since
the normalisation is folded into the weights and all that its gradient needs of the rows are two sums. Exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tedm.heads.mlp.layers import folded_layer, gradients_of_sums


@dataclass(frozen=True)
class Layers:
    """The layers of a network: of weights and biases one more than of scales and shifts, which follow a ReLU.

    Parameters
    ----------
    weights : sequence of tensors of shape (members, width before, width)
    biases : sequence of tensors of shape (members, 1, width)
    scales, shifts : sequences of tensors of shape (members, 1, width)
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    scales: Sequence[Tensor]
    shifts: Sequence[Tensor]


class RowSteps:
    """One step after the other, each over as many rows: what they take in memory is taken once.

    Parameters
    ----------
    layers : Layers
    rounds : bool
        Whether all layers but the last multiply in bfloat16, on the way forward and back. Sums are float32 within a product,
        whose result is rounded once more: torch gives no other type than that of the factors. The products that make the
        gradients of hidden layers' weights are float32 all the same: the scale's is a small difference of their sums.
    """

    def __init__(self, layers: Layers, *, rounds: bool) -> None:
        self._layers, self._rounds = layers, rounds
        self._room: dict[tuple[Any, ...], Tensor] = {}
        self._rows = torch.empty(0)
        self._hidden: list[tuple[Tensor, Tensor, Tensor]] = []  # relu(x), its mean and variance, by layer

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits of shape (members, rows, classes) of rows of shape (members, rows, features).

        Behind hidden layers rows are neighbours in memory: better where classes are few, and for a softmax.
        """
        of = self._layers
        self._rows, self._hidden = self._rounded(rows, "rows") if self._rounds else rows, []
        x = self._applied("x0", self._rows, of.weights[0], of.biases[0], rounds=self._rounds)
        for layer, (scale, shift) in enumerate(zip(of.scales, of.shifts, strict=True)):
            r = x.relu_()
            mean, variance = moments(r, self._kept(f"away{layer}", r.shape, r.dtype, r.device))
            self._hidden.append((r, mean, variance))
            folded, offset = folded_layer(scale, shift, of.weights[layer + 1], of.biases[layer + 1], mean, variance)
            if layer + 1 < len(of.scales):
                x = self._applied(f"x{layer + 1}", r, folded, offset, rounds=self._rounds)
            else:
                x = torch.baddbmm(offset.mT, folded.mT, r.mT).mT
        return x

    def statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Return mean and (biased) variance of relu(x) over the rows of `forward`, of shape (members, 1, width), by layer."""
        return [(mean, variance) for _, mean, variance in self._hidden]

    def backward(self, gradient: Tensor) -> Layers:
        """Return the gradients of all layers, of one by the logits of `forward`, of their shape."""
        of = self._layers
        weights, biases, scales, shifts = (
            [torch.empty(0)] * len(those) for those in (of.weights, of.biases, of.scales, of.shifts)
        )
        for layer in reversed(range(len(of.scales))):
            r, mean, variance = self._hidden[layer]
            product = (gradient.mT @ r).mT
            bias = gradient.sum(1, keepdim=True)
            own, (back, offset, slope) = gradients_of_sums(
                product, bias, of.scales[layer], of.shifts[layer], of.weights[layer + 1], mean, variance, r.shape[1]
            )
            scales[layer], shifts[layer], weights[layer + 1], biases[layer + 1] = *own, bias
            rounds = self._rounds and layer + 1 < len(of.scales)
            gradient = self._applied(f"away{layer}", gradient, back, offset, rounds=rounds).addcmul_(r, slope)
            torch.ops.aten.threshold_backward.grad_input(gradient, r, 0, grad_input=gradient)  # nothing where r is not above 0
        if self._rounds:
            weights[0] = torch.bmm(self._rows.mT, self._rounded(gradient)).to(gradient.dtype)
        else:
            weights[0] = torch.bmm(self._rows.mT, gradient)
        biases[0] = gradient.sum(1, keepdim=True)
        return Layers(weights, biases, scales, shifts)

    def _applied(self, name: str, one: Tensor, other: Tensor, offset: Tensor, *, rounds: bool) -> Tensor:
        """Return one other + offset, in the type of the offset."""
        shape = (*one.shape[:2], other.shape[-1])
        out = self._kept(name, shape, offset.dtype, offset.device)
        if not rounds:
            return torch.baddbmm(offset, one, other, out=out)
        product = self._kept("product", shape, torch.bfloat16, offset.device)
        torch.bmm(self._rounded(one), other.to(torch.bfloat16), out=product)
        return out.copy_(product).add_(offset)

    def _rounded(self, factor: Tensor, name: str = "factor") -> Tensor:
        """Return it in bfloat16, until the next of that name is rounded."""
        if factor.dtype == torch.bfloat16:
            return factor
        return self._kept(name, factor.shape, torch.bfloat16, factor.device).copy_(factor)

    def _kept(self, name: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the memory of that name."""
        key = (name, *shape, dtype, device)
        if key not in self._room:
            self._room[key] = torch.empty(shape, dtype=dtype, device=device)
        return self._room[key]


def rounded_product(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a linear layer to the rows of each member, its products and that of its weights' gradient in bfloat16.

    For torch's own way back, and with its sums as `RowSteps` has them.

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


def moments(x: Tensor, away: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) variance over rows: two tensors of shape (members, 1, width).

    In two passes, without a difference of large sums. (torch's `var_mean` over rows takes twenty times as long.)

    Parameters
    ----------
    x : tensor of shape (members, rows, width)
    away : tensor of that shape or None
        Memory to work in.
    """
    mean = x.sum(1, keepdim=True) / x.shape[1]
    if away is None:
        return mean, (x - mean).square().sum(1, keepdim=True) / x.shape[1]
    torch.sub(x, mean, out=away)
    return mean, away.square_().sum(1, keepdim=True) / x.shape[1]


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
