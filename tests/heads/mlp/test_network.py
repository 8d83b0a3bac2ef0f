"""The network of an ensemble: each member is torch's own layers, and starts alike in ensembles of all sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tedm.heads.mlp import network as network_module
from tedm.heads.mlp.network import Committee, hidden_sizes, mean_losses
from tedm.store import IGNORE
from tedm.threads import torch_threads


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_member_is_linear_relu_batch_norm_of_torch(committee, references, mode):
    network = committee(2, 5)
    rows = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1)) * 2 + 1
    members = references(network)
    for module in (network, *members):
        module.train(mode == "train")
    for _ in range(3):
        ours = network(rows)
        for member, reference in enumerate(members):
            torch.testing.assert_close(ours[member], reference(rows[member]), rtol=0, atol=1e-5)
    for member, reference in enumerate(members):
        for layer in (0, 1):
            norm = reference[3 * layer + 2]
            torch.testing.assert_close(network.get_buffer(f"mean_{layer}")[member, 0], norm.running_mean)
            torch.testing.assert_close(network.get_buffer(f"variance_{layer}")[member, 0], norm.running_var)
    labels = torch.arange(40) % 3
    nn.functional.cross_entropy(network(rows).transpose(1, 2), labels.expand(2, -1), reduction="sum").backward()
    for member, reference in enumerate(members):
        nn.functional.cross_entropy(reference(rows[member]), labels, reduction="sum").backward()
        torch.testing.assert_close(network.weights[0].grad[member], reference[0].weight.grad.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weight", [None, (0.5, 2.0, 1.0)])
def test_a_step_leaves_the_gradients_and_statistics_of_torchs_own_way_back(committee, weight):
    ours, theirs = committee(2, 5), committee(2, 5)
    rows = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1)) * 2 + 1
    labels, weight = (torch.arange(40) % 3).expand(2, -1), None if weight is None else torch.tensor(weight)
    for _ in range(2):
        losses = ours.train().learn_rows(rows, labels, weight, 0.1)
        expected = mean_losses(theirs.train()(rows), labels, weight, 0.1)
        theirs.zero_grad()
        expected.sum().backward()
        torch.testing.assert_close(losses, expected.detach())
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6, msg=name)
            assert a.grad.stride() == a.stride()
        for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
            torch.testing.assert_close(a, b)
    ours.settle()
    assert ours._steps is None


def test_initial_weights_are_within_torchs_bound_and_fill_it():
    network = Committee(3, 50, (128, 32), 2, torch.Generator().manual_seed(0))
    for tensors_of, fan_in in ((network.weights, (50, 128, 32)), (network.biases, (50, 128, 32))):
        for tensor, fan in zip(tensors_of, fan_in, strict=True):
            assert 0.5 * fan**-0.5 < tensor.abs().max() <= fan**-0.5
    assert hidden_sizes(29) == (128, 32)
    assert hidden_sizes(30) == (256, 128)


def test_a_member_starts_alike_in_ensembles_of_all_sizes():
    three, five = (Committee(n, 7, (6, 4), 3, torch.Generator().manual_seed(9)) for n in (3, 5))
    for ours, theirs in zip(three.parameters(), five.parameters(), strict=True):
        assert torch.equal(ours, theirs[:3])
    assert not torch.equal(five.weights[0][0], five.weights[0][1])


def test_smoothed_labels_are_those_of_torchs_loss(rng):
    logits, labels = torch.from_numpy(rng.normal(size=(2, 50, 3))), torch.from_numpy(rng.integers(3, size=(2, 50)))
    labels[0, :5] = IGNORE
    ours = mean_losses(logits, labels, None, 0.2)
    for member in range(2):
        loss = nn.CrossEntropyLoss(ignore_index=IGNORE, label_smoothing=0.2)(logits[member], labels[member])
        assert float(ours[member]) == pytest.approx(float(loss))


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_probabilities_are_the_same_bits_with_as_many_threads_as_there_are_and_in_little_memory(
    committee, rng, monkeypatch, rows
):
    cells = [torch.from_numpy(rng.normal(size=(3, 2, side, side, 2)).astype(np.float32)) for side in (2, 4)]
    network = committee(2, 4 if rows == "share" else 12)
    found = []
    for count, at_once in ((1, network_module.AT_ONCE), (2, network_module.AT_ONCE), (2, 0)):
        monkeypatch.setattr(network_module, "AT_ONCE", at_once)
        with torch_threads(count):
            found.append(network.eval().probabilities(cells, 4, "nearest", rows))
            assert torch.get_num_threads() == count
    assert found[0].sum(-1).sub(1).abs().max() < 1e-5
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
