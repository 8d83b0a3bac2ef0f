"""What people try that is no backbone, one clear line each; and what a file may have around its weights."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone
from tedm.extract.backbones.tedm import content, random_backbone
from tedm.networks.openai_unet import OpenaiUNet, Shape

SHAPE = Shape(1, 1, 32, 32, 1, (1, 1), (), 1, 1)
CONFIG = {"image_size": 16, "num_heads": 1, "noise_schedule": "cosine"}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OpenaiUNet(SHAPE).state_dict()


def saved(folder: Path, whole: Any) -> Path:
    torch.save(whole, folder / "unet.pt")
    return folder / "unet.pt"


def some(*names: str, shape: tuple[int, ...] = (4, 4)) -> dict[str, torch.Tensor]:
    return {name: torch.ones(shape) for name in names}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (some("unet.down_blocks.0.attentions.0.to_q.lora_A.weight"), "is a LoRA"),
        (some("lora_unet_down_blocks_0_attentions_0.lora_down.weight"), "is a LoRA"),
        (some("encoder.conv_in.weight", "decoder.conv_in.weight", "quant_conv.weight"), "is a VAE"),
        (
            some("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.weight"),
            "latent-space UNet",
        ),
        (some("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"), "latent-space UNet"),
        (
            some("input_blocks.0.0.weight", shape=(4, 1, 3, 3, 3)),
            r"3D UNet \(input_blocks.0.0.weight has shape \(4, 1, 3",
        ),
    ],
)
def test_strangers_are_named_in_one_line(tmp_path: Path, tensors: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(TedmError, match=f"{said}.*use") as refused:
        load_backbone(saved(tmp_path, tensors))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["AutoencoderKL", "UNet2DConditionModel", "UNet3DConditionModel"])
def test_folders_of_other_diffusers_models_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": name}))
    torch.save(some("conv_in.weight"), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(TedmError, match="is a VAE|latent-space UNet|3D UNet"):
        load_backbone(tmp_path)


class Trap:
    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.where),)


@pytest.mark.parametrize("where", ["beside", "ema", "folder"])
def test_code_in_a_file_of_any_family_is_not_run(tmp_path: Path, where: str) -> None:
    trap = Trap(tmp_path / "sprung")
    path: Path
    if where == "folder":
        (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
        torch.save({"conv_in.weight": trap}, tmp_path / "diffusion_pytorch_model.bin")
        path = tmp_path
    else:
        path = saved(tmp_path, {**weights(), "extra": trap} if where == "beside" else {"model": weights(), "ema": trap})
    with pytest.raises(TedmError, match=r"would run code.*mkdir.*Nothing was run"):
        load_backbone(path, CONFIG)
    assert not (tmp_path / "sprung").exists()


def test_a_truncated_state_dictionary_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, weights())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TedmError, match="no checkpoint that can be read"):
        load_backbone(path, CONFIG)


@pytest.mark.parametrize("key", ["ema", "ema_state_dict", "model_ema", "ema_model"])
def test_averaged_weights_are_preferred(tmp_path: Path, key: str) -> None:
    path = saved(tmp_path, {"model": weights(0), key: weights(1), "step": 9})
    backbone = load_backbone(path, CONFIG)
    assert torch.equal(backbone.network.get_submodule("out.2").weight, weights(1)["out.2.weight"])
    assert backbone.step == 9


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_stripped(tmp_path: Path, prefix: str) -> None:
    plain = load_backbone(saved(tmp_path, weights()), CONFIG)
    wrapped = load_backbone(saved(tmp_path, {prefix + name: tensor for name, tensor in weights().items()}), CONFIG)
    for name, tensor in plain.network.state_dict().items():
        assert torch.equal(tensor, wrapped.network.state_dict()[name])


def test_prefixes_of_wrappers_within_a_published_file_are_stripped(tmp_path: Path) -> None:
    ours = content(random_backbone())
    state = {name.replace("model.", "model.module."): tensor for name, tensor in ours.tensors.items()}
    path = saved(tmp_path, {"model_state_dict": state, "config": dict(ours.config), "step": 3})
    assert load_backbone(path).parameters == random_backbone().parameters


def test_a_package_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "diffusers", None)  # as Python says that a module is not to be found
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel", "sample_size": 16}')
    torch.save(some("conv_in.weight", "time_embedding.linear_1.weight"), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(TedmError, match=r"\(diffusers\): pip install 'tedm\[diffusers\]'"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"), [("{", "is no JSON"), ("[3]", "holds no JSON object"), (None, "cannot read the settings")]
)
def test_a_file_of_settings_that_is_none_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    from tedm.extract.backbones import read_config

    if text is not None:
        (tmp_path / "c.json").write_text(text)
    with pytest.raises(TedmError, match=said):
        read_config(tmp_path / "c.json")
