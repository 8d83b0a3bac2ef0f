"""What commands share."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from tedm.cli import options
from tedm.cli.running import command_line, say


@click.command()
@click.argument("heads", nargs=-1, type=options.PATH)
@click.option("--timesteps", type=options.IntegerList())
@click.option("--split", default="test")
@click.option("--quick", is_flag=True)
@click.option("--out", "path", type=options.PATH)
def main(**_: object) -> None:
    click.echo(command_line("tedm-some"))


def test_a_command_line_is_what_was_typed_without_defaults() -> None:
    typed = ["my head", "b", "--timesteps", "1,50", "--quick", "--out", "it's"]
    printed = CliRunner().invoke(main, typed).output
    assert shlex.split(printed) == ["tedm-some", *typed]
    assert CliRunner().invoke(main, []).output.strip() == "tedm-some"


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("image a\x1b[31m\u202e: gone\nsecond line")
    assert capsys.readouterr().err == "image a\\x1b[31m\\u202e: gone\nsecond line\n"
