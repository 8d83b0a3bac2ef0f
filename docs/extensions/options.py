"""A page for each command, with what its options say of themselves.

`.. commands::` lists them; their pages lie in `reference/generated`, are written before pages are read, and are not kept. The
options that all commands share are on a page of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    import click
    from docutils import nodes
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Know the directive, have the pages written, and the shared options left out."""
    app.setup_extension("sphinx_click")
    app.add_directive("commands", Commands)
    app.connect("builder-inited", _write_pages)
    app.connect("sphinx-click-process-options", _without_shared)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Commands(SphinxDirective):
    """A table of all commands, in the order of the work."""

    def run(self) -> list[nodes.Node]:
        """Write it as text, and have that read."""
        from tedm.cli.shared.commands import COMMANDS

        rows = "\n".join(f"   * - :doc:`tedm {name} <generated/{name}>`\n     - {what}" for name, what in COMMANDS.items())
        pages = "\n".join(f"   generated/{name}" for name in COMMANDS)
        return self.parse_text_to_nodes(
            f".. list-table::\n   :widths: auto\n\n{rows}\n\n.. toctree::\n   :hidden:\n\n{pages}\n",
            allow_section_headings=True,
        )


def _write_pages(app: Sphinx) -> None:
    from tedm.cli.shared.commands import COMMANDS, command_named

    folder = Path(app.srcdir, "reference", "generated")
    folder.mkdir(exist_ok=True)
    for name in COMMANDS:
        page, module = folder / f"{name}.rst", command_named(name).callback.__module__
        text = f".. click:: {module}:main\n   :prog: tedm {name}\n"
        if not page.is_file() or page.read_text() != text:  # a page that is as it was is not made again
            page.write_text(text)
    for page in folder.glob("*.rst"):
        if page.stem not in COMMANDS:
            page.unlink()


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
