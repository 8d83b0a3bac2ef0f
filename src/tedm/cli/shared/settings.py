"""A command's settings in a TOML file: `--config` reads it, `--save-config` writes it.

Words at the top of the file are for every command that has them, those in a table [fit] for tedm-fit. Options are written as on
the command line, without the dashes in front; arguments in capitals, as in the line of usage. Paths are relative to the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from tedm.cli.shared import options
from tedm.cli.shared.commands import COMMANDS, command_named, name_of
from tedm.errors import TedmError, raise_listed
from tedm.text import did_you_mean, listed

Text = str | bool | list[str]  # what stands for a value on a command line, a switch, or several values
# Words that mean the same to commands whose help says it in other words; and to whom one means something else after all.
ALIKE = ("checkpoint", "threads", "intensity-range")
OTHERWISE = {"checkpoint": "fit"}


def word_of(param: click.Parameter) -> str:
    """Return what a parameter is called in the file: `noise-seed` for --noise-seed, `STORE` for an argument."""
    if isinstance(param, click.Argument):
        metavar = (param.metavar or "").strip(".")
        return metavar if re.fullmatch(r"[A-Z_]+", metavar) else str(param.name).upper()
    return next(name for name in param.opts if name.startswith("--")).removeprefix("--")


def words_of(command: click.Command) -> dict[str, click.Parameter]:
    """Return the parameters of a command that a file may set, by their words."""
    common = [param for param in command.params if param.name in ("quiet", "verbose", "log")]
    own = [param for param in command.params if param.expose_value]
    return {word_of(param): param for param in (*own, *common)}


def read_settings(path: Path, command: click.Command) -> dict[str, Text]:
    """Read what a file sets of a command.

    Parameters
    ----------
    path : Path
    command : click.Command
        One of tedm's.

    Returns
    -------
    dict
        By names of parameters, as texts that click converts.

    Raises
    ------
    TedmError
        One that lists everything that is wrong in the file, for this command or another.
    """
    from tedm.study.trial.toml_tables import read_toml

    values, problems = read_toml(path), list[str]()
    words = {name: words_of(command_named(name)) for name in COMMANDS}
    mine = name_of(command)
    chosen: dict[str, Text] = {}
    tables = {word: value for word, value in values.items() if isinstance(value, Mapping) and word in COMMANDS}
    for word, value in values.items():
        if word in tables:
            continue
        owners = [name for name in COMMANDS if _known(word) in words[name]]
        if not owners:
            every = {each for of in words.values() for each in of} | set(COMMANDS)
            problems.append(f"{word!r} means nothing to any command{_hint(word, sorted(every))}")
        elif other := _other_meaning(_known(word), owners, words):
            problems.append(
                f"{word} means something else to {other} than to {owners[0]}; write it in a table, [{owners[0]}] say"
            )
        else:
            param = words[owners[0]][_known(word)]
            owners = [name for name in owners if OTHERWISE.get(_known(word)) != name]
            made = _value(value, param, word, path, problems)
            if mine in owners and made is not None:
                chosen[str(words[mine][_known(word)].name)] = made
    for name, table in tables.items():
        for word, value in table.items():
            param_or_none = words[name].get(_known(word))
            if param_or_none is None:
                problems.append(f"[{name}]: {word!r} means nothing to {name}{_hint(word, list(words[name]))}")
                continue
            made = _value(value, param_or_none, f"[{name}]: {word}", path, problems)
            if name == mine and made is not None:
                chosen[str(param_or_none.name)] = made
    raise_listed(f"{path} cannot be followed", problems)
    return chosen


def _known(word: str) -> str:
    """Return a word as `word_of` has it: with dashes, where somebody wrote the underscores of Python."""
    return word if word.isupper() else word.replace("_", "-")


def _hint(word: str, words: list[str]) -> str:
    return did_you_mean(_known(word), words) or (f"; known are {listed(words, most=12)}" if len(words) < 60 else "")


def _other_meaning(word: str, owners: Sequence[str], words: Mapping[str, Mapping[str, click.Parameter]]) -> str:
    """Return the first command to which a word means something else than to the first that has it; empty if there is none."""
    params = [words[name][word] for name in owners]
    if word in ALIKE or isinstance(params[0], click.Argument):
        return ""
    helps = [getattr(param, "help", "") for param in params]
    return next((name for name, said in zip(owners, helps, strict=True) if said != helps[0]), "")


def _value(value: object, param: click.Parameter, where: str, path: Path, problems: list[str]) -> Text | None:
    """Return a value as text, checked as the command line's are; None, and a line in `problems`, where it is none."""
    if isinstance(param, click.Option) and param.is_flag:
        if isinstance(value, bool):
            return value
        problems.append(f"{where} is {value!r}; it is a switch: true or false")
        return None
    several = param.nargs == -1 or param.multiple if isinstance(param, click.Option) else param.nargs == -1
    text: Text | None
    if several:
        parts = [_text(each) for each in (value if isinstance(value, list) else [value])]
        text = None if None in parts else [_placed(str(part), param, path) for part in parts]
    elif isinstance(value, list):
        parts = [_text(each) for each in value]
        text = None if None in parts else ",".join(map(str, parts))
    elif isinstance(value, Mapping) and isinstance(param.type, options.Json | options.ClassWeights):
        text = json.dumps(value)
    else:
        text = _text(value)
        text = None if text is None else _placed(text, param, path)
    if text is None:
        problems.append(f"{where} is {value!r}, which cannot be said on a command line; write it as a text")
        return None
    try:
        param.type_cast_value(click.Context(click.Command("")), text)
    except click.UsageError as error:
        problems.append(f"{where}: {error.message}")
        return None
    return text


