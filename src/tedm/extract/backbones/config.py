"""Settings that a user wrote, read one by one and refused in words that name the setting.

They come from the JSON file of `--backbone-config`, or lie beside the tensors in the checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue
from tedm.text import size

from .family import Content

LARGEST = 10_000_000  # bytes of a file of settings


def read_config(path: Path) -> dict[str, JsonValue]:
    """Return the settings in a JSON file.

    Raises
    ------
    TedmError
        If it cannot be read or holds no JSON object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        settings = json.loads(content) if len(content) <= LARGEST else None
    except OSError as error:
        raise TedmError(f"cannot read the settings {path}: {error.strerror}; check the path") from error
    except RecursionError as error:
        raise TedmError(f"{path} has lists in lists without end, which no settings need; write it anew") from error
    except ValueError as error:
        raise TedmError(f'{path} is no JSON: {error}. Write settings as an object, {{"image_size": 256}} say.') from error
    if len(content) > LARGEST:
        raise TedmError(f"{path} has more than {size(LARGEST)}, which no settings need; check the path")
    if not isinstance(settings, dict):
        raise TedmError(f'{path} holds no JSON object; write settings as {{"image_size": 256}}')
    return settings


def require(content: Content, kind: str, needed: Mapping[str, tuple[str, ...]], example: JsonObject) -> None:
    """Refuse a checkpoint without all that it has to be told, all at once; each of `needed` goes by one of several keys."""
    absent = [what for what, keys in needed.items() if not any(content.config.get(key) is not None for key in keys)]
    if absent:
        raise TedmError(
            f"checkpoint {content.name} is {kind}, and its tensors do not tell {', '.join(absent)}; "
            f"write a JSON file, {json.dumps(dict(example))} say, and name it with --backbone-config"
        )


def require_known(content: Content, known: Collection[str]) -> None:
    """Refuse a setting that means nothing: it is a misspelling of one that does."""
    unknown = [name for name in content.config if name not in known]
    if unknown:
        raise TedmError(
            f"the settings of checkpoint {content.name} have {', '.join(map(repr, unknown))}, which mean nothing here; "
            f"known are {', '.join(sorted(known))}"
        )


def integer(content: Content, name: str, default: int | None = None, *, least: int = 1) -> int:
    """Return a whole number."""
    value = _value(content, name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(content, name, value, f"a whole number of at least {least}")
    return value


def number(content: Content, name: str, default: float | None = None) -> float:
    """Return a finite number."""
    value = _value(content, name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise wrong(content, name, value, "a number")
    return float(value)


def boolean(content: Content, name: str, default: bool) -> bool:
    """Return true or false."""
    value = _value(content, name, default)
    if not isinstance(value, bool):
        raise wrong(content, name, value, "true or false")
    return value


def one_of(content: Content, name: str, default: str | None, choices: Collection[str]) -> str:
    """Return a word, one of a few."""
    value = _value(content, name, default)
    if not isinstance(value, str) or value not in choices:
        raise wrong(content, name, value, " or ".join(choices))
    return str(value)


def numbers(content: Content, name: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
    """Return numbers above zero: a list, or text with commas between."""
    value = _value(content, name, default)
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ()
    try:
        above_zero = [float(part) for part in parts]
    except (TypeError, ValueError):
        above_zero = []
    if not above_zero or any(not math.isfinite(each) or each <= 0 for each in above_zero):
        raise wrong(content, name, value, "numbers above zero")
    return tuple(above_zero)


def wrong(content: Content, name: str, value: object, expected: str) -> TedmError:
    """Return the refusal of a setting's value."""
    return TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected {expected}")


def _value(content: Content, name: str, default: JsonValue) -> JsonValue:
    value = content.config.get(name, default)
    if value is None:
        value = default
    if value is None:
        raise TedmError(f"checkpoint {content.name} needs the setting {name!r}; write it to the file of --backbone-config")
    return value


def class_label(content: Content, classes: int | None) -> int | None:
    """Return the class that all images are said to be of; None for a network without classes."""
    if not classes:
        if "class_label" in content.config:
            raise TedmError(f"checkpoint {content.name} is not class-conditional; leave out the setting 'class_label'")
        return None
    if "class_label" not in content.config:
        raise TedmError(
            f"checkpoint {content.name} is class-conditional; say of which of its {classes} classes all images are, with "
            f'"class_label": 0 (to {classes - 1}) in the file of --backbone-config'
        )
    label = integer(content, "class_label", least=0)
    if label >= classes:
        raise wrong(content, "class_label", label, f"a class from 0 to {classes - 1}")
    return label
