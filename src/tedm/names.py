"""What an image may be called, since its name becomes a file's.

A name is one part of a path on every system: it leads nowhere else, can be seen, and is none that a system keeps for a device.
A store from elsewhere can hold any names and can be looked at, but nothing is written under one that is no file's name.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from tedm.errors import TedmError, raise_listed
from tedm.text import shown

LONGEST = 200  # bytes: a file system takes 255, and endings are added
_DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))])


def problem_of(name: str) -> str | None:
    """Return why a name cannot be a file's, a clause that goes on after it; None if it can.

    Examples
    --------
    >>> problem_of("scan 1"), problem_of("../scan 1")
    (None, "cannot be a file's name, which it will become")
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        return "cannot be a file's name, which it will become"
    if name.partition(".")[0].strip().casefold() in _DEVICES:
        return "is a device's name on Windows and cannot be a file's, which it will become"
    if os.name == "nt" and (any(sign in name for sign in '<>:"|?*') or name.endswith((" ", "."))):
        return "cannot be a file's name on Windows, which it will become"
    if len(os.fsencode(name)) > LONGEST:
        return f"is too long to become a file's name: more than {LONGEST} bytes"
    return None


def quoted(name: str) -> str:
    """Return a name in quotes for a message, its beginning if it is long."""
    return f"{name[:20]!r}..." if len(name) > LONGEST else repr(name)


def file_of(folder: Path, name: str, ending: str) -> Path:
    """Return the file of an image in a folder; a `TedmError` if the name is no file's name, or leads elsewhere."""
    if problem := problem_of(name):
        raise TedmError(f"image {quoted(name)}: the name {problem}; write the image under another name")
    return folder / f"{name}{ending}"


def require_files(files: Mapping[str, Iterable[str]], *, what: str, remedy: str) -> None:
    """Refuse outputs of which two would be one file, or one would be no file, before any is written.

    Names that differ in nothing but large and small letters, or in how accents are composed, are one file on some systems.

    Parameters
    ----------
    files : mapping of str to iterable of str
        The files of each image.
    what : str
        What cannot be done, a clause.
    remedy : str
        What the user can do where two are the same, a clause.

    Raises
    ------
    TedmError
        One that lists all of them.
    """
    problems = [
        f"image {quoted(name)}: the name {problem}; extract the image under another name (column `name` of a manifest)"
        for name in files
        if (problem := problem_of(name))
    ]
    owners: dict[str, tuple[str, str]] = {}
    for name, its in files.items():
        for file in its:
            other, first = owners.setdefault(as_one(file), (name, file))
            if other != name:
                both = f"{shown(file)}" if file == first else f"{shown(first)} and {shown(file)}, the same file on some systems"
                problems.append(f"images {quoted(other)} and {quoted(name)} would both become {both}; {remedy}")
            elif first != file:
                problems.append(f"image {quoted(name)} would become {shown(file)} twice; {remedy}")
    raise_listed(what, problems)


def as_one(file: str) -> str:
    """Return what is equal for names that some file systems hold to be the same.

    Examples
    --------
    >>> as_one("Scan e\u0301") == as_one("scan \u00e9")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", file).casefold())
