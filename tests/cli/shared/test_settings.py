"""Settings in a TOML file: read for the command that runs, checked for all; written so that it runs again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tedm.__main__ import main
from tedm.cli.shared.commands import COMMANDS, command_named
from tedm.cli.shared.settings import read_settings, save_settings, words_of
from tedm.errors import TedmError


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


FULL = """
device = "cpu"
checkpoint = "ddpm.safetensors"
STORE = "features"
quiet = true
[extract]
IMAGES = "lungs"
timesteps = [1, 50]
noise_seed = 3
update = true
[fit]
HEAD = "heads/a"
head = "logistic"
params = { fit_intercept = true }
[evaluate]
HEAD = ["heads/a", "heads/b"]
"""


def test_a_table_is_for_its_command_and_the_top_for_all_that_have_the_word(tmp_path):
    path = written(tmp_path / "run.toml", FULL)
    store = str(tmp_path / "features")
    extract, fit, evaluate, report = (
        read_settings(path, command_named(name)) for name in ("extract", "fit", "evaluate", "report")
    )
    assert extract == {
        "device": "cpu",
        "checkpoint": str(tmp_path / "ddpm.safetensors"),
        "store": store,
        "quiet": True,
        "images": [str(tmp_path / "lungs")],
        "timesteps": "1,50",
        "noise_seed": "3",
        "update": True,
    }
    assert fit == {
        "device": "cpu",
        "store": store,
        "quiet": True,
        "head": str(tmp_path / "heads/a"),
        "kind": "logistic",
        "params": '{"fit_intercept": true}',
    }
    assert evaluate["heads"] == [str(tmp_path / "heads/a"), str(tmp_path / "heads/b")]
    assert report == {"quiet": True}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devise = 'cpu'", "'devise' means nothing to any command (did you mean device?)"),
        ("store = 'a'", "'store' means nothing to any command (did you mean STORE?)"),
        ("[fitt]\nseed = 1", "'fitt' means nothing to any command (did you mean fit?)"),
        ("[fit]\nitertions = 5", "[fit]: 'itertions' means nothing to fit (did you mean iterations?)"),
        ("[predict]\nSTORE = 'a'", "[predict]: 'STORE' means nothing to predict; known are PLACES"),
        ("[fit]\niterations = 'many'", "[fit]: iterations: 'many' is not a valid integer."),
        ("[fit]\ncalibrate = 1", "[fit]: calibrate is 1; it is a switch: true or false"),
        ("[fit]\nseed = true", "[fit]: seed is True, which cannot be said on a command line"),
        ("[fit]\nseed = 2020-01-01", "cannot be said on a command line; write it as a text"),
        ("split = 'train'", "split means something else to evaluate than to fit; write it in a table, [fit] say"),
        ("[fit]\nconfig = 'a'", "[fit]: 'config' means nothing to fit"),
        ("[extract]\nversion = true", "[extract]: 'version' means nothing to extract"),
        ("device = 'gpu'", "device: 'gpu' is not one of 'auto', 'cpu', 'cuda'."),
        ("device = ", "is no TOML"),
    ],
)
def test_what_a_file_says_that_cannot_be_followed_is_refused(tmp_path, text, said):
    path = written(tmp_path / "run.toml", text + "\n")
    with pytest.raises(TedmError) as refused:
        read_settings(path, command_named("inspect"))
    assert said in str(refused.value)
    result = call("inspect", "--environment", "--config", path)
    assert result.exit_code == 1
    assert result.stderr.startswith("tedm: ")
    assert "Traceback" not in result.stderr


def test_all_that_is_wrong_is_said_at_once_and_a_file_that_is_not_there(tmp_path):
    path = written(tmp_path / "run.toml", "devise = 1\n[fit]\nsede = 1\n[rank]\ntop = 0\n")
    with pytest.raises(TedmError) as refused:
        read_settings(path, command_named("fit"))
    assert len(str(refused.value).splitlines()) == 4
    assert "cannot read" in call("inspect", "--environment", "--config", tmp_path / "absent").stderr


def test_the_command_line_wins_and_arguments_can_stand_in_the_file(extracted, tmp_path):
    path = written(
        tmp_path / "run.toml", f'[fit]\nSTORE = "{extracted}"\nHEAD = "head"\nmethod = "timestep:50"\niterations = 3\n'
    )
    result = call("fit", "--config", path, "--method", "timestep:1", "--images", 2)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{tmp_path / 'head'}: timestep:1 (")
    assert "from 2 images" in result.stdout


def test_several_places_can_stand_in_the_file(tmp_path):
    path = written(tmp_path / "run.toml", '[report]\nFOLDER = ["a", "b"]\n')
    said = call("report", "--config", path).stderr
    assert said.startswith(f"tedm: {tmp_path}/a")
    assert "no_such" in call("report", "no_such", "--config", path).stderr


def test_what_was_saved_repeats_the_command(extracted, tmp_path, monkeypatch):
    """The values are those of the command line and of the file that it took, written as they were."""
    monkeypatch.chdir(tmp_path)
    first = written(tmp_path / "first.toml", '[rank]\nby = "peak"\n')
    Path("deep").mkdir()
    save_settings(
        Path("deep/run.toml"),
        command_named("fit"),
        {"store": str(extracted), "head": "deep/h", "timesteps": "1,50", "ridge": "0.5,1e3", "calibrate": True, "seed": "07"},
    )
    assert Path("deep/run.toml").read_text() == (
        f'[fit]\nSTORE = "{extracted}"\nHEAD = "h"\ntimesteps = [1, 50]\nridge = "0.5,1e3"\ncalibrate = true\nseed = "07"\n'
    )
    assert read_settings(Path("deep/run.toml"), command_named("fit"))["head"] == "deep/h"
    asked = ["rank", extracted, "no-head", "--config", first, "--top", 2, "--no-diverse", "--log", "log", "--save-config"]
    assert call(*asked, "deep/run.toml").exit_code == 1  # there is no such head; what was asked is kept
    text = Path("deep/run.toml").read_text()
    assert text.endswith(
        f'\n[rank]\nSTORE = "{extracted}"\nHEAD = "{tmp_path}/no-head"\nby = "peak"\ntop = 2\ndiverse = false\n'
        f'log = "{tmp_path}/log"\n'
    )
    assert call(*asked, "deep/run.toml").exit_code == 1
    assert Path("deep/run.toml").read_text() == text  # the same again changes nothing
    refused = call("rank", extracted, "another", "--save-config", "deep/run.toml")
    assert "has a table [rank] already; name another file with --save-config" in refused.stderr
    written(tmp_path / "top.toml", 'device = "cpu"\n')
    refused = call("rank", extracted, "another", "--save-config", "top.toml")
    assert "top.toml has device, which would be for rank too, already" in refused.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_no_two_parameters_of_a_command_have_one_word(name):
    command = command_named(name)
    settable = [param for param in command.params if param.expose_value]
    assert len(words_of(command)) == len(settable) + 3
