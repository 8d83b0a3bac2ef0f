"""Files that promise more than they hold."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone, random_backbone
from tedm.extract.backbones.files.reading import read_file
from tedm.extract.backbones.tedm import PREFIX, content
from tedm.networks.tedm_unet import TedmUNet


def refused(path: Path, said: str) -> None:
    with pytest.raises(TedmError, match=said) as error:
        load_backbone(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "old"])
def test_one_number_that_says_to_be_millions_is_refused(tmp_path: Path, archive: bool) -> None:
    with torch.device("meta"):
        network = TedmUNet(width=512, multipliers=(1, 2, 4), image_channels=1)
    number = torch.full((1,), 0.5)
    tensors = {PREFIX + name: number.expand(each.shape) if each.ndim else number for name, each in network.state_dict().items()}
    config = {"dim": 512, "dim_mults": (1, 2, 4), "channels": 1, "timesteps": 1000, "beta_schedule": "cosine", "img_size": 64}
    torch.save({"model_state_dict": tensors, "config": config}, tmp_path / "net.pt", _use_new_zipfile_serialization=archive)
    refused(tmp_path / "net.pt", "asks for .* GB of memory and holds 4e-06 MB of numbers")


def test_one_array_under_many_names_is_refused(tmp_path: Path) -> None:
    one = torch.rand(1_000_000)
    torch.save({"model_state_dict": {f"a{at}.weight": one for at in range(50)}}, tmp_path / "net.pt")
    refused(tmp_path / "net.pt", "asks for 200 MB of memory and holds 4 MB")


def with_count(count: int, *, archive: bool) -> bytes:
    """A file of four numbers that says to have another count."""
    buffer = io.BytesIO()
    torch.save({"model_state_dict": {"a": torch.zeros(4)}}, buffer, _use_new_zipfile_serialization=archive)
    number = b"J" + struct.pack("<i", count)
    if not archive:
        return buffer.getvalue().replace(b"K\x04N", number + b"N").replace(b"K\x04\x85", number + b"\x85")
    changed = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                data = data.replace(b"K\x04t", number + b"t", 1).replace(b"K\x04\x85", number + b"\x85", 1)
            new.writestr(name, data)
    return changed.getvalue()


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "old"])
def test_more_numbers_than_the_file_has_are_refused_before_they_take_memory(tmp_path: Path, archive: bool) -> None:
    (tmp_path / "net.pt").write_bytes(with_count(2**30, archive=archive))
    refused(tmp_path / "net.pt", "asks? for (more than|4294967296)")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.zeros(3, device="meta"),
    ],
    ids=["sparse", "meta"],
)
def test_tensors_that_are_no_arrays_are_refused(tmp_path: Path, tensor: Any) -> None:
    torch.save({"model_state_dict": {"model.init_conv.weight": tensor, "b": torch.ones(2)}}, tmp_path / "net.pt")
    refused(tmp_path / "net.pt", r"would run code|is sparse, quantised or without numbers")


def test_a_name_that_would_garble_a_terminal_is_refused(tmp_path: Path) -> None:
    for name in ("\x1b[2J", "x" * 1000):
        torch.save({name: torch.ones(2)}, tmp_path / "net.pt")
        refused(tmp_path / "net.pt", r"no network has such names")
        (tmp_path / "net.safetensors").write_bytes(save({name: torch.ones(2)}))
        refused(tmp_path / "net.safetensors", r"no network has such names")


@pytest.mark.parametrize(
    "metadata",
    ["[" * 100_000, '{"config": 3}', "[]", "3", "{", '{"config": {"dim": ' + "[" * 500 + "]" * 500 + "}}", '{"step": []}'],
    ids=range(7),
)
def test_metadata_that_hold_no_settings_are_refused(tmp_path: Path, metadata: str) -> None:
    tensors = {name: each.clone() for name, each in content(random_backbone()).tensors.items()}
    (tmp_path / "net.safetensors").write_bytes(save(tensors, metadata={"tedm": metadata}))
    with pytest.raises(TedmError, match=r"no checkpoint that can be read|settings|setting"):
        load_backbone(tmp_path / "net.safetensors")


def test_reading_takes_no_more_than_the_file(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(10)}, "losses": [0.5] * 2000}, tmp_path / "net.pt")
    tracemalloc.start()
    read_file(tmp_path / "net.pt")
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
