"""Every command that takes a backbone takes one of any family, and says what it has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tedm.cli import evaluate, extract, fit, inspect, predict, verify
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.extract.backbones.tedm import content
from tedm.store import FeatureStore

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
COMMANDS = {each.__name__.rsplit(".", 1)[1]: each.main for each in (evaluate, extract, fit, inspect, predict, verify)}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]
NETWORKS = """
import torch
from torch import nn

from tedm.extract import OwnNetwork


def encoder_decoder(seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 1, 1), nn.Upsample(scale_factor=2))
    return OwnNetwork(network, None, ["1", "2"], image_size=16)
"""


def run(command: str, *arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"image_size": 32, "num_head_channels": 16, "noise_schedule": "linear"}))
    return path


def test_inspect_lists_every_level_of_a_checkpoint(config: Path) -> None:
    shown = run("inspect", GOLDEN / "guided_diffusion.pt", "--backbone-config", config).stdout
    for said in (
        "family               openai",
        "parameters           778054",
        "image size           32",
        "image channels       3",
        "schedule             linear, 1000 timesteps",
        "presets              tedm: block0, block3",
        "index  name    channels  stride  module           bytes native  bytes upsampled",
        "0      block0  64        2       output_blocks.0  32768         131072",
        "3      block3  32        1       output_blocks.3  65536         65536",
    ):
        assert said in shown.splitlines()
    told = json.loads(run("inspect", GOLDEN / "guided_diffusion.pt", "--backbone-config", config, "--json").stdout)
    assert [level["index"] for level in told["levels"]] == [0, 1, 2, 3]
    assert told["presets"] == {"tedm": ["block0", "block3"]}


def test_the_bytes_of_a_level_are_those_that_it_takes_in_a_store(dataset: Path, config: Path, tmp_path: Path) -> None:
    options = ["--checkpoint", GOLDEN / "guided_diffusion.pt", "--backbone-config", config, "--layout", "native"]
    run("extract", dataset, tmp_path / "s", *options, "--timesteps", "5", *QUICK)
    told = json.loads(run("inspect", GOLDEN / "guided_diffusion.pt", "--backbone-config", config, "--json").stdout)
    store = FeatureStore.open(tmp_path / "s")
    for level in told["levels"]:
        if level["name"] in store.feature_arrays():
            assert store.read_file(level["name"], store.labels.names[0]).nbytes == level["bytes native"]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ["block0", "block3"]),
        ("tedm", ["block0", "block3"]),
        ("1,3", ["block1", "block3"]),
        ("block2", ["block2"]),
        ("output_blocks.1, 0", ["block0", "block1"]),
    ],
)
def test_levels_are_picked_by_preset_index_or_name(
    dataset: Path, config: Path, tmp_path: Path, chosen: str | None, names: list[str]
) -> None:
    options = ["--checkpoint", GOLDEN / "guided_diffusion.pt", "--backbone-config", config]
    options += [] if chosen is None else ["--levels", chosen]
    run("extract", dataset, tmp_path / "s", *options, "--timesteps", "5", "--shard", "0/7", *QUICK)
    assert [level.name for level in FeatureStore.open(tmp_path / "s").settings.levels] == names


@pytest.mark.parametrize("chosen", ["4", "ledm", "block9", "", "-1"])
def test_levels_that_do_not_exist_are_refused_with_those_that_do(
    dataset: Path, config: Path, tmp_path: Path, chosen: str
) -> None:
    options = ["--checkpoint", GOLDEN / "guided_diffusion.pt", "--backbone-config", config, "--levels", chosen]
    result = run("extract", dataset, tmp_path / "s", *options, *QUICK, code=1)
    assert "name indices from 0 to 3, names (block0, block1, block2, block3) or a preset (tedm)" in result.stderr
    assert not (tmp_path / "s").exists()


def test_a_network_of_ones_own_goes_all_the_way(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_nets.py").write_text(NETWORKS)
    own = ["--backbone", "my_nets:encoder_decoder"]
    assert "without noise, 1 timesteps" in run("inspect", *own).stdout
    refused = run("extract", dataset, "s", *own, *QUICK, code=1)
    assert "--timesteps 0" in refused.stderr
    run("extract", dataset, "s", *own, "--timesteps", "0", "--levels", "0", *QUICK)
    run("verify", "s", "--recompute", "2", *own)
    run("fit", "s", "h", "--method", "timestep:0", "--device", "cpu")
    assert "Dice" in run("evaluate", "s", "h").stdout or "dice" in run("evaluate", "s", "h").stdout
    run("predict", "h", "s", "from store", "--device", "cpu", "--probabilities")
    run("predict", "h", dataset, "from images", *own, "--device", "cpu", "--probabilities")
    for path in (tmp_path / "from store").glob("*.npy"):
        np.testing.assert_array_equal(np.load(path), np.load(tmp_path / "from images" / path.name))
    (tmp_path / "seed.json").write_text('{"seed": 1}')
    other = run("predict", "h", dataset, "no", *own, "--backbone-config", "seed.json", "--device", "cpu", code=1)
    assert "my_nets:encoder_decoder is not the backbone of this head" in other.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--checkpoint FILE or --backbone MODULE:FUNCTION"),
        (["--checkpoint", "a", "--backbone", "b:c"], "give one of them"),
    ],
)
def test_one_backbone_is_named(dataset: Path, tmp_path: Path, options: list[str], said: str) -> None:
    assert said in run("extract", dataset, tmp_path / "s", *options, code=2).stderr


def test_which_weights_were_taken_is_said(dataset: Path, tmp_path: Path) -> None:
    ours = content(random_backbone())
    state = {name: each for name, each in ours.tensors.items() if name.startswith("model.")}
    whole = {
        "model_state_dict": ours.tensors,
        "ema": {name: each * 1.1 for name, each in state.items()},
        "config": dict(ours.config),
    }
    torch.save(whole, tmp_path / "net.pt")
    said = "the averaged weights (ema) are used, not those of the last iteration (model_state_dict)"
    assert said in run("inspect", tmp_path / "net.pt").stdout
    store = tmp_path / "store"
    done = run("extract", dataset, store, "--checkpoint", tmp_path / "net.pt", "--timesteps", 1, *QUICK)
    assert f"note: {said}" in done.stderr


def test_a_network_for_four_channels_is_inspected_and_takes_no_pictures_of_one(dataset: Path, tmp_path: Path) -> None:
    save_backbone(random_backbone(image_channels=4), tmp_path / "net.safetensors")
    assert "image channels" in run("inspect", tmp_path / "net.safetensors").stdout
    store = tmp_path / "store"
    refused = run("extract", dataset, store, "--checkpoint", tmp_path / "net.safetensors", "--timesteps", 1, *QUICK, code=1)
    assert "a picture has 1 channel or 3, and the backbone takes 4; name a column for each with --channels" in refused.stderr
    assert not store.exists()
