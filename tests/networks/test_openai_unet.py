"""OpenAI's UNet; its parity with the original is in test_openai.py."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tedm.errors import TedmError
from tedm.networks.openai_unet import OpenaiUNet, Shape

SHAPE = Shape(
    in_channels=1,
    out_channels=2,
    model_channels=32,
    first_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2),
    attention_at=(2,),
    num_heads=2,
    num_heads_upsample=2,
)
X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(4))


def network(label: int = 0, scale: float = 1.0, **changes) -> OpenaiUNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = OpenaiUNet(dataclasses.replace(SHAPE, **changes), class_label=label, timestep_scale=scale).eval()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return made


@pytest.mark.parametrize(
    "changes", [{}, {"resblock_updown": True}, {"conv_resample": False}, {"scale_shift_norm": True}, {"num_head_channels": 16}]
)
def test_output_blocks_have_the_channels_and_strides_that_are_declared(changes):
    made, seen = network(**changes), []
    for block in made.output_blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append((output.shape[1], 8 // output.shape[2])))
    with torch.inference_mode():
        assert made(X, torch.tensor([1, 9])).shape == (2, 2, 8, 8)
    assert tuple(seen) == tuple(made.outputs)


def test_the_order_of_heads_matters_though_the_tensors_are_the_same():
    old, new = network(), network(new_attention_order=True)
    new.load_state_dict(old.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(old(X, torch.tensor([1, 1])), new(X, torch.tensor([1, 1])))


def test_timesteps_are_scaled():
    with torch.inference_mode():
        assert torch.equal(network(scale=4.0)(X, torch.tensor([2, 5])), network()(X, torch.tensor([8, 20])))


def test_the_class_matters_where_there_are_classes():
    one, other = network(1, num_classes=3), network(2, num_classes=3)
    with torch.inference_mode():
        assert not torch.allclose(one(X, torch.tensor([1, 1])), other(X, torch.tensor([1, 1])))


def test_channels_that_cannot_be_grouped_are_refused():
    with pytest.raises(TedmError, match="48 channels cannot be normalised in 32 groups"):
        network(channel_mult=(1.5,), attention_at=())
