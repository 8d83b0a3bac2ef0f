"""The directive `door`: all that a package offers, from its docstrings.

A package of tedm is used through its door, the names of its `__init__.pyi`. A name is shown with its full docstring where it is
offered first; another door that offers it too links there. Of a door with more names than its `__all__`, these are `:further:`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

DOORS = ("tedm", "tedm.extract", "tedm.store", "tedm.heads", "tedm.study", "tedm.show")
FIRST = DOORS[0]  # its names are offered by tedm.study, too


def setup(app: Sphinx) -> dict[str, bool]:
    """Know the directive."""
    app.add_directive("door", Door)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _named)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _skip(app: Sphinx, kind: str, name: str, *of: object) -> bool | None:
    return True if re.fullmatch(r"set_\w+_request", name) else None  # what scikit-learn adds to each estimator


def _named(app: Sphinx, kind: str, name: str, of: object, options: object, *signature: str | None) -> tuple[str | None, ...]:
    in_a_union, alone = r"TypeAliasForwardRef\('([\w.]+)'\)", r"(?<![~\w.])(tedm\.\w[\w.]+)"  # how an alias comes
    parts = (part and re.sub(r"<[^>]+>", "...", re.sub(in_a_union, r"\1", part)) for part in signature)  # <factory>
    return tuple(part and re.sub(alone, r"~\1", part) for part in parts)


class Door(SphinxDirective):
    """`.. door:: tedm.heads`."""

    required_arguments = 1
    option_spec: ClassVar = {"further": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Write what the door offers as text of its own, and have it read."""
        listed, further = names_of(self.arguments[0])
        return self.parse_text_to_nodes(text_of(self.arguments[0], further if "further" in self.options else listed))


def names_of(door: str) -> tuple[list[str], list[str]]:
    """Return the names in a package's `__all__`, and those that it offers besides, each in the order of the alphabet."""
    package = importlib.import_module(door)
    return sorted(package.__all__, key=str.lower), sorted(set(dir(package)) - set(package.__all__), key=str.lower)


def aliases() -> dict[str, str]:
    """Return where the doors' type aliases are: signatures name these instead of spelling them out."""
    found = {}
    for door in DOORS:
        package = importlib.import_module(door)
        found |= {name: f"{door}.{name}" for name in dir(package) if _is_alias(getattr(package, name))}
    return found | {name: f"tedm.jsons.{name}" for name in ("JsonObject", "JsonValue")}  # without an end, spelled out


def text_of(door: str, names: list[str]) -> str:
    """Return the reference of some of a door's names as reStructuredText."""
    return "\n\n".join([_table(door, names), *(_entry(door, name) for name in names)]) + "\n"


def _offered_first(door: str, name: str) -> bool:
    return door != FIRST and name in names_of(FIRST)[0]


def _table(door: str, names: list[str]) -> str:
    rows = [".. list-table::", "   :widths: auto", ""]
    for name in names:
        target = f"{FIRST if _offered_first(door, name) else door}.{name}"
        shown = f"{name} <{target}>" if not _offered_first(door, name) else f"{name}, as {target} <{target}>"
        rows += [f"   * - :py:obj:`{shown}`", f"     - {_first_sentence(door, name)}"]
    return "\n".join(rows)


def _entry(door: str, name: str) -> str:
    if _offered_first(door, name):
        return ""
    value = getattr(importlib.import_module(door), name)
    if inspect.isclass(value):
        return f".. autoclass:: {door}.{name}\n   :members:"
    if inspect.isroutine(value):
        return f".. autofunction:: {door}.{name}"
    words = ["A type alias."] * _is_alias(value) + [_words_at(door, name)]
    shown = [f"   :value: {_short(value)}"] if _short(value) else []
    return "\n".join([f".. py:data:: {door}.{name}", *shown, "", f"   {' '.join(words)}"])


def _is_alias(value: object) -> bool:
    return type(value).__module__ in ("typing", "types") and not inspect.isclass(value)


def _short(value: object) -> str:
    shown = repr(value).replace("typing.", "").replace("collections.abc.", "")
    return shown if len(shown) <= 160 and " at 0x" not in shown and "\n" not in shown else ""


def _first_sentence(door: str, name: str) -> str:
    value = getattr(importlib.import_module(door), name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return _words_at(door, name) or (f"``{_short(value)}``" if _short(value) else "")
    words = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return words if not words.startswith(f"{name}(") else ""  # what a dataclass without words says of itself


def _words_at(door: str, name: str) -> str:
    """Return the comment above or behind the line that gives a name its value."""
    package = importlib.import_module(door)
    stub = ast.parse(Path(str(package.__file__)).with_suffix(".pyi").read_text())
    (home,) = {
        line.module for line in stub.body if isinstance(line, ast.ImportFrom) for each in line.names if each.name == name
    }
    lines = Path(str(importlib.import_module(f"{door}.{home}").__file__)).read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(rf"(type )?{name}\b.*=", line):
            behind = re.search(r"  # (.*)$", line)
            above: list[str] = []
            while number and (comment := re.match(r"# (.*)$", lines[number - 1])):
                above.insert(0, comment[1])
                number -= 1
            words = " ".join([*above, *([behind[1]] if behind else [])])
            return words[:1].upper() + words[1:]
    return ""
