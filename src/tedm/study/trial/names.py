"""The names of a study's folders: those of methods, made safe for every system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tedm.errors import TedmError
from tedm.names import as_one, problem_of


def folder_name(label: str) -> str:
    """Return the name of a method's folder.

    Raises
    ------
    TedmError
        If nothing of the label can stand in one.

    Examples
    --------
    >>> folder_name("timestep:50"), folder_name("tedm, long")
    ('timestep-50', 'tedm-long')
    """
    name = re.sub(r"[^\w.+=]+", "-", label).strip("-.")
    if problem := problem_of(name):
        raise TedmError(f"the name {label!r} {problem}; give another one with name")
    return name


def require_apart(labels: Iterable[str]) -> Iterator[str]:
    """Yield a line for each method that cannot be told from one before it, or whose folder would be the same."""
    owners: dict[str, str] = {}
    for label in labels:
        first = owners.get(folder := as_one(folder_name(label)))
        owners.setdefault(folder, label)
        if first == label:
            yield f"two methods are called {label}; give one of them a name of its own"
        elif first is not None:
            yield f"the methods {first} and {label} would have one folder; give one of them another name"
