"""Families of networks: which one gets a checkpoint, and how one of another package joins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tedm.errors import TedmError
from tedm.extract import load_backbone, save_backbone
from tedm.extract.backbones import random_backbone
from tedm.extract.backbones.families import FAMILIES

MODULE = """
from torch import nn

from tedm.extract.backbones import Backbone, Schedule
from tedm.store import Level

NAME = "twolayers"
LOOKED_FOR = "a network of two convolutions (coarse.weight, fine.weight)"


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.coarse, self.fine = nn.Conv2d(1, 3, 2, stride=2), nn.Conv2d(3, 2, 1)
        self.larger = nn.Upsample(scale_factor=2)

    def forward(self, x, timesteps):
        return self.fine(self.larger(self.coarse(x)))


def recognises(content):
    return {"coarse.weight", "fine.weight"} <= content.tensors.keys()


def build(content):
    network = TwoLayers()
    network.load_state_dict(dict(content.tensors))
    return Backbone(
        family=NAME, network=network, schedule=Schedule.named("linear", 100), taps=("coarse", "fine"),
        levels=(Level("coarse", 3, 2), Level("fine", 2, 1)), image_size=8, image_channels=1, size_multiple=2,
        sha256=content.sha256, step=content.step,
    )
"""


def install(folder: Path, module: str, entries: str, *, package: str = "tedm-twolayers") -> None:
    """Write a distribution as an installer leaves it: a module, and metadata with its entry points."""
    name = package.replace("-", "_")
    (folder / f"{name}.py").write_text(module)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tedm.backbones]\n{entries}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("tedm_"):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path) -> Path:
    """A checkpoint of the example's network."""
    generator = torch.Generator().manual_seed(3)
    shapes = {"coarse.weight": (3, 1, 2, 2), "coarse.bias": (3,), "fine.weight": (2, 3, 1, 1), "fine.bias": (2,)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    path = tmp_path / "two.safetensors"
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.mark.parametrize("asked", [None, "twolayers"])
def test_a_family_of_another_package_gets_its_checkpoints(site, file, asked):
    install(site, MODULE, "twolayers = tedm_twolayers")
    backbone = load_backbone(file, family=asked)
    assert backbone.family == "twolayers"
    x_t = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    coarse, fine = backbone.activations(x_t, torch.tensor([1, 5]))
    with torch.inference_mode():
        for of_coarse, of_fine in zip(coarse, fine, strict=True):  # an entry at a time, as the backbone computes on a CPU
            assert torch.equal(of_fine[None], backbone.network.fine(backbone.network.larger(of_coarse[None])))


def test_the_settings_may_name_the_family_and_do_not_change_the_hash(site, file):
    install(site, MODULE, "twolayers = tedm_twolayers")
    assert load_backbone(file, {"family": "twolayers"}).sha256 == load_backbone(file).sha256


def test_no_code_of_others_runs_for_a_checkpoint_that_a_built_in_family_recognises(site, tmp_path):
    install(site, "raise RuntimeError('imported')", "twolayers = tedm_twolayers")
    save_backbone(random_backbone(), tmp_path / "tiny.safetensors")
    assert load_backbone(tmp_path / "tiny.safetensors").family == "tedm"
    assert "tedm_twolayers" not in sys.modules


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("raise RuntimeError('no licence\\nat all')", "import failed with RuntimeError: no licence"),
        (
            "import a_package_that_is_nowhere",
            "import failed with ModuleNotFoundError: No module named 'a_package_that_is_nowhere'",
        ),
        ("NAME = 'x'", "tedm_twolayers has no LOOKED_FOR, recognises, build"),
        (MODULE.replace("network.load_state_dict", "network.load"), "build failed with AttributeError: "),
        (MODULE.replace("return Backbone(", "return dict("), "build returned dict and not a Backbone"),
    ],
)
@pytest.mark.parametrize("asked", [None, "twolayers"])
def test_a_broken_entry_point_is_named_in_one_line(site, file, module, cause, asked):
    install(site, module, "twolayers = tedm_twolayers")
    with pytest.raises(TedmError) as refused:
        load_backbone(file, family=asked)
    (line,) = [line for line in str(refused.value).splitlines() if "entry point" in line]
    assert f"the entry point 'twolayers' of the package tedm-twolayers in tedm.backbones cannot be used: {cause}" in line
    assert line.endswith("mend or uninstall that package")


def test_a_broken_entry_point_does_not_keep_others_from_their_checkpoints(site, file):
    install(site, "raise RuntimeError('imported')", "a = tedm_broken", package="tedm-broken")
    install(site, MODULE, "twolayers = tedm_twolayers")
    assert load_backbone(file).family == "twolayers"


def test_an_unknown_name_is_refused_with_those_that_are_known(site, file):
    install(site, MODULE, "twolayers = tedm_twolayers")
    known = "tedm, openai, diffusers, monai, denoising-diffusion-pytorch, twolayers"
    with pytest.raises(TedmError, match=f"there is no family of backbones 'three'; known are {known}"):
        load_backbone(file, family="three")


def test_a_family_asked_for_by_name_is_the_one_that_refuses(file):
    with pytest.raises(TedmError, match="TEDM's UNet"):
        load_backbone(file, family="tedm")


def test_every_built_in_family_has_a_name_of_its_own():
    assert len({family.NAME for family in FAMILIES}) == len(FAMILIES)
    assert all(family.LOOKED_FOR for family in FAMILIES)
