"""tedm: every command under one name, `tedm extract` for `tedm-extract`."""

from __future__ import annotations

import click

from tedm.cli.shared import options
from tedm.cli.shared.commands import COMMANDS, command_named
from tedm.cli.shared.running import printed_or_said
from tedm.text import did_you_mean


class Commands(click.Group):
    """The commands by name: none is imported before it is called."""

    main = printed_or_said(click.Group.main)  # type: ignore[assignment]  # it has two signatures

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is no such one."""
        return command_named(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or say which may be meant."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS and not ctx.resilient_parsing:
            hint = did_you_mean(name.removeprefix("tedm-"), self.list_commands(ctx)) or "; tedm --help lists them"
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names with a line each."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands)
@options.VERSION
def main() -> None:
    """Segment images from few labels: features of a diffusion model, kept in a store, and small heads that learn from them.

    The commands stand in the order of the work. Each says more of itself: tedm extract --help. Each is also there under a name
    of its own: tedm-extract.
    """


if __name__ == "__main__":
    main(prog_name="tedm")
