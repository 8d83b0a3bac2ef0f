"""Layers over rows of random pixels: the same numbers as torch's own, for each member."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from tedm.heads.mlp.layers import EPSILON
from tedm.heads.mlp.network import losses_and_gradient, mean_losses
from tedm.heads.mlp.row_layers import Layers, RowSteps, moments
from tedm.store import IGNORE

MEMBERS, ROWS = 2, 37


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def layers(widths, dtype=torch.double):
    """Layers of two members."""
    of = Layers(
        [drawn(MEMBERS, before, after, seed=after) for before, after in pairwise(widths)],
        [drawn(MEMBERS, 1, after, seed=after + 1) for after in widths[1:]],
        [drawn(MEMBERS, 1, width, seed=width + 2) for width in widths[1:-1]],
        [drawn(MEMBERS, 1, width, seed=width + 3) for width in widths[1:-1]],
    )
    return Layers(*([tensor.detach().to(dtype).requires_grad_() for tensor in tensors_of(of, name)] for name in NAMES))


NAMES = ("weights", "biases", "scales", "shifts")


def tensors_of(of, *names):
    return [tensor for name in names or NAMES for tensor in getattr(of, name)]


@pytest.mark.parametrize("widths", [(4, 3), (4, 5, 3), (4, 6, 5, 1), (8, 8, 8, 3)])
def test_a_step_and_its_gradients_are_those_of_each_member_by_torch(widths):
    of, rows, target = (
        layers(widths),
        drawn(MEMBERS, ROWS, widths[0]).detach(),
        drawn(MEMBERS, ROWS, widths[-1], seed=9).detach(),
    )
    steps = RowSteps(of, rounds=False)
    for _ in range(2):  # the second in the memory of the first
        with torch.no_grad():
            ours = steps.forward(rows).clone()
            gradients = tensors_of(steps.backward(target))
    assert len(steps.statistics()) == len(widths) - 2
    for member in range(MEMBERS):
        own = Layers(*([tensor[member].detach().requires_grad_() for tensor in tensors_of(of, name)] for name in NAMES))
        x = rows[member] @ own.weights[0] + own.biases[0]
        for layer, (mean, variance) in enumerate(steps.statistics()):
            r = torch.relu(x)
            torch.testing.assert_close(mean[member, 0], r.mean(0), rtol=0, atol=1e-12)
            torch.testing.assert_close(variance[member, 0], r.var(0, correction=0), rtol=0, atol=1e-12)
            scale, shift = own.scales[layer][0], own.shifts[layer][0]
            normalised = nn.functional.batch_norm(r, None, None, scale, shift, training=True, eps=EPSILON)
            x = normalised @ own.weights[layer + 1] + own.biases[layer + 1]
        torch.testing.assert_close(ours[member], x, rtol=0, atol=1e-11)
        theirs = torch.autograd.grad((x * target[member]).sum(), tensors_of(own))
        for a, b in zip(gradients, theirs, strict=True):
            torch.testing.assert_close(a[member], b, rtol=1e-10, atol=1e-10)


def test_rounded_factors_change_a_step_by_their_rounding_and_the_last_layer_by_nothing_more():
    of, rows = layers((16, 16, 8, 3), torch.float32), drawn(MEMBERS, ROWS, 16).detach().float()
    target = drawn(MEMBERS, ROWS, 3, seed=9).detach().float()
    found = []
    for rounds in (False, True):
        steps = RowSteps(of, rounds=rounds)
        with torch.no_grad():
            found.append((steps.forward(rows).clone(), *tensors_of(steps.backward(target))))
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert (exact - rounded).abs().max() < 0.1 * exact.abs().max() + 1e-6
    assert not torch.equal(found[0][0], found[1][0])
    of_last_bias = 1 + 3 + 2
    assert torch.equal(found[0][of_last_bias], found[1][of_last_bias])  # the sum of the target


def test_rows_of_the_width_of_a_layer_are_still_there_on_the_way_back():
    of, rows, target = (
        layers((8, 8, 8, 3), torch.float32),
        drawn(MEMBERS, ROWS, 8).detach().float(),
        torch.ones(MEMBERS, ROWS, 3),
    )
    found = []
    for given in (rows, rows.bfloat16()):
        steps = RowSteps(of, rounds=True)
        with torch.no_grad():
            steps.forward(given)
            found.append(steps.backward(target).weights[0])
    assert torch.equal(*found)


def test_moments_far_from_zero_keep_their_digits():
    x = (drawn(2, 1000, 3) * 1e-2 + 100).detach().float()
    mean, variance = moments(x)
    torch.testing.assert_close(mean[:, 0], x.mean(1))
    torch.testing.assert_close(variance[:, 0].double(), x.double().var(1, correction=0), rtol=1e-3, atol=0)


def test_a_unit_that_is_never_on_keeps_gradients_finite():
    of = layers((4, 5, 3))
    of.biases[0].data.fill_(-1e6)
    steps = RowSteps(of, rounds=False)
    with torch.no_grad():
        steps.forward(drawn(MEMBERS, ROWS, 4))
        found = steps.backward(torch.ones(MEMBERS, ROWS, 3, dtype=torch.double))
    assert all(gradient.isfinite().all() for gradient in tensors_of(found))
    assert not found.weights[0].any()


def test_a_loss_of_rows_that_are_neighbours_is_that_of_rows_that_are_not():
    logits, labels = drawn(2, 30, 3).detach(), torch.arange(60).reshape(2, 30) ** 2 % 3
    labels[:, 4:9] = 255
    weight = torch.tensor((0.5, 2.0, 1.0), dtype=torch.double)
    across = logits.mT.contiguous().mT
    ours, theirs = (mean_losses(each, labels, weight, 0.1) for each in (across, logits))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, (0.5, 2.0, 1.0)])
def test_losses_and_their_gradient_are_torchs_to_the_bit(weight, smoothing):
    logits, labels = drawn(2, 3, 30).detach().float().mT, torch.arange(60).reshape(2, 30) ** 2 % 3
    labels[0, 4:9] = IGNORE
    labels[1] = IGNORE  # nothing is labelled there
    weight = None if weight is None else torch.tensor(weight)
    leaf = logits.clone(memory_format=torch.preserve_format).requires_grad_()
    theirs = mean_losses(leaf, labels, weight, smoothing)
    (expected,) = torch.autograd.grad(theirs.sum(), leaf)
    ours, gradient = losses_and_gradient(logits, labels, weight, smoothing)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient, expected)
    assert not gradient[1].any()
