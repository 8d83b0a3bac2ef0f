"""OpenAI's UNets: parity with the original, and what the tensors tell of the architecture."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_suite import BackboneSuite, images

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone
from tedm.networks.openai_unet import OpenaiUNet, Shape
from tedm.store.settings import Level

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
SHAPE = Shape(
    in_channels=3,
    out_channels=6,
    model_channels=32,
    first_channels=32,
    num_res_blocks=2,
    channel_mult=(1, 2),
    attention_at=(2,),
    num_heads=2,
    num_heads_upsample=2,
)
CONFIG = {"image_size": 16, "num_heads": 2, "noise_schedule": "linear"}


def random_weights(shape: Shape) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return OpenaiUNet(shape).state_dict()


def saved(folder: Path, shape: Shape = SHAPE, **changes: torch.Tensor) -> Path:
    torch.save({**random_weights(shape), **changes}, folder / "unet.pt")
    return folder / "unet.pt"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(GOLDEN / "guided_diffusion.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def published(golden: dict[str, Any]) -> Backbone:
    config = ast.literal_eval(str(golden["config"]))
    return load_backbone(GOLDEN / "guided_diffusion.pt", {**config, "noise_schedule": "linear"})


class TestOpenai(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        shape = dataclasses.replace(SHAPE, num_res_blocks=1, scale_shift_norm=True)
        return load_backbone(saved(folder, shape), CONFIG)


class TestOpenaiWithoutConvolutionsBetween(BackboneSuite):
    """The other variants at once: a class, the new order, residual blocks that halve, timesteps rescaled."""

    def load(self, folder: Path) -> Backbone:
        shape = dataclasses.replace(SHAPE, in_channels=1, out_channels=1, resblock_updown=True, num_classes=5, num_res_blocks=1)
        more = {"class_cond": True, "class_label": 3, "use_new_attention_order": True, "rescale_timesteps": True}
        return load_backbone(saved(folder, shape), {**CONFIG, **more, "diffusion_steps": 400})


def test_levels_are_the_output_blocks(published: Backbone) -> None:
    assert published.levels == (Level("block0", 64, 2), Level("block1", 64, 1), Level("block2", 32, 1), Level("block3", 32, 1))
    assert published.presets == {"tedm": ("block0", "block3")}
    assert (published.image_size, published.image_channels, published.size_multiple) == (32, 3, 2)


def test_the_schedule_is_the_published_one(published: Backbone, golden: dict[str, Any]) -> None:
    np.testing.assert_allclose(published.schedule.alphas_cumprod, golden["alphas_cumprod"], rtol=1e-12)


@pytest.mark.parametrize("timestep", [50, 150])
def test_activations_and_noise_are_the_published_ones(published: Backbone, golden: dict[str, Any], timestep: int) -> None:
    timesteps = torch.full((len(golden["x0"]),), timestep)
    x_t = published.schedule.x_t(torch.from_numpy(golden["x0"]), torch.from_numpy(golden["noise"]), timesteps)
    chosen = published.choose([int(block) for block in golden["blocks"]])
    found = {f"block{block}": each for block, each in zip(golden["blocks"], chosen.activations(x_t, timesteps), strict=True)}
    found["eps"] = published.predict_noise(x_t, timesteps)
    assert len(found) == 4
    for name, ours in found.items():
        theirs = golden[f"step{timestep}_{name}"]
        assert ours.shape == theirs.shape
        assert np.abs(ours.numpy() - theirs).max() < 1e-4 * np.abs(theirs).max(), name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scale_shift_norm": True, "resblock_updown": True},
        {"conv_resample": False},
        {"conv_resample": False, "num_res_blocks": 1, "channel_mult": (1, 1, 2)},
        {"num_res_blocks": 3, "channel_mult": (1, 2, 2), "attention_at": (1, 4)},
        {"channel_mult": (0.5, 1, 2), "model_channels": 64, "attention_at": ()},
        {"channel_mult": (1,), "attention_at": (1,)},
        {"num_classes": 7, "in_channels": 1, "out_channels": 1},
        {"model_channels": 32, "first_channels": 64, "channel_mult": (2, 4), "resblock_updown": True},
    ],
)
def test_tensors_tell_the_architecture(tmp_path: Path, changes: dict[str, Any]) -> None:
    shape = dataclasses.replace(SHAPE, **changes)
    label = {"class_label": 0} if shape.num_classes else {}
    backbone = load_backbone(saved(tmp_path, shape), {**CONFIG, **label})
    assert isinstance(backbone.network, OpenaiUNet)
    assert backbone.network.shape == shape


def test_the_presets_of_a_decoder_as_long_as_ledms(tmp_path: Path) -> None:
    shape = dataclasses.replace(SHAPE, channel_mult=(1,) * 5, attention_at=())
    backbone = load_backbone(saved(tmp_path, shape), CONFIG)
    assert len(backbone.levels) == 15
    assert [level.name for level in backbone.choose("ledm").levels] == ["block5", "block6", "block7", "block8", "block12"]
    assert [level.stride for level in backbone.choose("tedm").levels] == [16, 8, 4, 2, 1]
    assert backbone.choose().levels == backbone.choose("ledm").levels


def test_heads_the_class_and_the_order_change_what_is_computed(tmp_path: Path) -> None:
    path = saved(tmp_path, dataclasses.replace(SHAPE, num_classes=2))
    ways: list[dict[str, Any]] = [{}, {"num_heads": 4}, {"class_label": 1}, {"use_new_attention_order": True}]
    backbones = [load_backbone(path, {**CONFIG, "class_label": 0, **way}) for way in ways]
    assert len({backbone.sha256 for backbone in backbones}) == 4
    x_t = images(backbones[0], 1)
    last = [backbone.activations(x_t, torch.tensor([5]))[-1] for backbone in backbones]
    for at, one in enumerate(last):
        assert not any(torch.equal(one, other) for other in last[:at])


def test_heads_by_number_and_by_channels_are_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path)
    ours = [
        load_backbone(path, {"image_size": 16, "noise_schedule": "linear", **heads})
        for heads in ({"num_heads": 4}, {"num_head_channels": 16})
    ]
    x_t = images(ours[0], 1)
    one, two = (backbone.activations(x_t, torch.tensor([5]))[-1] for backbone in ours)
    assert torch.equal(one, two)


def test_half_precision_weights_and_learned_variances(tmp_path: Path) -> None:
    path = saved(tmp_path, **{name: tensor.half() for name, tensor in random_weights(SHAPE).items()})
    backbone = load_backbone(path, {**CONFIG, "use_fp16": True, "learn_sigma": True})
    assert {parameter.dtype for parameter in backbone.network.parameters()} == {torch.float32}
    assert backbone.predict_noise(images(backbone, 2), torch.tensor([1, 2])).shape == (2, 3, 16, 16)


def test_sides_for_attention_may_be_written_as_in_that_projects_scripts(tmp_path: Path) -> None:
    load_backbone(saved(tmp_path), {**CONFIG, "attention_resolutions": "8", "channel_mult": "1,2", "num_channels": 32})
    load_backbone(saved(tmp_path), {**CONFIG, "attention_resolutions": [2], "channel_mult": [1, 2], "num_channels": 32})


def test_what_the_tensors_do_not_tell_is_asked_for_at_once(tmp_path: Path) -> None:
    said = r"do not tell image_size, num_head_channels \(or num_heads\), noise_schedule; .*--backbone-config"
    with pytest.raises(TedmError, match=said) as refused:
        load_backbone(saved(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"channel_mult": [1, 4]},
            r"input_blocks.4.0.in_layers.2.weight: .* \(128, 32, 3, 3\), the file has shape \(64, 32, 3, 3\)",
        ),
        ({"num_channels": 64}, r"time_embed.0.weight: the settings ask for shape \(256, 64\), the file has shape \(128, 32\)"),
        (
            {"learn_sigma": False},
            r"out.2.weight: the settings ask for shape \(3, 32, 3, 3\), the file has shape \(6, 32, 3, 3\)",
        ),
        (
            {"use_scale_shift_norm": True},
            r"emb_layers.1.weight: the settings ask for shape \(64, 128\), the file has shape \(32",
        ),
        ({"resblock_updown": True}, "input_blocks.3.0.in_layers.0.weight: .*the file does not have this tensor"),
        ({"attention_resolutions": "16"}, "input_blocks.1.1.norm.weight: .*the file does not have this tensor"),
        (
            {"class_cond": True, "class_label": 1},
            r"label_emb.weight: the settings ask for shape \(1000, 128\), the file does not",
        ),
        ({"class_label": 1}, "not class-conditional"),
        ({"num_heads": 7}, "64 channels cannot be divided among 7 attention heads"),
        ({"num_headz": 7}, "'num_headz', which mean nothing here"),
        ({"noise_schedule": "sigmoid"}, "expected linear or cosine"),
        ({"image_size": 15}, "nearest size is 14 or 16"),
        ({"image_size": "16"}, "expected a whole number"),
        ({"dims": 3}, "use a 2D network"),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        load_backbone(saved(tmp_path), {**CONFIG, **settings})


def test_a_class_has_to_be_stated(tmp_path: Path) -> None:
    path = saved(tmp_path, dataclasses.replace(SHAPE, num_classes=7))
    with pytest.raises(TedmError, match=r"which of its 7 classes .*\"class_label\""):
        load_backbone(path, CONFIG)
    with pytest.raises(TedmError, match="a class from 0 to 6"):
        load_backbone(path, {**CONFIG, "class_label": 7})


def test_a_network_of_four_channels_is_read_and_it_is_said_what_these_may_be(tmp_path: Path) -> None:
    shape = dataclasses.replace(SHAPE, in_channels=4, out_channels=4)
    backbone = load_backbone(saved(tmp_path, shape), CONFIG)
    assert backbone.image_channels == 4
    assert "latent-space UNet" in " ".join(backbone.remarks)


ODD: list[Any] = [
    0,
    -1,
    10**9,
    2**63,
    10**40,
    0.5,
    float("nan"),
    None,
    True,
    "",
    "x",
    [],
    [10**9],
    [1] * 3000,
    {},
    [[1]],
    "a" * 10**4,
]


@pytest.mark.parametrize(
    "setting",
    [
        "image_size", "num_heads", "noise_schedule", "num_res_blocks", "channel_mult", "attention_resolutions", "num_channels",
        "class_label", "diffusion_steps", "in_channels", "num_head_channels", "num_classes", "dims",
    ],
)  # fmt: skip
def test_odd_settings_are_refused_or_do_no_harm(tmp_path: Path, setting: str) -> None:
    path = saved(tmp_path)
    refused = []
    for value in ODD:
        try:
            load_backbone(path, {**CONFIG, setting: value})
        except TedmError as error:
            refused.append(str(error))
    assert len(refused) > len(ODD) / 2
    assert max(map(len, refused)) < 2500
