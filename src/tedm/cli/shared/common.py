"""The options that every command has: how loud it is, what it logs, where its settings are read and written."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tedm.cli.shared import options
from tedm.cli.shared.commands import name_of
from tedm.cli.shared.settings import Text, read_settings, save_settings, words_of
from tedm.cli.shared.voice import plainly, say_more

COMMON = ("quiet", "verbose", "log", "config", "save_config")
# What is done with the value of an option of every command.
Kept = Callable[[click.Context, click.Parameter, Any], object]
TYPED = "tedm.typed"  # what the parser found on the command line, as it stands there


def common_options() -> list[click.Parameter]:
    """Return the options, new for each command."""
    return [
        _option("--quiet", "Say nothing but warnings, errors and the result."),
        _option("--verbose", "Say more: which files, and how long each part takes."),
        _option("--log", "Append all that is said to this file, a line of JSON each.", file=True),
        _option(
            "--config",
            "Take settings from this TOML file; the command line wins (docs/commands.md).",
            file=True,
            callback=_configure,
            is_eager=True,
        ),
        _option("--save-config", "Write a TOML file that repeats this command, and go on.", file=True),
    ]


def _option(name: str, said: str, *, file: bool = False, callback: Kept | None = None, is_eager: bool = False) -> click.Option:
    """Return an option that no command sees: its value is kept aside."""
    callback = callback or _keep
    if not file:
        return click.Option([name], is_flag=True, expose_value=False, show_default=False, callback=callback, help=said)
    return click.Option(
        [name],
        type=options.PATH,
        metavar="FILE",
        is_eager=is_eager,
        expose_value=False,
        show_default=False,
        callback=callback,
        help=said,
    )


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> object:
    ctx.meta[f"tedm.{param.name}"] = value
    return value


def _configure(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Let a file say what the command line does not, before that is looked at."""
    ctx.meta["tedm.config"] = value
    if value is not None and not ctx.resilient_parsing:
        with plainly():
            ctx.default_map = {**(ctx.default_map or {}), **read_settings(value, ctx.command)}
    return value


@dataclass(frozen=True)
class Asked:
    """What a command was asked for besides its work.

    Parameters
    ----------
    quiet, verbose : bool
    log, config, save : Path or None
    given : dict
        What was asked of the work, on the command line or in the file, by names of parameters, as it was written.
    """

    quiet: bool
    verbose: bool
    log: Path | None
    config: Path | None
    save: Path | None
    given: dict[str, Text]

    @classmethod
    def of(cls, ctx: click.Context) -> Asked:
        """Return what a command's context has."""
        meta = ctx.meta
        quiet, verbose = bool(meta.get("tedm.quiet")), bool(meta.get("tedm.verbose"))
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose ask for opposites; give one of them", ctx)
        given = {}
        for param in words_of(ctx.command).values():
            name = str(param.name)
            source = ctx.get_parameter_source(name)
            if source is ParameterSource.COMMANDLINE:
                given[name] = _as_text(meta[TYPED][name])
            elif source is ParameterSource.DEFAULT_MAP and ctx.default_map is not None:
                given[name] = ctx.default_map[name]
        return cls(quiet, verbose, meta.get("tedm.log"), meta.get("tedm.config"), meta.get("tedm.save_config"), given)

    def save_for(self, command: click.Command) -> None:
        """Write the file that was asked for; see `save_settings`."""
        if self.save is not None:
            save_settings(self.save, command, self.given)

    def tell(self, ctx: click.Context) -> None:
        """Say what whoever wants to know more would ask first: which tedm, called how, reading and writing where."""
        words = words_of(ctx.command)
        try:
            which = version("tedm")
        except ImportError:
            which = "not installed"
        say_more(f"tedm {which}: {name_of(ctx.command)} in {Path.cwd()}")
        if self.config is not None:
            say_more(f"settings from {self.config.absolute()}")
        for word, param in words.items():
            if param.name in COMMON:
                continue
            for text in _each(self.given.get(str(param.name))):
                is_path = isinstance(param.type, click.Path | options.Store) and "://" not in text
                place = str(Path(text).absolute()) if is_path else text
                say_more(f"  {word}: {place if is_path else shlex.quote(place)}")


def _each(text: Text | None) -> Iterable[str]:
    if text is None:
        return []
    return text if isinstance(text, list) else [str(text).lower() if isinstance(text, bool) else text]


def _as_text(typed: object) -> Text:
    """Return what stood on the command line as the texts that it was."""
    if isinstance(typed, bool):
        return typed
    return [str(each) for each in typed] if isinstance(typed, list | tuple) else str(typed)
