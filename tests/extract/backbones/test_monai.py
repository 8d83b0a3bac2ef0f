"""State dictionaries of MONAI, against the library's own forward pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_suite import BackboneSuite, images, outputs_of

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone

pytest.importorskip("monai", reason="needs the extra `monai`")

SETTINGS: dict[str, Any] = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "num_res_blocks": 1,
    "channels": [16, 32],
    "attention_levels": [False, True],
    "num_head_channels": 8,
    "norm_num_groups": 8,
}
CONFIG = {**SETTINGS, "image_size": 16, "scheduler": {"schedule": "scaled_linear_beta", "num_train_timesteps": 600}}
TAPS = ["up_blocks.0.attentions.0", "up_blocks.0.attentions.1", "up_blocks.1.resnets.0", "up_blocks.1.resnets.1"]


def unet(**changes: Any) -> torch.nn.Module:
    from monai.networks.nets import DiffusionModelUNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = DiffusionModelUNet(**{**SETTINGS, **changes}).eval()
        for parameter in network.parameters():  # some begin as zeros, with which nothing would be seen
            parameter.data += 0.02 * torch.randn_like(parameter)
    return network


def saved(folder: Path, network: torch.nn.Module | None = None) -> Path:
    torch.save((network or unet()).state_dict(), folder / "unet.pth")
    return folder / "unet.pth"


class TestMonai(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        return load_backbone(saved(folder), CONFIG)


def test_activations_are_the_librarys_bit_for_bit(tmp_path: Path) -> None:
    library = unet()
    backbone = load_backbone(saved(tmp_path, library), CONFIG)
    assert backbone.taps == tuple(f"unet.{tap}" for tap in TAPS)
    x_t, timesteps = images(backbone, 3), torch.tensor([0, 250, 599])
    theirs = outputs_of([library.get_submodule(tap) for tap in TAPS], library, x_t, timesteps)
    for ours, expected in zip(backbone.activations(x_t, timesteps), theirs, strict=True):
        assert torch.equal(ours, expected)


def test_the_schedule_is_the_librarys(tmp_path: Path) -> None:
    from monai.networks.schedulers import DDPMScheduler

    expected = DDPMScheduler(num_train_timesteps=600, schedule="scaled_linear_beta").alphas_cumprod
    found = load_backbone(saved(tmp_path), CONFIG).schedule
    np.testing.assert_array_equal(found.alphas_cumprod, expected.double().numpy())


def test_black_and_white_may_be_zero_and_one(tmp_path: Path) -> None:
    assert load_backbone(saved(tmp_path), CONFIG).training_range == (-1, 1)
    assert load_backbone(saved(tmp_path), {**CONFIG, "training_range": [0, 1]}).training_range == (0, 1)


def test_settings_that_are_missing_are_asked_for_at_once(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="do not tell image_size, channels, attention_levels, num_head_channels, scheduler"):
        load_backbone(saved(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": [16, 64]}, r"down_blocks.1.\S*: the settings ask for shape \(64,\), the file has shape \(32,\)"),
        ({"in_channels": 3}, r"conv_in.conv.weight: the settings ask for shape \(16, 3, 3, 3\), the file has"),
        ({"spatial_dims": 3}, "images of 3 dimensions"),
        ({"with_conditioning": True, "cross_attention_dim": 3}, "conditional on a context"),
        ({"num_res_blox": 1}, "'num_res_blox', which mean nothing"),
        ({"attention_levels": [True]}, "make no network"),
        ({"scheduler": {"schedule": "moon"}}, "cannot be made"),
        ({"scheduler": 3}, "expected an object"),
        ({"training_range": [1, 0]}, "the lower first"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        load_backbone(saved(tmp_path), {**CONFIG, **changes})


def test_a_3d_unet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"is a 3D UNet \(conv_in.conv.weight has shape \(16, 1, 3, 3, 3\)\)"):
        load_backbone(saved(tmp_path, unet(spatial_dims=3)), CONFIG)
