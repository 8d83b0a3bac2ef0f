"""Networks of the user's own, diffusion models or not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from backbone_suite import BackboneSuite, images
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract import OwnNetwork, Schedule
from tedm.extract.backbones import Backbone
from tedm.extract.backbones.custom import backbone_of, own_backbone


class Denoiser(nn.Module):
    """Half the side and back, shifted by the timestep."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, 8, 2, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.times = nn.Embedding(50, 8)
        self.up = nn.ConvTranspose2d(8, channels, 2, stride=2)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        output: Tensor = self.up(torch.relu(self.norm(self.down(x)) + self.times(timesteps)[:, :, None, None]))
        return output


def seeded(make: type[nn.Module] | Any, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = make()
        return network


def encoder_decoder() -> nn.Module:
    """No diffusion model: it takes images and nothing else."""
    down = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*down, nn.Conv2d(8, 16, 3, 2, 1), nn.Upsample(scale_factor=2), nn.Conv2d(16, 2, 1))


def denoiser(**changes: Any) -> OwnNetwork:
    settings = {"taps": ["up", "norm"], "image_size": 16, "image_channels": 1, **changes}
    return OwnNetwork(seeded(Denoiser), Schedule.named("cosine", 50), **settings)


class TestOwnDiffusionModel(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        return backbone_of(denoiser())

    def test_presets_name_levels(self, backbone: Backbone) -> None:
        assert backbone.choose().levels == backbone.levels


class TestOwnEncoderDecoder(BackboneSuite):
    sees_timesteps = False

    def load(self, folder: Path) -> Backbone:
        return backbone_of(OwnNetwork(seeded(encoder_decoder), None, ["3", "4"], image_size=16))

    def test_presets_name_levels(self, backbone: Backbone) -> None:
        assert backbone.choose().levels == backbone.levels

    def test_the_timestep_matters_if_it_should(self, backbone: Backbone) -> None:
        x_0, noise = images(backbone, 2), images(backbone, 2) * 3
        assert backbone.schedule.timesteps_total == 1
        assert torch.equal(backbone.schedule.x_t(x_0, noise, torch.zeros(2, dtype=torch.int64)), x_0)
        with pytest.raises(TedmError, match="--timesteps 0"):
            backbone.schedule.require([1, 10])


def test_levels_are_measured_in_the_order_of_computation() -> None:
    backbone = backbone_of(denoiser())
    assert backbone.taps == ("norm", "up")
    assert [(level.channels, level.stride) for level in backbone.levels] == [(8, 2), (1, 1)]
    assert [level.name for level in backbone.choose("up").levels] == ["level1"]


def test_other_weights_taps_or_schedules_are_other_backbones() -> None:
    ways = [
        denoiser(),
        denoiser(taps=["up"]),
        OwnNetwork(seeded(Denoiser), Schedule.named("linear", 50), ["up", "norm"], 16, 1),
        OwnNetwork(seeded(Denoiser, seed=1), Schedule.named("cosine", 50), ["up", "norm"], 16, 1),
    ]
    assert len({backbone_of(own).sha256 for own in ways}) == 4
    assert backbone_of(denoiser()).sha256 == backbone_of(denoiser()).sha256


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"taps": ["upp"]}, "no module 'upp'; name modules .*: down, norm, times, up"),
        ({"taps": []}, "no taps"),
        ({"taps": ["up", "up"]}, "named twice"),
        ({"taps": ["times"]}, r"'times' returns shape \(1, 8\) for an image of 16 x 16 pixels; expected"),
        ({"image_channels": 3}, "does not run on an image of 16 x 16 pixels and 3 channels"),
        ({"image_channels": 0}, "1 channel or more"),
    ],
)
def test_taps_that_cannot_be_levels_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        backbone_of(denoiser(**changes))


def test_a_function_is_found_in_the_current_folder_and_called_with_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_of_mine.py").write_text(
        "from torch import nn\nfrom tedm.extract import OwnNetwork\n\n\ndef pyramid(width):\n    return OwnNetwork("
        "nn.Sequential(nn.Conv2d(3, width, 4, stride=4)), None, ['0'], image_size=32)\n\n\ndef nothing():\n    return 3\n"
    )
    assert own_backbone("nets_of_mine:pyramid", {"width": 5}).levels[0].channels == 5
    for reference, config, said in (
        ("nets_of_mine:pyramid", {}, "missing a required argument: 'width'"),
        ("nets_of_mine:absent", {}, "has no function absent"),
        ("nets_of_mine:nothing", {}, "returned int; expected a tedm.extract.OwnNetwork"),
        ("nets_of_mine", {}, "write module:function"),
        ("nets_of_others:unet", {}, "there is no module nets_of_others"),
    ):
        with pytest.raises(TedmError, match=said):
            own_backbone(reference, config)


def test_a_package_that_the_module_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_that_need.py").write_text("import a_package_that_is_nowhere\n")
    with pytest.raises(TedmError, match="needs a package that is not installed: a_package_that_is_nowhere"):
        own_backbone("nets_that_need:unet")


class InPlace(nn.Module):
    """Changes what it is given, and gives a view of it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2).relu_()[:, :4]


@pytest.mark.parametrize("after", [nn.ReLU(inplace=True), nn.Dropout(inplace=True), InPlace(), nn.Sigmoid()])
def test_a_level_is_what_its_module_gave_whatever_comes_after_it(after: nn.Module) -> None:
    first = seeded(lambda: nn.Conv2d(3, 8, 3, padding=1))
    network = nn.Sequential(first, after, nn.Identity(), nn.Hardtanh(-0.1, 0.1, inplace=True))
    backbone = backbone_of(OwnNetwork(network, None, ["0", "1", "2", "3"], image_size=16))
    x, timestep = images(backbone, 2), torch.zeros(2, dtype=torch.int64)
    every = backbone.activations(x, timestep)
    for level, found in zip(backbone.levels, every, strict=True):
        assert torch.equal(backbone.with_levels([level.name]).activations(x, timestep)[0], found)
    with torch.no_grad():
        torch.testing.assert_close(every[0], first(x))
    assert every[0].min() < 0
