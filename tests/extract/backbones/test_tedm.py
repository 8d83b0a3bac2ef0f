import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_suite import BackboneSuite, images

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone, random_backbone, save_backbone
from tedm.extract.backbones.schedule import MOST_TIMESTEPS, Schedule
from tedm.extract.backbones.tedm import content


class TestTedm(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        save_backbone(random_backbone(multipliers=(1, 2, 4)), folder / "ours.safetensors")
        return load_backbone(folder / "ours.safetensors")


def published(
    path: Path, *, images_of: int = 1, dtype: torch.dtype = torch.float32, schedule: str = "cosine", **changes: Any
) -> Path:
    """A file as the published code writes it: the schedule's roots beside the network, and another network's out_channels."""
    ours = content(random_backbone(image_channels=images_of, schedule=schedule))
    left = torch.tensor(random_backbone(schedule=schedule).schedule.alphas_cumprod)
    buffers = {"sqrt_alphas_cumprod": left.sqrt(), "sqrt_one_minus_alphas_cumprod": (1 - left).sqrt()}
    tensors = {name: each for name, each in ours.tensors.items() if name.startswith("model.")} | buffers
    config = {**ours.config, "out_channels": 1, **changes}
    state = {name: each.float().to(dtype) for name, each in tensors.items()}
    torch.save({"model_state_dict": state, "config": config, "step": 5}, path)
    return path


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_published_out_channels_are_those_of_another_network(tmp_path: Path, channels: int) -> None:
    backbone = load_backbone(published(tmp_path / "net.pt", images_of=channels))
    x_t, timesteps = images(backbone, 2), torch.tensor([5, 500])
    assert (backbone.image_channels, backbone.predict_noise(x_t, timesteps).shape) == (channels, x_t.shape)
    expected = random_backbone(image_channels=channels).activations(x_t, timesteps)
    assert all(torch.equal(*each) for each in zip(backbone.activations(x_t, timesteps), expected, strict=True))


def test_a_network_for_four_modalities_says_so(tmp_path: Path) -> None:
    loaded = load_backbone(published(tmp_path / "net.pt", images_of=4))
    assert "images of 4 channels, one modality each" in " ".join(loaded.remarks)


def test_a_network_with_fewer_channels_out_than_in_is_no_diffusion_model(tmp_path: Path) -> None:
    ours = content(random_backbone(image_channels=3))
    tensors = dict(ours.tensors)
    for name in ("model.final_conv.weight", "model.final_conv.bias"):
        tensors[name] = tensors[name][:1].clone()
    torch.save({"model_state_dict": tensors, "config": dict(ours.config)}, tmp_path / "net.pt")
    with pytest.raises(TedmError, match="returns 1 channels for images of 3 .*a segmentation network"):
        load_backbone(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("objective", "predicts"),
    [("pred_noise", "noise"), ("pred_x_0", "image"), ("pred_x0", "image"), ("pred_v", "velocity")],
)
def test_activations_do_not_depend_on_the_objective_and_the_noise_does(tmp_path: Path, objective: str, predicts: str) -> None:
    backbone, plain = load_backbone(published(tmp_path / "net.pt", objective=objective)), random_backbone()
    x_t, timesteps = images(backbone, 1), torch.tensor([300])
    for one, two in zip(backbone.activations(x_t, timesteps), plain.activations(x_t, timesteps), strict=True):
        assert torch.equal(one, two)
    assert backbone.predicts == predicts
    same = torch.allclose(backbone.predict_noise(x_t, timesteps), plain.predict_noise(x_t, timesteps))
    assert same == (predicts == "noise")
    save_backbone(backbone, tmp_path / "again.safetensors")
    assert load_backbone(tmp_path / "again.safetensors").predicts == predicts


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_schedule_of_16_bits_is_computed_anew_and_that_is_said(tmp_path: Path, dtype: torch.dtype, schedule: str) -> None:
    backbone = load_backbone(published(tmp_path / "net.pt", dtype=dtype, schedule=schedule, beta_schedule=schedule))
    np.testing.assert_array_equal(backbone.schedule.alphas_cumprod, Schedule.named(schedule, 1000).alphas_cumprod)
    kind = str(dtype).removeprefix("torch.")
    assert backbone.remarks == (
        f"the noise schedule was saved in {kind}; it is the {schedule} one, computed anew in full precision",
    )
    assert load_backbone(published(tmp_path / "net.pt")).remarks == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_another_schedule_is_told_in_any_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    with pytest.raises(TedmError, match="the settings ask for a linear schedule"):
        load_backbone(published(tmp_path / "net.pt", dtype=dtype, beta_schedule="linear"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timesteps": 10**12}, f"{10**12} timesteps is none.*{MOST_TIMESTEPS} the most"),
        ({"timesteps": 10**6}, "the file has another"),
        ({"timesteps": 0}, "above zero"),
        ({"img_size": 10**9}, "no diffusion model sees"),
        ({"img_size": 4098}, "no diffusion model sees"),
        ({"dim_mults": [1] * 50_000}, "more parts than its .* tensors can fill"),
        ({"dim_mults": [1] * 200_000}, "are deeper than"),
        ({"dim": 10**300}, "expected a whole number"),
        ({"dim": True}, "expected a whole number"),
        ({"channels": 10**6}, "init_conv.weight"),
        ({"objective": ["pred_noise"]}, "predicts"),
        ({"beta_schedule": "x" * 10**6}, "there is no noise schedule"),
        ({"beta_schedule": {"a": 1}}, "there is no noise schedule"),
    ],
    ids=range(13),
)
def test_settings_that_the_file_cannot_fill_are_refused_before_they_take_memory(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(TedmError, match=said) as refused:
        load_backbone(published(tmp_path / "net.pt", **changes))
    assert len(str(refused.value)) < 3000


def test_remarks_are_kept_when_levels_are_chosen() -> None:
    backbone = dataclasses.replace(random_backbone(), remarks=("a remark",))
    assert backbone.choose("level0").remarks == ("a remark",)
