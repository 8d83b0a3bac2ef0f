"""Levels by measuring."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tedm.errors import TedmError
from tedm.extract.backbones.levels import measure_levels
from tedm.store import Level


class Network(nn.Module):
    """Two halvings and one doubling, whose modules are not declared in the order in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.larger = nn.Upsample(scale_factor=2)
        self.first, self.second = nn.Conv2d(1, 4, 2, stride=2), nn.Conv2d(4, 6, 2, stride=2)
        self.idle = nn.Identity()
        self.flat = nn.Flatten()

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        x = self.larger(self.second(self.first(x)))
        self.flat(x)
        return x


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_levels_are_in_the_order_of_computation_whatever_the_order_of_taps(device):
    levels, taps = measure_levels(Network().to(device), ["larger", "second", "first"], side=8, channels=1, name="block")
    assert taps == ("first", "second", "larger")
    assert levels == (Level("block0", 4, 2), Level("block1", 6, 4), Level("block2", 6, 2))


def test_no_hook_stays_behind():
    network = Network()
    measure_levels(network, ["first"], side=8, channels=1)
    assert not network.first._forward_hooks


@pytest.mark.parametrize(
    ("taps", "side", "text"),
    [
        (["absent"], 8, "no module 'absent'"),
        ([], 8, "no taps"),
        (["first", "first"], 8, "a tap named twice"),
        (["idle"], 8, "'idle' runs 0 times"),
        (["flat"], 8, "'flat' returns shape"),
        (["first"], 9, "an image of 9 x 9 pixels; expected"),
        (["first"], 1, "does not run on an image of 1 x 1 pixels and 1 channels"),
    ],
)
def test_taps_that_give_no_level_are_refused(taps, side, text):
    with pytest.raises(TedmError) as refused:
        measure_levels(Network(), taps, side=side, channels=1)
    assert text in str(refused.value)
