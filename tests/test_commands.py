"""Every command of the project: its help is instant, and wrong usage is told from failure."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = ("torch", "zarr", "dask", "distributed", "sklearn", "xgboost", "scipy", "matplotlib")

CALL = f"""
import importlib, sys
module, function = sys.argv[1].split(":")
sys.argv = sys.argv[2:]
try:
    code = getattr(importlib.import_module(module), function)()
except SystemExit as error:
    code = error.code
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print("loaded:", *heavy, file=sys.stderr)
sys.exit(code)
"""


def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call a command as its console script does, in a process of its own."""
    call = [sys.executable, "-c", CALL, COMMANDS[command], command, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage:")
    assert command in done.stdout
    assert done.stderr.splitlines()[-1].split() == ["loaded:"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_wrong_usage(command):
    module, _, function = COMMANDS[command].partition(":")
    done = CliRunner().invoke(getattr(importlib.import_module(module), function), ["--no-such-option"])
    assert done.exit_code == 2, done.stderr
    assert "--no-such-option" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
