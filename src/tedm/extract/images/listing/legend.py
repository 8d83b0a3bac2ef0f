"""What classes are called and their colours: from a table `classes.csv`, from a data set, or as somebody wrote them.

A table of classes also says which values are classes: one that no mask shows yet is one all the same, and a value that is not
in the table is refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tedm.errors import TedmError, raise_listed
from tedm.foreign import require_plain
from tedm.text import called, from_entry, listed

TABLE = "classes.csv"
COLUMNS = ("value", "name", "colour")
LONGEST = 200


@dataclass(frozen=True)
class Legend:
    """Names of classes, by their values in masks.

    Parameters
    ----------
    names : mapping of int to str
        In the order of the classes.
    colours : mapping of int to str
        "#rrggbb", for all classes or for none.
    where : str
        What says so, for messages.
    ignore : int or None
        The value of pixels without a label, where it is said.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    colours: Mapping[int, str] = field(default_factory=dict)
    where: str = ""
    ignore: int | None = None

    def of(self, classes: Sequence[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return names and colours of classes, both empty where there are none; a class without a name has its value."""
        if not self.names:
            return (), ()
        names = tuple(called(value, self.names.get(value, "")) for value in classes)
        return names, tuple(self.colours[value] for value in classes) if set(classes) <= set(self.colours) else ()


NO_LEGEND = Legend()


def legend_beside(source: Path) -> Legend:
    """Read the table `classes.csv` of a folder, or of the folder that a manifest lies in; an empty legend without one."""
    table = (source if source.is_dir() else source.parent) / TABLE
    return read_legend(table) if table.is_file() and (source.is_dir() or source.suffix.lower() == ".csv") else NO_LEGEND


def read_legend(path: Path) -> Legend:
    """Read a table of classes: columns `value`, `name` and perhaps `colour` (or `color`), a class a line.

    Raises
    ------
    TedmError
        With all lines that are wrong.
    """
    try:
        require_plain(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            titles = [_title(title) for title in reader.fieldnames or ()]
            reader.fieldnames = titles
            rows = [(reader.line_num, row) for row in reader if any(row.values())]
    except (ValueError, csv.Error, OSError) as error:
        raise TedmError(
            f"{path}: no table of classes ({error}); save it as CSV in UTF-8, with columns value and name"
        ) from None
    if not {"value", "name"} <= set(titles):
        raise TedmError(
            f"{path}: columns are {listed(titles) or 'none'}; a table of classes has value and name, and perhaps colour"
        )
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    problems = []
    for line, row in rows:
        value, name = (from_entry((row[column] or "").strip()) for column in ("value", "name"))
        colour = (row.get("colour") or "").strip().lower()
        if not re.fullmatch(r"-?\d{1,9}", value):
            problems.append(f"line {line}: value {value[:20]!r} is no whole number")
        elif int(value) in names:
            problems.append(f"line {line}: value {value} is there twice")
        elif problem := problem_of_name(name, names):
            problems.append(f"line {line}: {problem}")
        elif colour and not re.fullmatch("#[0-9a-f]{6}", colour):
            problems.append(f"line {line}: colour {colour[:20]!r}; write it as #ff8000")
        else:
            names[int(value)] = name
            if colour:
                colours[int(value)] = colour
    raise_listed(f"{path} cannot be used", problems)
    if not names:
        raise TedmError(f"{path}: no class in it; write a line for each, value and name")
    if colours and (without := [value for value in names if value not in colours]):
        raise TedmError(f"{path}: class {without[0]} has no colour, and others have one; give each a colour, or none")
    return Legend(names, colours, str(path))


def problem_of_name(name: str, others: Mapping[int, str]) -> str | None:
    """Return why a class cannot be called so beside others, None if it can."""
    if same := [value for value, other in others.items() if other == name]:
        return f"name {name[:20]!r} is that of class {same[0]} too; give each class its own"
    if not name or not name.isprintable() or len(name) > LONGEST:
        return f"name {name[:20]!r}; a class is called by 1 to {LONGEST} characters on one line"
    return None


def _title(title: str) -> str:
    plain = title.strip().lower()
    return "colour" if plain == "color" else plain
