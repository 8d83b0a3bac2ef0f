"""Folders of diffusers, as its own and others' downloads leave them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tedm.errors import TedmError
from tedm.extract.backbones.checkpoint import read_content
from tedm.extract.backbones.files.folder import STEM, read_folder

FIRST, SECOND = {"a.weight": torch.ones(2)}, {"b.weight": torch.full((3,), 2.0)}


def folder(path: Path, **files: dict[str, torch.Tensor]) -> Path:
    """A UNet's folder with some files of weights; `__` in a name is a dot."""
    path.mkdir()
    (path / "config.json").write_text('{"_class_name": "UNet2DModel", "mid_block_type": null}')
    for name, tensors in files.items():
        save_file(tensors, path / f"{STEM}{name.replace('__', '.')}.safetensors")
    return path


def index(path: Path, *names: str, variant: str = "") -> Path:
    weight_map = {f"{at}.weight": name for at, name in enumerate(names)}
    (path / f"{STEM}.safetensors.index{variant}.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return path


def sharded(path: Path) -> Path:
    names = ["-00001-of-00002", "-00002-of-00002"]
    made = folder(path, **{names[0]: FIRST, names[1]: SECOND})
    return index(made, *(f"{STEM}{name}.safetensors" for name in names))


def test_weights_in_several_files_are_one_state_dictionary(tmp_path: Path) -> None:
    content = read_content(sharded(tmp_path / "unet"))
    assert set(content.tensors) == {"a.weight", "b.weight"}
    assert content.remarks == ()
    assert content.config["mid_block_type"] is None  # null is a setting, too


def test_a_variant_is_taken_where_there_is_no_other_and_that_is_said(tmp_path: Path) -> None:
    content = read_content(folder(tmp_path / "unet", __fp16={"a.weight": torch.ones(2).half()}))
    assert set(content.tensors) == {"a.weight"}
    assert content.remarks == ("the folder has no full weights; its variant fp16 is used, and computed with in float32",)


def test_a_sharded_variant_is_found(tmp_path: Path) -> None:
    made = folder(tmp_path / "unet", **{"-00001-of-00001__fp16": FIRST})
    assert set(read_content(index(made, f"{STEM}-00001-of-00001.fp16.safetensors", variant=".fp16")).tensors) == {"a.weight"}


def test_full_weights_come_before_a_variant(tmp_path: Path) -> None:
    found = read_folder(folder(tmp_path / "unet", __fp16=FIRST, **{"": SECOND}))
    assert [path.name for path in found.weights] == [f"{STEM}.safetensors"]
    assert found.remarks == ()
    both = sharded(tmp_path / "both")
    save_file(FIRST, both / f"{STEM}.fp16.safetensors")
    assert len(read_folder(both).weights) == 2


def test_several_variants_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="variants of them, and several: bf16, fp16"):
        read_folder(folder(tmp_path / "unet", __fp16=FIRST, __bf16=FIRST))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["../other.safetensors"], "not in its folder"),
        (["/etc/passwd"], "not in its folder"),
        ([".hidden"], "not in its folder"),
        ([f"{at}.safetensors" for at in range(1001)], "not in its folder"),
        (["absent.safetensors"], "lacks absent.safetensors of the 1 files"),
        ([], "has no weight_map"),
    ],
)
def test_an_index_names_files_of_its_folder_that_are_there(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        read_folder(index(folder(tmp_path / "unet"), *names))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ' * 5000 + "1" + "}" * 5000, "\udcff", " " * 10_000_001, "[]"], ids=range(5)
)
@pytest.mark.parametrize("file", ["config.json", "scheduler_config.json", f"{STEM}.safetensors.index.json"])
def test_settings_without_end_are_refused(tmp_path: Path, file: str, text: str) -> None:
    made = folder(tmp_path / "unet")
    if "index" not in file:
        save_file(FIRST, made / f"{STEM}.safetensors")
    (made / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TedmError, match="no JSON|no settings need|no JSON object"):
        read_content(made)
