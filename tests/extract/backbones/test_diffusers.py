"""Folders of diffusers, against the library's own forward pass."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_suite import BackboneSuite, images, outputs_of

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone

diffusers = pytest.importorskip("diffusers", reason="needs the extra `diffusers`")

TAPS = ["up_blocks.0.attentions.0", "up_blocks.0.attentions.1", "up_blocks.1.resnets.0", "up_blocks.1.resnets.1"]


def unet(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "sample_size": 16,
        "in_channels": 1,
        "out_channels": 1,
        "layers_per_block": 1,
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return diffusers.UNet2DModel(**{**settings, **changes}).eval()


def saved(folder: Path, *, network: Any = None, scheduler: Any = None, ddim: bool = False) -> Path:
    kind = diffusers.DDIMPipeline if ddim else diffusers.DDPMPipeline
    kind(network or unet(), scheduler or diffusers.DDPMScheduler()).save_pretrained(folder / "pipeline")
    return folder / "pipeline"


class TestDiffusers(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        return load_backbone(saved(folder))


def test_activations_are_the_librarys_bit_for_bit(tmp_path: Path) -> None:
    library = unet()
    backbone = load_backbone(saved(tmp_path, network=library))
    assert backbone.taps == tuple(f"unet.{tap}" for tap in TAPS)
    assert [(level.name, level.channels, level.stride) for level in backbone.levels] == [
        ("block0", 32, 2), ("block1", 32, 2), ("block2", 16, 1), ("block3", 16, 1),
    ]  # fmt: skip
    x_t, timesteps = images(backbone, 3), torch.tensor([0, 250, 999])
    modules = [library.get_submodule(tap) for tap in TAPS]
    theirs = outputs_of(modules, lambda entry, timestep: library(entry, timestep), x_t, timesteps)
    for ours, expected in zip(backbone.activations(x_t, timesteps), theirs, strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_the_schedule_is_the_librarys(tmp_path: Path, schedule: str) -> None:
    scheduler = diffusers.DDIMScheduler(beta_schedule=schedule, beta_start=0.001, beta_end=0.015, num_train_timesteps=500)
    backbone = load_backbone(saved(tmp_path, scheduler=scheduler, ddim=True))
    assert backbone.schedule.name == schedule
    np.testing.assert_array_equal(backbone.schedule.alphas_cumprod, scheduler.alphas_cumprod.double().numpy())


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_the_noise_is_what_the_librarys_scheduler_sees(tmp_path: Path, prediction: str) -> None:
    scheduler = diffusers.DDIMScheduler(prediction_type=prediction, clip_sample=False)
    library = unet()
    backbone = load_backbone(saved(tmp_path, network=library, scheduler=scheduler, ddim=True))
    x_t, timestep = images(backbone, 1), torch.tensor([400])
    with torch.inference_mode():
        said = library(x_t, timestep).sample
    scheduler.set_timesteps(1000)
    x_0 = scheduler.step(said, 400, x_t).pred_original_sample
    share = scheduler.alphas_cumprod[400]
    torch.testing.assert_close(backbone.predict_noise(x_t, timestep), (x_t - share.sqrt() * x_0) / (1 - share).sqrt())


def test_a_unet_alone_is_told_its_scheduler(tmp_path: Path) -> None:
    unet().save_pretrained(tmp_path / "alone")
    with pytest.raises(TedmError, match="without a scheduler_config.json.*--backbone-config"):
        load_backbone(tmp_path / "alone")
    backbone = load_backbone(tmp_path / "alone", {"scheduler": {"beta_schedule": "squaredcos_cap_v2"}})
    assert backbone.schedule.name == "squaredcos_cap_v2"


def test_the_unet_of_a_pipeline_finds_the_scheduler_beside_it(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert load_backbone(path / "unet").sha256 == load_backbone(path).sha256


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    path = saved(tmp_path)
    plain = load_backbone(path)
    other = unet()
    other.conv_in.bias.data += 1
    other.save_pretrained(path / "unet_ema")
    averaged = load_backbone(path).network.get_submodule("unet.conv_in")
    assert torch.equal(averaged.bias, plain.network.get_submodule("unet.conv_in").bias + 1)


def test_a_class_is_stated(tmp_path: Path) -> None:
    path = saved(tmp_path, network=unet(num_class_embeds=4))
    with pytest.raises(TedmError, match=r"which of its 4 classes"):
        load_backbone(path)
    ways = [load_backbone(path, {"class_label": label}) for label in (0, 3)]
    one, two = (way.activations(images(way, 1), torch.tensor([5]))[-1] for way in ways)
    assert not torch.equal(one, two)


def changed(folder: Path, file: str, **changes: Any) -> Path:
    path = saved(folder) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder / "pipeline"


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("unet/config.json", {"block_out_channels": [16, 64]}, r"down_blocks.1.\S*: .*\(64,\), the file has shape \(32,\)"),
        ("unet/config.json", {"in_channels": 4}, "the file has shape"),
        ("unet/config.json", {"norm_num_groups": 7}, "make no network"),
        ("unet/config.json", {"sample_size": [16, 24]}, '"image_size": 64'),
        ("unet/config.json", {"sample_size": 15}, "15 x 15 pixels|nearest size"),
        ("unet/config.json", {"kind_of_moon": 1}, "'kind_of_moon', which mean nothing here"),
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "text-conditional, latent-space UNet"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "moon"}, "cannot be made: moon"),
        ("scheduler/scheduler_config.json", {"prediction_type": "moon"}, "predicts 'moon'"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, file: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        load_backbone(changed(tmp_path, file, **changes))


def test_a_score_models_scheduler_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (path / "scheduler/scheduler_config.json").write_text('{"_class_name": "ScoreSdeVeScheduler", "sigma_max": 1348}')
    with pytest.raises(TedmError, match="is a ScoreSdeVeScheduler; only those of DDPM and DDIM"):
        load_backbone(path)


def test_weights_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (path / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(TedmError, match="download the model's weights"):
        load_backbone(path)
    shutil.rmtree(path / "unet")
    with pytest.raises(TedmError, match=r"unet/config.json is not there"):
        load_backbone(path)
