"""tedm-inspect: a checkpoint, a store and a head."""

from __future__ import annotations

from click.testing import CliRunner

from tedm.cli import inspect

COMMANDS = {"inspect": inspect.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_each_thing_can_be_inspected(extracted, fitted, checkpoint):
    assert "level1, channels 8, stride 1" in run("inspect", extracted).output
    assert ["rows", "share"] in [line.split() for line in run("inspect", fitted).output.splitlines()]
    assert "cosine, 1000 timesteps" in run("inspect", checkpoint).output
    assert '"family": "tedm"' in run("inspect", checkpoint, "--json").output
