"""What all families share: the content of a checkpoint, the published choices of levels, tensors that fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tedm.errors import TedmError
from tedm.extract.backbones import Content
from tedm.extract.backbones.checkpoint import read_content
from tedm.extract.backbones.family import channel_remarks, fit_tensors, no_larger_than, presets_of
from tedm.store import Level


def blocks(count: int) -> list[Level]:
    """A decoder of so many blocks, two at each stride."""
    return [Level(f"block{index}", 8, 2 ** max(0, (count - 1 - index) // 2)) for index in range(count)]


def test_equal_contents_are_equal_bytes_and_come_back(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.ones(2)}  # b is not contiguous
    one = Content("one", "1", tensors, {"x": 1, "y": [2, 3]}, 7).to_bytes()
    assert (
        one == Content("two", "2", {name: each.clone() for name, each in tensors.items()}, {"y": [2, 3], "x": 1}, 7).to_bytes()
    )
    (tmp_path / "c.safetensors").write_bytes(one)
    again = read_content(tmp_path / "c.safetensors")
    assert (again.config, again.step) == ({"x": 1, "y": [2, 3]}, 7)
    assert torch.equal(again.tensors["b"], tensors["b"])


def test_presets_are_the_published_blocks_as_far_as_they_exist():
    assert presets_of(blocks(14)) == {
        "ledm": ("block5", "block6", "block7", "block8", "block12"),
        "tedm": tuple(f"block{index}" for index in (1, 3, 5, 7, 9, 11, 13)),
    }
    assert list(presets_of(blocks(6))) == ["tedm", "ledm"]  # one block is too few to be the default
    assert list(presets_of(blocks(4))) == ["tedm"]


@pytest.fixture
def network():
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False))


def test_tensors_are_copied_as_float32(network):
    tensors = {f"model.{name}": torch.rand(each.shape, dtype=torch.float64) for name, each in network.state_dict().items()}
    fit_tensors(network, {**tensors, "betas": torch.ones(9)}, prefix="model.", checkpoint="c.pt")
    for name, each in network.state_dict().items():
        assert torch.equal(each, tensors[f"model.{name}"].float())
        assert each.data_ptr() != tensors[f"model.{name}"].data_ptr()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"0.bias": None}, "0.bias: the settings ask for shape (2,), the file does not have this tensor"),
        ({"0.bias": torch.ones(3)}, "0.bias: the settings ask for shape (2,), the file has shape (3,)"),
        ({"2.bias": torch.ones(3)}, "2.bias: the file has shape (3,), the settings ask for no such tensor"),
        ({"0.bias": torch.ones(2, dtype=torch.int64)}, "0.bias: expected floating-point numbers, the file has torch.int64"),
        ({"0.bias": torch.tensor([1.0, float("nan")])}, "weights that are not finite: 1 of 2 in 0.bias"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(network, change, text):
    tensors = {name: torch.rand(each.shape) for name, each in network.state_dict().items()} | change
    with pytest.raises(TedmError) as refused:
        fit_tensors(network, {name: each for name, each in tensors.items() if each is not None}, prefix="", checkpoint="c.pt")
    assert text in str(refused.value)


def test_of_networks_with_other_channels_it_is_said_what_these_should_be():
    assert channel_remarks(1) == channel_remarks(3) == ()
    assert "2 channels, one modality each" in channel_remarks(2)[0]
    assert "a latent-space UNet" in channel_remarks(4)[0]


def test_a_network_that_grows_beyond_the_file_is_stopped_and_no_hook_stays() -> None:
    content = Content("net.pt", "", {"a": torch.ones(1)}, {}, None)
    with pytest.raises(TedmError, match="more parts than its 1 tensors can fill"), no_larger_than(content):
        torch.nn.Sequential(*(torch.nn.Identity() for _ in range(10_000)))
    assert len(torch.nn.Sequential(*(torch.nn.Identity() for _ in range(2000)))) == 2000


def test_weights_of_eight_bits_become_float32() -> None:
    with torch.device("meta"):
        network = torch.nn.Linear(2, 1, bias=False)
    fit_tensors(network, {"weight": torch.tensor([[0.5, 2.0]]).to(torch.float8_e4m3fn)}, prefix="", checkpoint="net.pt")
    assert network.weight.tolist() == [[0.5, 2.0]]


def test_weights_beyond_float32_are_not_finite() -> None:
    with torch.device("meta"):
        network = torch.nn.Linear(2, 1, bias=False)
    with pytest.raises(TedmError, match="not finite: 1 of 2"):
        fit_tensors(network, {"weight": torch.tensor([[0.5, 1e300]], dtype=torch.float64)}, prefix="", checkpoint="net.pt")
