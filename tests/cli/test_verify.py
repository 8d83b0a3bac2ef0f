"""tedm-verify: what it finds, what it clears, and what it computes again."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from tedm.cli import extract, inspect, label, verify
from tedm.cli.shared import options
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.store import FeatureStore

QUICK = ["--timesteps", "1,50", "--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    result = CliRunner().invoke(command.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.fixture(scope="module", params=["native", "upsampled"])
def whole(request, dataset, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "store"
    run(extract, dataset, path, "--checkpoint", checkpoint, "--layout", request.param, *QUICK)
    return path


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "my störe")
    return tmp_path / "my störe"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 8
    path.write_bytes(content)


def last_array(store: Path) -> str:
    return FeatureStore.open(store).feature_arrays()[-1]


def test_a_whole_store_passes(store):
    assert run(verify, store).stdout == f"{store}: 7 images read, 0 missing, 0 damaged\n"
    about = json.loads(run(verify, store, "--json").stdout)
    assert (about["images"], about["damage"], about["missing"]) == (7, [], [])


def test_damage_is_listed_cleared_and_computed_again_to_the_same_bytes(store, whole, dataset, checkpoint):
    last = last_array(store)
    layout = FeatureStore.open(store).storage.layout
    flip(next((store / last).glob("c.2.*")))
    (store / "image" / "c.3.0.0.0").unlink()
    partial = store / last / "c.5.0.0.0.0.ab.partial"
    partial.write_bytes(b"half")
    found = run(verify, store, code=1)
    lines = found.stdout.splitlines()
    assert lines[0].startswith(f"image scan 2: array {last}: Stored and computed checksum do not match")
    assert lines[1] == "image scan 3: array image: its file is gone"
    assert lines[2].startswith(f"file {last}/c.5.0.0.0.0.ab.partial: left by a write that was killed")
    assert lines[3].endswith("7 images read, 1 missing, 3 damaged")
    assert "--repair" in found.stderr
    assert "2 images were removed" in run(verify, store, "--repair", code=1).stderr
    assert FeatureStore.open(store).missing() == ["scan 2", "scan 3"]
    run(extract, dataset, store, "--checkpoint", checkpoint, "--layout", layout, *QUICK)
    assert tree(store) == tree(whole)
    run(verify, store)


def test_a_damaged_mask_is_written_anew_by_tedm_label(store, whole, dataset):
    flip(store / "mask" / "c.1.0.0")
    found = run(verify, store, "--repair", code=1)
    assert "image scan 1: array mask: " in found.stdout
    assert "tedm-label" in found.stderr
    assert "tedm-extract" not in found.stderr
    run(label, store, dataset)
    assert tree(store) == tree(whole)


def test_a_file_of_another_image_is_found_by_computing_again(store, checkpoint):
    last = last_array(store)
    (first, second) = (next((store / last).glob(f"c.{number}.*")) for number in (1, 4))
    shutil.copy(first, second)
    run(verify, store)  # its checksum is sound
    found = run(verify, store, "--recompute", 7, "--checkpoint", checkpoint, code=1)
    assert f"image scan 4: array {last}: computed again, it has other bits" in found.stdout
    assert "7 images computed again, 0 missing, 1 damaged" in found.stdout
    run(verify, store, "--recompute", 7, "--checkpoint", checkpoint, "--repair", code=1)
    assert FeatureStore.open(store).missing() == ["scan 4"]


def test_the_images_that_are_computed_again_follow_the_seed(store, checkpoint):
    def chosen(seed):
        options = ("--recompute", 2, "--checkpoint", checkpoint, "--seed", seed, "--json")
        return json.loads(run(verify, store, *options).stdout)["recomputed"]

    assert chosen(3) == chosen(3)
    assert len({tuple(chosen(seed)) for seed in range(3)}) > 1


def test_another_checkpoint_or_another_machine_is_refused(store, checkpoint, tmp_path, monkeypatch):
    save_backbone(random_backbone(seed=5), tmp_path / "other.safetensors")
    other = ("--recompute", 1, "--checkpoint", tmp_path / "other.safetensors")
    assert "another checkpoint" in run(verify, store, *other, code=1).stderr
    monkeypatch.setattr("tedm.extract.arithmetic._processor", lambda _: "another processor")
    refused = run(verify, store, "--recompute", 1, "--checkpoint", checkpoint, code=1).stderr
    assert "other bits\n  processor: the store has" in refused
    assert "go together" in run(verify, store, "--recompute", 1, code=2).stderr


def test_inspect_tells_what_is_missing_from_the_listing(store):
    (store / "image" / "c.3.0.0.0").unlink()
    FeatureStore.open(store).discard(["scan 5"])
    said = run(inspect, store).stdout
    assert "  5 of 7\n" in said
    assert "  2 of 7, the first: scan 3\n" in said
    assert "image scan 3: array image: its file is gone" in said
    about = json.loads(run(inspect, store, "--json").stdout)
    assert about["bytes"] == sum(len(content) for content in tree(store).values())


def test_the_environment_can_be_pasted_and_names_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = run(inspect, "--environment").stdout
    about = dict(line.split("  ", 1) for line in said.splitlines())
    assert about["torch"].strip() == version("torch")
    assert {"python", "tedm", "zarr", "obstore", "processor", "memory", "CUDA devices", "precision auto"} <= set(about)
    assert "GB" in about["free space here"]
    named = {str(tmp_path), str(Path.home()), platform.node()} - {"/", ""}
    assert [each for each in named if each in said] == []
    assert json.loads(run(inspect, "--environment", "--json").stdout)["system"].startswith(platform.system())
    assert "--environment" in run(inspect, code=2).stderr


def test_a_url_stays_text_and_everything_else_is_a_path():
    assert options.STORE.convert("s3://bucket/a prefix", None, None) == "s3://bucket/a prefix"
    assert options.STORE.convert("my store", None, None) == Path("my store")
