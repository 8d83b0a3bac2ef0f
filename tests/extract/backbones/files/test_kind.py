"""What a file is, whatever its name says."""

import io
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone, random_backbone, save_backbone
from tedm.extract.backbones.files.kind import kind_of
from tedm.extract.backbones.tedm import content


def saved(*, archive: bool = True) -> bytes:
    ours, buffer = content(random_backbone()), io.BytesIO()
    whole = {"model_state_dict": dict(ours.tensors), "config": dict(ours.config), "step": 3}
    torch.save(whole, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


def archived(compression: int = zipfile.ZIP_STORED, **records: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def repacked(data: bytes, compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def scripted() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and people have such files
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "it is a web page"),
        (b"<html lang=en>", "it is a web page"),
        ("lists of weights: 1, 2, é".encode(), "it is a text file"),
        (bytes(300), "its bytes are none that torch"),
        (bytes(257) + b"ustar" + bytes(300), "it is a tar archive"),
        (saved()[:-40], "cut off"),
        (saved()[:4000], "cut off"),
        ((5000).to_bytes(8, "little") + b'{"a": 1}', "cut off"),
        (repacked(saved(), zipfile.ZIP_DEFLATED), "is compressed, which torch.save never does"),
        (archived(word__document=b"x"), "it has no data.pkl"),
        (archived(**{"a__data.pkl": b"x", "b__data.pkl": b"y"}), "it has no data.pkl"),
        (archived(**{"a__data.pkl": b"x", "a__code__x.py": b"y"}), "it is a TorchScript program"),
    ],
    ids=range(14),
)
def test_what_is_no_checkpoint_is_said_in_one_line_whatever_it_is_called(tmp_path: Path, data: bytes, said: str) -> None:
    for name in ("model.pt", "model.safetensors", "model.pth"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TedmError, match=rf"{name} is no checkpoint that can be read.*{said}") as refused:
            load_backbone(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_a_program_of_torchscript_is_told_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(scripted())
    with pytest.raises(TedmError, match=r"TorchScript program.*state_dict\(\)"):
        kind_of(tmp_path / "net.pt")


def test_a_directory_that_promises_more_than_the_file_is_refused(tmp_path: Path) -> None:
    data = bytearray(archived(**{"a__data.pkl": bytes(100)}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2  # its sizes
    (tmp_path / "net.pt").write_bytes(data)
    with pytest.raises(TedmError, match="promises records of 2147483648 bytes"):
        kind_of(tmp_path / "net.pt")


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_a_file_is_read_by_its_bytes_whatever_it_is_called(tmp_path: Path, form: str) -> None:
    for name in ("model.pt", "model.safetensors", "model"):
        if form == "safetensors":
            save_backbone(random_backbone(), tmp_path / name)
        else:
            (tmp_path / name).write_bytes(saved(archive=form == "zip"))
        assert load_backbone(tmp_path / name).parameters == random_backbone().parameters


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path):
    data = bytearray(saved())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(TedmError, match="is damaged"):
        load_backbone(tmp_path / "a.pt")
