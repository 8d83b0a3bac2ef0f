"""Layers over whole images: the same numbers as on dense rows, from less memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tedm.heads.data.rows import dense_rows
from tedm.heads.mlp import layers
from tedm.heads.mlp.layers import EPSILON, first_layer, normalised_layer, statistics, working_bytes
from tedm.heads.mlp.network import Committee, mean_losses
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]
UPSAMPLINGS = ["nearest", "bilinear"]
# The coarsest divides the next but one only; two levels have one side; one is at image resolution.
LEVELS = [(2, 3), (3, 2), (6, 1), (3, 4), (12, 2)]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks whose ends lie inside of an image."""
    monkeypatch.setattr(layers, "CHUNK", {"cpu": 50})
    monkeypatch.setattr(layers, "CONVERTED", {"cpu": 13})


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def images(random_block, upsampling, timesteps=2, draws=2):
    return [random_block(timesteps, draws, LEVELS, 12, upsampling, seed) for seed in (1, 2)]


def cells_of(blocks, dtype=torch.double):
    return [[torch.from_numpy(level).to(dtype) for level in block.cells] for block in blocks]


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("rows", LAYOUTS)
def test_the_first_layer_on_cells_and_its_gradients_equal_those_on_dense_rows(random_block, small_chunks, rows, upsampling):
    blocks = images(random_block, upsampling)
    dense = torch.from_numpy(np.concatenate([dense_rows(block, rows) for block in blocks]))
    weight, bias, target = drawn(dense.shape[1], 5), drawn(1, 5, seed=1), drawn(len(dense), 5, seed=2).detach()
    ours = first_layer(cells_of(blocks), weight, bias, 12, upsampling, rows)
    theirs = dense @ weight + bias
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
    for x, y in zip(*(torch.autograd.grad((z * target).sum(), (weight, bias)) for z in (ours, theirs)), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-10)


def test_relu_norm_linear_and_its_gradients_equal_torchs(small_chunks):
    x, scale, shift = drawn(37, 4), drawn(1, 4, seed=1), drawn(1, 4, seed=2)
    weight, bias, target = drawn(4, 3, seed=3), drawn(1, 3, seed=4), drawn(37, 3, seed=5).detach()
    ours = normalised_layer(x, scale, shift, weight, bias, *statistics(x))
    normalised = nn.functional.batch_norm(torch.relu(x), None, None, scale[0], shift[0], training=True, eps=EPSILON)
    theirs = normalised @ weight + bias
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    of = (x, scale, shift, weight, bias)
    for a, b in zip(*(torch.autograd.grad((z * target).sum(), of) for z in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_a_variance_far_from_zero_keeps_its_digits(small_chunks):
    x = (drawn(1000, 2) * 1e-2 + 100).detach().float()
    mean, variance = statistics(x)
    torch.testing.assert_close(mean[0], x.mean(0))
    torch.testing.assert_close(variance[0].double(), x.double().var(0, correction=0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("class_weight", [None, (0.5, 2.0, 1.0)])
def test_whole_images_teach_what_their_rows_teach(random_block, small_chunks, rows, upsampling, class_weight):
    blocks = images(random_block, upsampling)
    dense = torch.from_numpy(np.concatenate([dense_rows(block, rows) for block in blocks]))
    of_cells, of_rows = (
        Committee(2, dense.shape[1], (6, 4), 3, torch.Generator().manual_seed(0)).double().train() for _ in range(2)
    )
    labels = torch.randint(3, (len(dense),), generator=torch.Generator().manual_seed(1))
    labels[::7] = IGNORE
    weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.double)
    for _ in range(2):  # the second leaves nothing of the first
        ours = of_cells.learn_images(cells_of(blocks), labels, weight, 12, upsampling, rows)
        theirs = mean_losses(of_rows(dense.expand(2, -1, -1)), labels.expand(2, -1), weight)
    theirs.sum().backward()
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-11)
    for parameter, other in zip(of_cells.parameters(), of_rows.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, rtol=0, atol=1e-10)
    for buffer, other in zip(of_cells.buffers(), of_rows.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("class_weight", [None, (0.5, 2.0, 0.0)])
def test_the_loss_is_torchs_for_each_member(class_weight):
    logits, labels = drawn(2, 30, 3).detach(), torch.arange(60).reshape(2, 30) ** 2 % 3
    labels[:, 4:9] = IGNORE
    weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.double)
    ours = mean_losses(logits, labels, weight)
    for member in range(2):
        theirs = nn.functional.cross_entropy(logits[member], labels[member], weight=weight, ignore_index=IGNORE)
        assert float(ours[member]) == pytest.approx(float(theirs), rel=1e-12)
    assert mean_losses(logits, torch.full_like(labels, IGNORE), weight).tolist() == [0, 0]


class Held(torch.utils._python_dispatch.TorchDispatchMode):
    """The most bytes that tensors made since then have held at a time."""

    def __init__(self):
        super().__init__()
        self.alive, self.now, self.most = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive[storage._cdata] = torch.multiprocessing.reductions.StorageWeakRef(storage), storage.nbytes()
        self.alive = {key: (ref, size) for key, (ref, size) in self.alive.items() if not ref.expired()}
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return out


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_step_holds_no_more_than_it_says_whatever_the_members(upsampling):
    cells = [[torch.randn(1, 1, side, side, 8).half() for side in (8, 32, 64)] for _ in range(3)]
    labels = torch.randint(4, (3 * 64**2,))
    most = []
    for members in (1, 4):
        network = Committee(members, 24, (64, 16), 4, torch.Generator().manual_seed(0)).train()
        network.learn_images(cells, labels, None, 64, upsampling, "share")  # gradients are there
        with Held() as held:
            network.learn_images(cells, labels, None, 64, upsampling, "share")
        most.append(held.most)
    rows = 3 * 64**2
    assert 2 * rows * 64 * 4 < most[0] < working_bytes(3, 64**2, (64, 16, 4))
    assert most[0] < 2.6 * rows * 64 * 4 + (2**19 + 2**19) * 4
    assert most[1] < 1.1 * most[0]
