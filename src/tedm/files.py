"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.text import entry


def require_new(folder: Path) -> None:
    """Refuse a place that is taken, before any work."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TedmError(f"{folder} exists and is not empty; name another folder, or delete it")


def make_folder(folder: Path, *, remedy: str = "name another place") -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises
    ------
    TedmError
        If it cannot be made; `remedy` is a clause of what the user can do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TedmError(f"cannot make the folder {folder}: {error.strerror or error}; {remedy}") from error


def write_whole(path: Path, content: bytes, *, what: str = "", remedy: str) -> None:
    """Write a file aside, and rename it when it is whole.

    Parameters
    ----------
    path : Path
    content : bytes
    what : str
        What the file is, for the message: "the checkpoint", say.
    remedy : str
        What the user can do where it cannot be written, a clause.

    Raises
    ------
    TedmError
        If it cannot be written; what was at `path` is still there.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        named = f"{what} {path}" if what else str(path)
        raise TedmError(f"cannot write {named}: {error.strerror or error}; {remedy}") from error


def table_text(rows: Iterable[Sequence[object]]) -> str:
    """Return the text of a CSV: rows of entries, the titles of the columns first.

    No text is a formula for a spreadsheet; see `tedm.text.entry`, and `tedm.text.from_entry` for whoever reads it.

    Examples
    --------
    >>> table_text([["image", "dice"], ["a, b", 0.5]])
    'image,dice\\n"a, b",0.5\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([entry(value) for value in row] for row in rows)
    return out.getvalue()


def write_table(path: Path, rows: Iterable[Sequence[object]], *, what: str = "the table", remedy: str) -> None:
    """Write rows as a CSV, whole or not at all; see `write_whole`."""
    write_whole(path, table_text(rows).encode("utf-8", "surrogateescape"), what=what, remedy=remedy)


@contextlib.contextmanager
def new_folder(folder: Path, *, what: str, remedy: str) -> Iterator[Path]:
    """Give a folder aside to write to, and rename it to `folder` when it is whole.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    what : str
        What the folder is, for the message: "the head", say.
    remedy : str
        What the user can do where it cannot be written, a clause.

    Yields
    ------
    Path
        The folder aside; nothing of it is left when the block fails.

    Raises
    ------
    TedmError
        If the folder is taken, or cannot be written.
    """
    require_new(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        raise TedmError(f"cannot write {what} {folder}: {error.strerror or error}; {remedy}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
