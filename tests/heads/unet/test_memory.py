"""What a step takes is known before, and grows with images and pixels."""

from __future__ import annotations

import pytest
import torch

from tedm.heads.runtime.memory import Budget, BudgetError
from tedm.heads.unet.memory import StepBytes
from tedm.heads.unet.network import NetworkShape, initial_network

SHAPES = [NetworkShape("dynunet", 8, (1, 2, 4), 1, 32, 2), NetworkShape("tedm", 8, (1, 2), 1, 32, 2, timestep=0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_counted_as_what_its_way_back_really_keeps(shape):
    pytest.importorskip("monai", reason="needs the extra `monai`")
    network, kept = initial_network(shape, 0), {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(torch.rand(4, 1, 32, 32))
    real = sum(tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in weights) / 4
    stated = StepBytes.of(shape)
    assert 1.2 * real < stated.image < 3 * real
    assert stated.network == 5 * sum(parameter.nbytes for parameter in network.parameters())


def test_a_budget_below_a_step_is_refused_with_the_batch_that_would_fit():
    step, budget = StepBytes(10**7, 10**8), Budget()
    budget.total, budget.was_given = budget.total - budget.left() + 6 * 10**8, True
    step.require(budget, 5)
    with pytest.raises(BudgetError, match=r"not enough for steps on 16 whole images: .* or --images-per-batch 5 would fit"):
        step.require(budget, 16)
    budget.total -= 55 * 10**7
    with pytest.raises(BudgetError, match=r"the least that would do is --memory \d+MB$"):
        step.require(budget, 16)
