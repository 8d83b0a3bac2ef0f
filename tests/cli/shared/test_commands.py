"""The commands by name."""

from __future__ import annotations

import pytest

from tedm.cli.shared.commands import COMMANDS, command_named


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_its_name(name):
    callback = command_named(name).callback
    assert callback is not None
    folder = "exports." if name.startswith("export") else ""
    assert callback.__module__ == f"tedm.cli.{folder}{name.replace('-', '_')}"
