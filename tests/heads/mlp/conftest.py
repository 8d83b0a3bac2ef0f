"""Networks that tests of the MLP share, and torch's own layers with their numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tedm.heads.mlp.network import Committee


def _committee(members: int, features: int, classes: int = 3, hidden: tuple[int, ...] = (6, 4), seed: int = 0) -> Committee:
    generator = torch.Generator().manual_seed(seed)
    network = Committee(members, features, hidden, classes, generator)
    with torch.no_grad():
        running = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        for tensor in (*network.scales, *network.shifts, *running):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network


@pytest.fixture
def committee() -> Callable[..., Committee]:
    """Makes a network with scales, shifts and running statistics that are not the initial ones."""
    return _committee


def _references(network: Committee) -> list[nn.Sequential]:
    out = []
    for member in range(len(network.weights[0])):
        layers: list[nn.Module] = []
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            linear = nn.Linear(*weight.shape[1:])
            linear.weight.data, linear.bias.data = weight[member].detach().T.clone(), bias[member, 0].detach().clone()
            layers.append(linear)
            if layer < len(network.scales):
                norm = nn.BatchNorm1d(weight.shape[2])
                norm.weight.data = network.scales[layer][member, 0].detach().clone()
                norm.bias.data = network.shifts[layer][member, 0].detach().clone()
                norm.running_mean = network.get_buffer(f"mean_{layer}")[member, 0].clone()
                norm.running_var = network.get_buffer(f"variance_{layer}")[member, 0].clone()
                layers += [nn.ReLU(), norm]
        out.append(nn.Sequential(*layers))
    return out


@pytest.fixture
def references() -> Callable[[Committee], list[nn.Sequential]]:
    """Gives each member of a network as torch's own layers with the same numbers."""
    return _references
