"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from tedm.errors import TedmError


def require_new(folder: Path) -> None:
    """Refuse a place that is taken, before any work."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TedmError(f"{folder} exists and is not empty; name another folder, or delete it")


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
