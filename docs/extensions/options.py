"""What sphinx-click makes of the commands, without the options that all commands share: one page lists those."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Leave the shared options out."""
    app.setup_extension("sphinx_click")
    app.connect("sphinx-click-process-options", _without_shared)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _without_shared(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    from tedm.cli.shared.common import COMMON

    shared = {option for param in context.command.params if param.name in COMMON for option in param.opts}
    kept: list[str] = []
    keep = True
    for line in lines:
        if line.startswith(".. option::"):
            keep = line.removeprefix(".. option::").split(",")[0].split()[0] not in shared
        if keep:
            kept.append(line)
    lines[:] = kept
