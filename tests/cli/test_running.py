"""What commands share."""

from __future__ import annotations

import click
from click.testing import CliRunner

from tedm.cli import options
from tedm.cli.running import command_line


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
    assert (
        CliRunner().invoke(main, typed).output.strip() == """tedm-some 'my head' b --timesteps 1,50 --quick --out 'it'"'"'s'"""
    )
    assert CliRunner().invoke(main, []).output.strip() == "tedm-some"
