"""The options that every command has, under both of its names."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from tedm.__main__ import main
from tedm.cli import inspect
from tedm.cli.shared.commands import COMMANDS, command_named
from tedm.cli.shared.common import COMMON, common_options


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_them_and_lists_them_apart(name):
    assert [param.name for param in command_named(name).params][-len(COMMON) :] == list(COMMON)
    own, _, common = call(name, "--help").stdout.partition("Options of every command:")
    for param in common_options():
        assert param.opts[0] not in own.split()
        assert param.opts[0] in common.split()


def test_a_command_is_logged_under_either_name_and_its_last_line_is_how_it_ended(extracted, tmp_path):
    log = tmp_path / "log"
    assert call("inspect", extracted, "--log", log, "--quiet").stderr == ""
    result = CliRunner().invoke(inspect.main, [str(tmp_path / "absent"), "--log", str(log)])
    assert result.exit_code == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["message"], line.get("status")) for line in lines] == [
        ("ended", 0),
        (f"{tmp_path / 'absent'} does not exist", None),
        ("ended", 1),
    ]
    assert {line["command"] for line in lines} == {"inspect"}
    assert lines[1]["level"] == "error"


def test_a_verbose_command_says_which_files_and_how_long(extracted, tmp_path):
    said = call("inspect", extracted, "--verbose", "--log", tmp_path / "log").stderr.splitlines()
    assert said[0].startswith("tedm ")
    assert f"  WHAT: {extracted}" in said
    assert said[-1].startswith("took ")
    assert (tmp_path / "log").read_text().count("\n") == len(said) + 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--quiet", "--verbose"], 2, "--quiet and --verbose ask for opposites; give one of them"),
        (["--log", "."], 1, "tedm: cannot write the log .: Is a directory; name another file with --log"),
        (["--save-config", "absent/run.toml"], 1, "tedm: cannot write the settings absent/run.toml: No such file"),
        (["--config", "."], 1, "tedm: . is no TOML"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_the_work(extracted, options, code, said):
    result = call("inspect", extracted, *options)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_a_command_that_is_stopped_says_so_in_its_log(tmp_path):
    code = """import signal, click
from tedm.cli.shared.running import Command, plain_errors
@click.command(cls=Command)
@plain_errors
def main():
    signal.raise_signal(signal.SIGTERM)
main()"""
    done = subprocess.run([sys.executable, "-c", code, "--log", tmp_path / "log"], capture_output=True, text=True, check=False)
    assert done.returncode == 143
    assert done.stderr.startswith("tedm: terminated; what was finished is safe")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[0]["message"].startswith("terminated; what was finished is safe")
    assert (lines[0]["level"], lines[-1]["status"]) == ("error", 143)
