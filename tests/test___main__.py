"""tedm: every command under one name."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tedm.__main__ import main
from tedm.cli.shared.commands import COMMANDS

SCRIPTS = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]["scripts"]


def test_the_help_lists_every_command_in_the_order_of_the_work_with_a_line_each():
    lines = CliRunner().invoke(main, ["--help"], prog_name="tedm").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(len(line.split()) > 3 for line in lines)
    assert {f"tedm-{name}" for name in COMMANDS} | {"tedm"} == set(SCRIPTS)


def test_the_help_imports_no_command_and_nothing_heavy():
    code = """import sys
from tedm.__main__ import main
try:
    main(["--help"], prog_name="tedm")
except SystemExit:
    loaded = sorted(sys.modules)
print([name for name in loaded if name.partition(".")[0] in ("torch", "numpy", "zarr", "dask")])
print([name for name in loaded if name.startswith("tedm.") and not name.startswith("tedm.cli.shared")])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = ["tedm.__main__", "tedm.cli", "tedm.errors", "tedm.files", "tedm.jsons", "tedm.locks", "tedm.text"]
    assert done.stdout.splitlines()[-2:] == ["[]", str(own)]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_part_of_tedm_is_the_command_of_that_name(name):
    module, _, function = SCRIPTS[f"tedm-{name}"].partition(":")
    alone = CliRunner().invoke(getattr(importlib.import_module(module), function), ["--help"], prog_name=f"tedm-{name}")
    part = CliRunner().invoke(main, [name, "--help"], prog_name="tedm")
    assert part.stdout.startswith(f"Usage: tedm {name} ")
    assert part.stdout.split()[3:] == alone.stdout.split()[2:]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("extrct", "there is no command 'extrct' (did you mean extract?)"),
        ("tedm-fit", "there is no command 'tedm-fit' (did you mean fit?)"),
        ("banana", "there is no command 'banana'; tedm --help lists them"),
    ],
)
def test_a_misspelt_command_is_told_what_may_be_meant(typed, said):
    result = CliRunner().invoke(main, [typed, "a", "b"])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_part_ends_as_the_command_does(tmp_path):
    result = CliRunner().invoke(main, ["report", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert result.stderr.startswith("tedm: ")
    assert CliRunner().invoke(main, ["report", "--no-such-option"]).exit_code == 2
