"""The UNet of the published TEDM; its parity with the original is in test_parity.py."""

from __future__ import annotations

import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones.tedm import random_network
from tedm.networks.tedm_unet import TedmUNet

X = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def network() -> TedmUNet:
    return random_network(width=8, multipliers=(1, 2), image_channels=1, seed=3).eval()


def test_the_output_has_the_images_shape_and_depends_on_the_timestep(network):
    with torch.inference_mode():
        early, late = network(X, torch.tensor([3, 3])), network(X, torch.tensor([3, 900]))
    assert early.shape == X.shape
    assert torch.equal(early[0], late[0])
    assert not torch.allclose(early[1], late[1], atol=1e-4)


def test_one_entry_alone_is_close_to_the_same_entry_in_a_batch(network):
    """One entry takes another way through the normalisation, which is equal but for rounding."""
    with torch.inference_mode():
        alone, batch = network(X[:1], torch.tensor([7])), network(X, torch.tensor([7, 7]))
    assert torch.allclose(alone[0], batch[0], atol=1e-5)


def test_weights_are_a_function_of_the_seed_and_torchs_generator_stays(network):
    before = torch.get_rng_state()
    again, other = (random_network(width=8, multipliers=(1, 2), image_channels=1, seed=seed) for seed in (3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again.init_conv.weight, network.init_conv.weight)
    assert not torch.equal(other.init_conv.weight, network.init_conv.weight)


@pytest.mark.parametrize(
    ("width", "multipliers", "text"),
    [(12, (1, 2), "a multiple of 8"), (8, (), "make no network"), (8, (1, 0), "make no network")],
)
def test_numbers_that_make_no_network_are_refused(width, multipliers, text):
    with pytest.raises(TedmError, match=text):
        TedmUNet(width=width, multipliers=multipliers, image_channels=1)


def test_a_network_without_timesteps_has_the_same_layers_less_those_of_time(network):
    plain = TedmUNet(width=8, multipliers=(1, 2), image_channels=1, out_channels=3, timed=False)
    timed = TedmUNet(width=8, multipliers=(1, 2), image_channels=1, out_channels=3)
    names = [name for name in timed.state_dict() if "time_mlp" not in name]
    assert list(plain.state_dict()) == names
    assert len(names) < len(timed.state_dict())
    assert plain(X).shape == (2, 3, 16, 16)


def test_encoder_and_decoder_stages_give_what_the_whole_network_computes_on_its_way(network):
    taken: dict[str, torch.Tensor] = {}
    network.mid_block2.register_forward_hook(lambda _module, _inputs, output: taken.update(middle=output))
    network.ups[0][2].register_forward_hook(lambda _module, _inputs, output: taken.update(first=output))
    network.ups[1][2].register_forward_hook(lambda _module, _inputs, output: taken.update(second=output))
    timesteps = torch.tensor([3, 900])
    with torch.inference_mode():
        network(X, timesteps)
        whole = {name: output.clone() for name, output in taken.items()}
        assert torch.equal(network.encode(X, timesteps), whole["middle"])
        assert torch.equal(network.decode(X, 1, timesteps), whole["first"])
        assert torch.equal(network.decode(X, 2, timesteps), whole["second"])
