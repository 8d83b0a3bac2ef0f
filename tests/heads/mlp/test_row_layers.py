"""Layers over rows of random pixels: the same numbers as torch's own, for each member."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tedm.heads.mlp.layers import EPSILON
from tedm.heads.mlp.network import mean_losses
from tedm.heads.mlp.row_layers import moments, normalised_rows


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_relu_norm_linear_of_each_member_and_its_gradients_equal_torchs(outputs, across):
    x, scale, shift = drawn(2, 37, 4), drawn(2, 1, 4, seed=1), drawn(2, 1, 4, seed=2)
    weight, bias, target = drawn(2, 4, outputs, seed=3), drawn(2, 1, outputs, seed=4), drawn(2, 37, outputs, seed=5).detach()
    of = (x, scale, shift, weight, bias)
    ours, mean, variance = normalised_rows(*of, across=across)
    assert ours.shape == target.shape
    assert ours.mT.is_contiguous() or not across
    gradients = torch.autograd.grad((ours * target).sum(), of)
    for member in range(2):
        own = [tensor[member].detach().requires_grad_() for tensor in of]
        r = torch.relu(own[0])
        normalised = nn.functional.batch_norm(r, None, None, own[1][0], own[2][0], training=True, eps=EPSILON)
        theirs = normalised @ own[3] + own[4]
        torch.testing.assert_close(ours[member], theirs, rtol=0, atol=1e-12)
        torch.testing.assert_close(mean[member, 0], r.mean(0), rtol=0, atol=1e-12)
        torch.testing.assert_close(variance[member, 0], r.var(0, correction=0), rtol=0, atol=1e-12)
        for a, b in zip(gradients, torch.autograd.grad((theirs * target[member]).sum(), own), strict=True):
            torch.testing.assert_close(a[member], b, rtol=0, atol=1e-11)


def test_rounded_factors_change_products_by_their_rounding_and_the_gradients_of_sums_by_nothing_more():
    of = tuple(
        drawn(*shape, seed=seed).detach().float().requires_grad_()
        for seed, shape in enumerate(((2, 37, 16), (2, 1, 16), (2, 1, 16), (2, 16, 8), (2, 1, 8)))
    )
    target = drawn(2, 37, 8, seed=9).detach().float()
    found = []
    for rounds in (False, True):
        out, mean, variance = normalised_rows(*of, rounds=rounds)
        found.append((out.detach(), mean, variance, *torch.autograd.grad((out * target).sum(), of)))
    exact, rounded = found
    assert all(each.dtype == torch.float32 for each in rounded)
    for at in (0, 3):  # the output, and the gradient by x
        assert not torch.equal(exact[at], rounded[at])
        assert (exact[at] - rounded[at]).abs().max() < 2.0**-6 * exact[at].abs().max()
    for at in (1, 2, 4, 5, 6, 7):  # statistics, and gradients by the parameters for the same gradient of the output
        assert torch.equal(exact[at], rounded[at])


def test_moments_far_from_zero_keep_their_digits():
    x = (drawn(2, 1000, 3) * 1e-2 + 100).detach().float()
    mean, variance = moments(x)
    torch.testing.assert_close(mean[:, 0], x.mean(1))
    torch.testing.assert_close(variance[:, 0].double(), x.double().var(1, correction=0), rtol=1e-3, atol=0)


def test_a_unit_that_is_never_on_keeps_gradients_finite():
    x = -drawn(1, 20, 2).detach().abs().requires_grad_()
    of = (x, *(drawn(1, 1, 2, seed=seed) for seed in (1, 2)), drawn(1, 2, 3, seed=3), drawn(1, 1, 3, seed=4))
    out, *_ = normalised_rows(*of)
    gradients = torch.autograd.grad(out.square().sum(), of)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[0].any()


def test_a_loss_of_rows_that_are_neighbours_is_that_of_rows_that_are_not():
    logits, labels = drawn(2, 30, 3).detach(), torch.arange(60).reshape(2, 30) ** 2 % 3
    labels[:, 4:9] = 255
    weight = torch.tensor((0.5, 2.0, 1.0), dtype=torch.double)
    across = logits.mT.contiguous().mT
    ours, theirs = (mean_losses(each, labels, weight, 0.1) for each in (across, logits))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
