"""What the tests of the plugin share."""

from __future__ import annotations

from click.testing import CliRunner

from tedm.__main__ import main


def run(*arguments: object) -> str:
    """Run a command that succeeds; what it printed."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output
