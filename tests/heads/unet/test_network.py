"""The networks: MONAI's DynUNet and TEDM's UNet, their initial weights, and what cannot be one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.base.checkpoint import tensors_of
from tedm.heads.unet.network import NetworkShape, default_multipliers, initial_network, network_on_meta
from tedm.networks.tedm_unet import TedmUNet

DYNUNET = NetworkShape("dynunet", 4, (1, 2, 4), 1, 16, 3)
TEDM = NetworkShape("tedm", 8, (1, 2), 1, 16, 3)
TIMED = NetworkShape("tedm", 8, (1, 2), 1, 16, 3, timestep=1)


@pytest.fixture(autouse=True)
def monai():
    pytest.importorskip("monai", reason="needs the extra `monai`")


@pytest.mark.parametrize("shape", [DYNUNET, TEDM, TIMED])
def test_a_seed_gives_its_weights_and_leaves_torchs_generator_alone(shape):
    before = torch.get_rng_state()
    first, again, other = (tensors_of(initial_network(shape, seed)) for seed in (1, 1, 2))
    network_on_meta(shape)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("shape", [DYNUNET, TEDM, TIMED])
def test_images_become_logits_of_each_class_and_a_class_never_seen_has_no_chance(shape):
    network = initial_network(shape, 0)
    network.get_buffer("seen")[1] = False
    images = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    logits = network(images)
    assert logits.shape == (2, 3, 16, 16)
    assert not logits.softmax(dim=1)[:, 1].any()
    with torch.no_grad():  # from black, -1, to white, 1; a timed one is told its timestep
        told = () if shape.timestep is None else (torch.full((2,), shape.timestep),)
        assert torch.equal(network.unet(images * 2 - 1, *told)[:, 2], logits[:, 2])


def test_the_dynunet_is_monais_with_a_level_for_each_halving():
    from monai.networks.nets import DynUNet

    network = initial_network(NetworkShape("dynunet", 8, default_multipliers("dynunet", 64), 1, 64, 2), 0)
    assert type(network.unet) is DynUNet
    assert network.unet.filters == [8, 16, 32, 64, 128]
    assert network.unet.strides == [1, 2, 2, 2, 2]
    names = [name for name, _ in network.named_parameters()]
    assert not any("skip_layers" in name for name in names)  # the same layers under a second name
    assert sum(tensor.numel() for tensor in network.unet.state_dict().values()) > 1.5 * sum(
        parameter.numel() for parameter in network.parameters()
    )


@pytest.mark.parametrize(
    ("size", "multipliers", "strides"),
    [
        (128, (1, 2, 4, 8, 16, 16), [1, 2, 2, 2, 2, 2]),
        (8, (1, 2, 4), [1, 2, 1]),
        (36, (1, 2, 4), [1, 2, 2]),
        (25, (1, 2, 4), [1, 1, 1]),
    ],
)
def test_levels_follow_from_the_size_of_images(size, multipliers, strides):
    assert default_multipliers("dynunet", size) == multipliers
    shape = NetworkShape("dynunet", 4, multipliers, 1, size, 2)
    assert shape.strides == strides
    assert network_on_meta(shape)(torch.empty((1, 1, size, size), device="meta")).shape == (1, 2, size, size)


def test_tensors_to_start_from_are_taken_and_what_they_lack_stays_random():
    plain, given = initial_network(TEDM, 0), TedmUNet(width=8, multipliers=(1, 2), image_channels=1, timed=False)
    start = {name: tensor for name, tensor in given.named_parameters() if not name.startswith("ups.")}
    network = initial_network(TEDM, 0, start)
    for name, tensor in network.unet.named_parameters():
        random = name.startswith(("ups.", "final_conv."))
        assert torch.equal(tensor, dict((plain.unet if random else given).named_parameters())[name]), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "cannot have the width 0"),
        ({"width": 2**40}, "cannot have the width"),
        ({"width": True}, "cannot have the width True"),
        ({"multipliers": (1, 0, 2)}, r"the multipliers \(1, 0, 2\)"),
        ({"multipliers": (1, 2)}, "dynunet networks have 3 to 10 levels; there are 2 multipliers"),
        ({"multipliers": (1,) * 99}, "there are 99 multipliers"),
        ({"network": "tedm", "image_size": 18}, "images of 18 x 18 pixels cannot be halved 2 times"),
    ],
)
def test_what_makes_no_network_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        NetworkShape(**{**vars(DYNUNET), **changes})


def test_without_monai_it_is_said_what_to_install(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "monai"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(TedmError, match=r"a unet \(MONAI's DynUNet\) needs a package that is not installed .*'tedm\[monai\]'"):
        initial_network(DYNUNET, 0)


def test_the_head_is_imported_without_monai():
    code = "import sys, tedm.heads.unet.head; print('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
