"""tedm-export: what it prints, and what it refuses."""

from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner

from tedm.cli.exports import export
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.heads import load_head


def run(*arguments):
    return CliRunner().invoke(export.main, [str(argument) for argument in arguments])


def test_a_head_becomes_a_folder_that_is_a_head(fitted, tmp_path):
    done = run(fitted, tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert re.fullmatch(rf"{re.escape(str(tmp_path / 'model'))}: 4 files, 0\.0\d+ MB\n", done.stdout)
    assert "note: no licence was chosen, and README.md says so: --licence cc-by-4.0, say, before you publish it" in done.stderr
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["README.md", "config.json", "head.json", "weights.safetensors"]
    assert load_head(tmp_path / "model").method == load_head(fitted).method


def test_the_backbone_goes_with_it_byte_for_byte(fitted, checkpoint, tmp_path):
    done = run(fitted, tmp_path / "model", "--checkpoint", checkpoint, "--with-backbone", "--licence", "mit")
    assert done.exit_code == 0, done.output
    assert "note: the backbone's checkpoint is in it as its authors wrote it" in done.stderr
    assert (tmp_path / "model" / "backbone.safetensors").read_bytes() == checkpoint.read_bytes()


def test_what_is_asked_for_in_vain_is_said_in_a_sentence(fitted, extracted, tmp_path):
    save_backbone(random_backbone(seed=9), tmp_path / "other.safetensors")
    sha256 = load_head(fitted).settings.checkpoint_sha256
    for arguments, said in (
        ([extracted, "out"], f"{extracted} is no head (it has no head.json); make one with tedm-fit STORE {extracted}"),
        ([tmp_path / "gone", "out"], "gone does not exist; make one with tedm-fit"),
        ([fitted, fitted], "head exists and is not empty; name another folder, or delete it"),
        ([fitted, "out", "--onnx"], f"--onnx needs the backbone of {fitted}, which no head has inside: name its checkpoint"),
        ([fitted, "out", "--onnx"], f"  its SHA-256 is {sha256}"),
        ([fitted, "out", "--checkpoint", tmp_path / "gone.pt"], f"there is no checkpoint {tmp_path / 'gone.pt'}"),
        ([fitted, "out", "--checkpoint", tmp_path / "other.safetensors"], f"is not the backbone of {fitted}"),
        ([fitted, "out", "--licence", "Public Domain"], "--licence 'Public Domain' is no identifier of a licence"),
        ([fitted, "out", "--scores", extracted], "result.json"),
    ):
        done = run(*(tmp_path / each if each == "out" else each for each in arguments))
        assert done.exit_code == 1, (arguments, done.output)
        assert said in done.stderr
        assert "Traceback" not in done.output
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_named_with_what_to_install(package, fitted, checkpoint, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason="needs the extra `onnx`")
    monkeypatch.setitem(sys.modules, package, None)
    done = run(fitted, tmp_path / "out", "--checkpoint", checkpoint, "--onnx")
    assert done.exit_code == 1
    assert f"--onnx needs a package that is not installed ({package}): pip install 'tedm[onnx]'" in done.stderr
    assert not (tmp_path / "out").exists()