def _text(value: object) -> str | None:
    """Return a number or a text as it is typed; None for anything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _is_path(param: click.Parameter, text: str) -> bool:
    return isinstance(param.type, click.Path | options.Store) and "://" not in text


def _placed(text: str, param: click.Parameter, path: Path) -> str:
    """Return a path that is relative to the file as one that is relative to where the command runs."""
    return str(path.parent / text) if _is_path(param, text) else text


def save_settings(path: Path, command: click.Command, given: Mapping[str, Text]) -> None:
    """Write a table that repeats a command, to a new file or behind the tables of other commands.

    Parameters
    ----------
    path : Path
    command : click.Command
    given : mapping
        The values that were asked for, by names of parameters, as texts.

    Raises
    ------
    TedmError
        If the file cannot be written, or has something of this command already.
    """
    from tedm.files import place_of, write_whole
    from tedm.study.trial.toml_tables import read_toml

    name, before = name_of(command), ""
    lines = [f"[{name}]"]
    for word, param in words_of(command).items():
        if param.name in given:
            lines.append(f"{word} = {_toml(given[str(param.name)], param, place_of(path).parent)}")
    table = "\n".join(lines) + "\n"
    if path.exists():
        there = read_toml(path)
        before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n"
        if f"\n{table}\n" in f"\n{before}":
            return
        others = [word for word in there if word not in COMMANDS]
        if name in there or others:
            what = f"a table [{name}]" if name in there else f"{listed(others, most=3)}, which would be for {name} too,"
            raise TedmError(f"{path} has {what} already; name another file with --save-config")
    write_whole(path, (before + table).encode(), what="the settings", remedy="name another file with --save-config")


def _toml(text: Text, param: click.Parameter, folder: Path) -> str:
    if isinstance(text, bool):
        return "true" if text else "false"
    if isinstance(text, list):
        return f"[{', '.join(_quoted(_seen_from(folder, each) if _is_path(param, each) else each) for each in text)}]"
    if _is_path(param, text):
        return _quoted(_seen_from(folder, text))
    parts = text.split(",")
    if all(_is_number(part) for part in parts):
        return text if len(parts) == 1 else f"[{', '.join(parts)}]"
    return _quoted(text)


def _is_number(text: str) -> bool:
    """Whether a text is a number that is read as the same text."""
    return re.fullmatch(r"0|-?[1-9]\d{0,15}", text) is not None or (
        re.fullmatch(r"-?\d+\.\d+", text) is not None and repr(float(text)) == text
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _seen_from(folder: Path, text: str) -> str:
    """Return a path relative to a folder where it lies in it, and from the root where it does not."""
    place = Path(text).absolute()
    return str(place.relative_to(folder)) if place.is_relative_to(folder) else str(place)
