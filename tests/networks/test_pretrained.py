"""Weights to start from."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.networks.pretrained import Pretrained
from tedm.networks.tedm_unet import TedmUNet


def test_they_have_what_makes_the_network_that_they_fit():
    network = TedmUNet(width=8, multipliers=(1, 2), image_channels=2, timed=False)
    weights = Pretrained("global-cl", 8, (1, 2), 2, 16, network.state_dict(), "0" * 64)
    again = TedmUNet(width=weights.width, multipliers=weights.multipliers, image_channels=weights.image_channels, timed=False)
    assert not any(again.load_state_dict(dict(weights.tensors)))


def test_other_images_than_those_that_they_have_seen_are_refused():
    weights = Pretrained("global-cl", 8, (1, 2), 2, 16, {}, "0" * 64)
    weights.require_images(2, 16)
    with pytest.raises(TedmError, match="is for images of 2 channels, and the images here have 1: name a checkpoint"):
        weights.require_images(1, 16)
    with pytest.raises(TedmError, match="is for images of 16 pixels a side, and the images here have 64"):
        weights.require_images(2, 64)
