import argparse
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone, random_backbone, save_backbone

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "tedm_cosine.pt"


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.where),)


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The golden checkpoint with a change."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(GOLDEN, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_saved_backbone_is_loaded_in_bits(tmp_path: Path) -> None:
    backbone = load_backbone(GOLDEN)
    saved = save_backbone(backbone, tmp_path / "ours.safetensors")
    again = load_backbone(tmp_path / "ours.safetensors")
    assert again.sha256 == saved == hashlib.sha256((tmp_path / "ours.safetensors").read_bytes()).hexdigest()
    for field in ("family", "levels", "taps", "image_size", "image_channels", "step", "training_range", "predicts"):
        assert getattr(again, field) == getattr(backbone, field)
    np.testing.assert_array_equal(again.schedule.alphas_cumprod, backbone.schedule.alphas_cumprod)
    x_t, timesteps = torch.rand(2, 1, 32, 32), torch.tensor([1, 800])
    for ours, theirs in zip(again.activations(x_t, timesteps), backbone.activations(x_t, timesteps), strict=True):
        assert torch.equal(ours, theirs)


def test_saving_twice_gives_equal_bytes(tmp_path: Path) -> None:
    first = save_backbone(random_backbone(), tmp_path / "first")
    assert save_backbone(load_backbone(tmp_path / "first"), tmp_path / "second") == first


@pytest.mark.parametrize("settings", [{}, {"image_channels": 3, "multipliers": (1, 1, 2), "schedule": "linear", "seed": 4}])
def test_a_random_backbone_is_the_same_when_saved(tmp_path: Path, settings: dict[str, Any]) -> None:
    backbone = random_backbone(**settings)
    assert save_backbone(backbone, tmp_path / "random.safetensors") == backbone.sha256
    again = load_backbone(tmp_path / "random.safetensors")
    assert again.levels == backbone.levels
    np.testing.assert_array_equal(again.schedule.alphas_cumprod, backbone.schedule.alphas_cumprod)


def test_the_sha256_is_that_of_the_file() -> None:
    assert load_backbone(GOLDEN).sha256 == hashlib.sha256(GOLDEN.read_bytes()).hexdigest()


def test_a_file_is_judged_by_its_bytes(tmp_path: Path) -> None:
    save_backbone(random_backbone(), tmp_path / "model.pt")
    assert load_backbone(tmp_path / "model.pt").sha256 == random_backbone().sha256


def test_rounded_weights_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="bfloat16"):
        save_backbone(random_backbone().prepare("cpu", precision="bfloat16"), tmp_path / "rounded.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()  # a file cannot replace a folder
    with pytest.raises(TedmError, match="cannot write the checkpoint"):
        save_backbone(random_backbone(), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"no checkpoint .*absent\.pt"):
        load_backbone(tmp_path / "absent.pt")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="is a folder"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no weights here",
        np.random.default_rng(0).bytes(5000),
        GOLDEN.read_bytes()[:100_000],
        GOLDEN.read_bytes()[:-30],
        pickle.dumps({"a": 1}),
        random_backbone().network.state_dict()["init_conv.weight"].numpy().tobytes(),
        safetensors.torch.save({"a": torch.ones(3)})[:-4],
        (10**15).to_bytes(8, "little") + b'{"a": 1}',
    ],
    ids=["empty", "text", "random", "half", "end", "dictionary", "numbers", "safetensors", "header"],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(data)
    with pytest.raises(TedmError, match=r"file\S* is no checkpoint that can be read"):
        load_backbone(path)


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_a_file_that_would_run_code_is_refused_and_nothing_is_run(tmp_path: Path, form: str) -> None:
    trapped = {"model_state_dict": {"model.init_conv.weight": torch.ones(1)}, "config": Trap(tmp_path / "sprung")}
    path = tmp_path / "trap.pt"
    if form == "bare":
        path.write_bytes(pickle.dumps(trapped["config"], protocol=2))
    else:
        torch.save(trapped, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(TedmError, match=rf"would run code.*{os.mkdir.__module__}\.mkdir.*Nothing was run"):
        load_backbone(path)
    assert not (tmp_path / "sprung").exists()


def test_a_class_that_is_not_on_the_list_is_named(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(TedmError, match=r"torch\.nn\.modules\.linear\.Linear"):
        load_backbone(tmp_path / "whole.pt")


def test_another_architecture_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict(), tmp_path / "other.pt")
    with pytest.raises(TedmError, match=r"looked for: TEDM's UNet .*\n.*found: 2 tensors \(0.weight, 0.bias"):
        load_backbone(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("dim", 16, r"model.init_conv.weight: the settings ask for shape \(16, 1, 7, 7\), the file has shape \(8, 1, 7, 7\)"),
        ("dim", 8000000, "model.init_conv.weight: the settings ask for shape"),
        ("dim", 10**9 * 8, "make no network: width 8000000000"),
        ("dim_mults", [1, 2, 8], r"model.downs.2.3.weight: the settings ask for shape \(64, 16, 3, 3\), the file has"),
        ("dim_mults", [1, 2], r"model.downs.1.3.weight"),
        ("dim_mults", (1, 2, 4, 4), r"model.downs.2.3.weight: the settings ask for shape \(32, 16, 4, 4\)"),
        ("channels", 3, "model.init_conv.weight"),
        ("beta_schedule", "linear", "sqrt_alphas_cumprod: the settings ask for a linear schedule"),
        ("timesteps", 500, r"cosine schedule of shape \(500,\), the file has another, of shape \(1000,\)"),
        ("beta_schedule", "sigmoid", "there is no noise schedule 'sigmoid'"),
        ("objective", "pred_moon", "predicts 'pred_moon'"),
        ("dim", "8", "expected a whole number"),
        ("dim_mults", 3, "expected whole numbers"),
        ("img_size", 30, "nearest size is 28 or 32"),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(tmp_path: Path, setting: str, value: object, said: str) -> None:
    path = changed(tmp_path / "changed.pt", lambda content: setattr(content["config"], setting, value))
    with pytest.raises(TedmError, match=said):
        load_backbone(path)


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path / "changed.pt", lambda content: delattr(content["config"], "dim_mults"))
    with pytest.raises(TedmError, match="not the setting 'dim_mults'"):
        load_backbone(path)


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    extra = {"model.extra.weight": torch.ones(3, 2)}
    path = changed(tmp_path / "changed.pt", lambda content: content["model_state_dict"].update(extra))
    with pytest.raises(TedmError, match=r"model.extra.weight: the file has shape \(3, 2\)"):
        load_backbone(path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path / "changed.pt", lambda content: content["model_state_dict"].pop("model.mid_attn.fn.norm.g"))
    with pytest.raises(TedmError, match=r"mid_attn.fn.norm.g: .* shape \(1, 32, 1, 1\), the file does not have this tensor"):
        load_backbone(path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weight = "model.mid_block1.block1.proj.weight"
    path = changed(tmp_path / "changed.pt", lambda content: content["model_state_dict"][weight][0, 0, 0].fill_(torch.nan))
    with pytest.raises(TedmError, match=rf"not finite: 3 of 9216 in {weight}"):
        load_backbone(path)


def test_half_precision_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    def halve(content: dict[str, Any]) -> None:
        state = content["model_state_dict"]
        state.update({name: tensor.half() for name, tensor in state.items() if name.startswith("model.")})

    backbone = load_backbone(changed(tmp_path / "half.pt", halve))
    assert {parameter.dtype for parameter in backbone.network.parameters()} == {torch.float32}
