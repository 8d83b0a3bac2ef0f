"""Tables of a TOML file as dataclasses: words that mean nothing and values of another type are found all at once."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from tedm.errors import TedmError
from tedm.foreign import bytes_of
from tedm.text import did_you_mean, listed

T = TypeVar("T")
MOST = 1_000_000  # bytes of a file that somebody writes by hand


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return what a TOML file holds.

    Raises
    ------
    TedmError
        If it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(bytes_of(path, most=MOST).decode("utf-8"))
    except OSError as error:
        raise TedmError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise TedmError(f"{path} is no TOML: {str(error).splitlines()[0]}") from error


def as_dataclass(kind: type[T], values: object, where: str, problems: list[str]) -> T | None:
    """Make a dataclass of a table.

    Parameters
    ----------
    kind : type
        Whose fields are the words that the table may have, and their types those of the values.
    values : object
        As it was read.
    where : str
        What messages call the table; empty for the file itself.
    problems : list of str
        Takes a line for each word that is not known, is missing, or has a value of another type.

    Returns
    -------
    kind or None
        None where there was a problem.
    """
    before, start = len(problems), f"{where}: " if where else ""
    if not isinstance(values, Mapping):
        problems.append(f"{start}should be a table, got {_short(values)}")
        return None
    hints, known = get_type_hints(kind), fields(kind)  # type: ignore[arg-type]
    names = [field.name for field in known]
    problems += [f"{start}{word!r} means nothing here{_meant(word, names)}" for word in values if word not in names]
    made: dict[str, object] = {}
    for field in known:
        if field.name in values:
            try:
                made[field.name] = msgspec.convert(values[field.name], hints[field.name])
            except msgspec.ValidationError as error:
                wanted = _choices(hints[field.name], values[field.name]) or str(error)
                problems.append(f"{start}{field.name} is {_short(values[field.name])}: {wanted}")
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.append(f"{start}{field.name} is missing")
    if len(problems) > before:
        return None
    try:
        return kind(**made)
    except TedmError as error:
        problems.append(f"{start}{error}")
        return None


def _meant(word: str, names: Collection[str]) -> str:
    return did_you_mean(word, names) or f"; known are {listed(names)}"


def _choices(hint: object, value: object) -> str:
    """Say which words a type takes, if it is one of some words."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    words = [word for each in kinds if get_origin(each) is Literal for word in get_args(each)]
    if not words:
        return ""
    return f"choose one of {listed(words)}" + (did_you_mean(value, words) if isinstance(value, str) else "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
