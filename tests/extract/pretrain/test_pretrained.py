"""Checkpoints as weights to start from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from contrast_files import contrast_digits, write_contrasted

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone, random_backbone, save_backbone
from tedm.extract.pretrain import pretrain_diffusion, read_pretrained
from tedm.extract.pretrain.state import state_path

GOLDEN = Path(__file__).parents[2] / "data" / "golden"


@pytest.fixture(scope="module")
def contrasted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contrast") / "global.safetensors"
    write_contrasted(path, keep_state=True, ema_decay=0.9, iterations=2)
    return path


def test_a_contrasted_checkpoint_is_read_as_it_was_trained(contrasted: Path) -> None:
    read = read_pretrained(contrasted)
    assert (read.objective, read.width, read.multipliers, read.image_channels, read.image_size) == (
        "global-cl",
        8,
        (1, 2),
        1,
        16,
    )
    with safetensors.safe_open(contrasted, "pt") as file:
        about = json.loads(file.metadata()["tedm"])
        assert {name.removeprefix("model.") for name in file.keys()} == set(read.tensors)  # noqa: SIM118
    assert about["training"]["settings"]["objective"] == about["config"]["objective"] == "global-cl"
    assert about["step"] == 2


def test_of_a_state_the_average_is_read(contrasted: Path) -> None:
    state, whole = read_pretrained(state_path(contrasted)), read_pretrained(contrasted)
    for name, tensor in whole.tensors.items():
        assert torch.equal(state.tensors[name], tensor)
    with safetensors.safe_open(state_path(contrasted), "pt") as file:
        last = file.get_tensor("last.model.init_conv.weight")
    assert not torch.equal(whole.tensors["init_conv.weight"], last)


def test_of_a_diffusion_model_the_average_is_read_with_its_layers_of_time(tmp_path: Path) -> None:
    small: dict[str, Any] = {"width": 8, "multipliers": (1, 2), "timesteps_total": 50}
    backbone = pretrain_diffusion(contrast_digits(), tmp_path / "ddpm", **small, iterations=2)
    read = read_pretrained(tmp_path / "ddpm")
    assert (read.objective, read.width, read.multipliers, read.image_channels, read.image_size) == (
        "diffusion",
        8,
        (1, 2),
        1,
        16,
    )
    assert read.sha256 == backbone.sha256
    assert read.tensors.keys() == backbone.network.state_dict().keys()
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(read.tensors[name], tensor)


def test_a_published_checkpoint_is_read() -> None:
    read = read_pretrained(GOLDEN / "tedm_cosine.pt")
    assert (read.objective, read.multipliers, read.image_size) == ("diffusion", (1, 2, 4), 32)


def test_another_network_is_refused_in_one_line() -> None:
    path = GOLDEN / "guided_diffusion.pt"
    with pytest.raises(TedmError, match="of the family openai, and only TEDM's UNet can be fine-tuned") as refused:
        read_pretrained(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_contrasted_checkpoint_is_no_backbone_and_what_it_is_for_is_said(contrasted: Path, tmp_path: Path) -> None:
    whole: dict[Path, str] = {contrasted: "global-cl", state_path(contrasted): "global-cl"}
    made = tmp_path / "local"
    write_contrasted(made, objective="global-local-cl", start=contrasted)
    for path, objective in {**whole, made: "global-local-cl"}.items():
        said = f"no backbone: .*tedm-fit --method {objective} --checkpoint"
        for more in ({}, {"family": "tedm"}, {"config": {"objective": "pred_noise"}}):
            with pytest.raises(TedmError, match=said) as refused:
                load_backbone(path, **more)  # type: ignore[arg-type]
            assert len(str(refused.value).splitlines()) == 1


def rewritten(path: Path, to: Path, tensors: dict[str, Any], config: dict[str, Any], drop: str = "") -> Path:
    """The file with some tensors and settings of our own."""
    with safetensors.safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["tedm"])
        content = {name: file.get_tensor(name) for name in file.keys() if name != drop}  # noqa: SIM118
    about["config"] = {**about["config"], **config}
    safetensors.torch.save_file({**content, **tensors}, to, {"tedm": json.dumps(about)})
    return to


CONV = "model.init_conv.weight"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tensors": {CONV: torch.full((8, 1, 7, 7), torch.nan)}}, "weights that are not finite: 392 of 392"),
        ({"tensors": {CONV: torch.zeros(8, 2, 7, 7)}}, "init_conv.weight: .*shape .8, 1, 7, 7., the file has shape .8, 2"),
        ({"tensors": {CONV: torch.zeros((8, 1, 7, 7), dtype=torch.int32)}}, "expected floating-point numbers"),
        ({"tensors": {}, "drop": CONV}, "the file does not have this tensor"),
        ({"tensors": {"model.ups.0.0.block1.proj.bias": torch.zeros(16)}}, "the settings ask for no such tensor"),
        ({"config": {"dim": 16}}, "init_conv.weight: the settings ask for shape .16"),
        ({"config": {"dim": 8.5}}, "the setting 'dim' .* is 8.5; expected a whole number"),
        ({"config": {"dim": 10**15}}, "make no network|ask for shape"),
        ({"config": {"dim_mults": [1] * 10000}}, "more parts than its"),
        ({"config": {"dim_mults": "1,2"}}, "expected whole numbers above zero"),
        ({"config": {"img_size": None}}, "'img_size' .* is None"),
        ({"config": {"channels": -1}}, "'channels' .* is -1"),
        ({"config": {"objective": "global-local-cl"}}, "ups.0.0.block1.proj.weight: .* does not have this tensor"),
        ({"config": {"objective": ["global-cl"]}}, "is of an architecture that is not known"),
    ],
)
def test_settings_and_tensors_that_contradict_each_other_are_refused(
    contrasted: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = rewritten(contrasted, tmp_path / "a", changes.get("tensors", {}), changes.get("config", {}), changes.get("drop", ""))
    with pytest.raises(TedmError, match=f"(?s){said}") as refused:
        read_pretrained(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("damage", ["half", "header", "empty", "text"])
def test_damaged_files_are_refused_in_one_line(contrasted: Path, tmp_path: Path, damage: str) -> None:
    data = contrasted.read_bytes()
    damaged = {"half": data[: len(data) // 2], "header": data[:100], "empty": b"", "text": b"weights, say"}
    (tmp_path / "a").write_bytes(damaged[damage])
    with pytest.raises(TedmError, match="no checkpoint") as refused:
        read_pretrained(tmp_path / "a")
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="there is no checkpoint .*absent; check the path"):
        read_pretrained(tmp_path / "absent")
    save_backbone(random_backbone(), tmp_path / "there")
    assert read_pretrained(tmp_path / "there").objective == "diffusion"


def test_a_diffusion_model_of_another_range_of_intensities_is_refused(tmp_path: Path) -> None:
    backbone = dataclasses.replace(random_backbone(), training_range=(0.0, 1.0))
    save_backbone(backbone, tmp_path / "ddpm.safetensors")
    with pytest.raises(
        TedmError, match="was trained on images from 0 to 1, and fine-tuning shows a network images from -1 to 1"
    ):
        read_pretrained(tmp_path / "ddpm.safetensors")
