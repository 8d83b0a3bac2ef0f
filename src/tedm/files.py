"""Files and folders that are there whole or not at all.

Both are written aside, as `.NAME.partial`, and renamed when whole. Whoever writes holds a lock on what lies aside: a second run
is refused, and what a killed process left is known by having no lock. Links are followed: what a link names is written.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.locks import hold_folder, let_go, open_alone
from tedm.text import entry

PLACE = "name another place"
ALLOW = "name another place, or allow that this one is written to"
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_HELD: set[Path] = set()  # places that this process has reserved


def require_new(folder: Path) -> None:
    """Refuse a place that is taken, before any work."""
    place = place_of(folder)
    try:
        taken = place.exists() and (not place.is_dir() or any(place.iterdir()))
    except OSError as error:
        raise TedmError(f"cannot look into {folder}: {error.strerror or error}; name another folder") from error
    if taken:
        raise TedmError(f"{folder} exists and is not empty; name another folder, or delete it")


def require_writable(path: Path | None, *, what: str, remedy: str = PLACE) -> None:
    """Refuse a file that `write_whole` could not write, before any work; what is there stays as it is."""
    if path is None:
        return
    place = place_of(path)
    if place.is_dir():
        raise TedmError(f"cannot write {what} {path}: it is a folder; {remedy}")
    if not _is_special(place):
        with _plainly(f"cannot write {what} {path}", remedy):
            _try(place.parent)


def place_of(path: Path) -> Path:
    """Return where a path leads, all links followed, whether there is something or not.

    Raises
    ------
    TedmError
        If its links go round in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise TedmError(f"{path} cannot be followed ({error}); {PLACE}") from error


def free_space(path: Path) -> int:
    """Return the bytes that are free on the disk where a file or folder is, or is to be."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def beside(folder: Path, ending: str) -> Path:
    """Return the hidden file or folder that belongs to a folder and lies beside it, `.NAME` with an ending."""
    place = place_of(folder)
    return place.with_name(f".{place.name}{ending}")


def discard(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, if it is there; a link is deleted, not what it names."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_folder(folder: Path, *, remedy: str = PLACE) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises
    ------
    TedmError
        If it cannot be made; `remedy` is a clause of what the user can do.
    """
    with _plainly(f"cannot make the folder {folder}", remedy):
        place_of(folder).mkdir(parents=True, exist_ok=True)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; an `OSError` if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes, *, what: str = "", remedy: str) -> None:
    """Write a file aside, and rename it when it is whole.

    Parameters
    ----------
    path : Path
        A device or a pipe is written to as it is.
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
    place = place_of(path)
    with _plainly(f"cannot write {what} {path}" if what else f"cannot write {path}", remedy):
        if _is_special(place):
            place.write_bytes(content)
            return
        aside = _aside(place)
        with open_alone(aside, path) as file:
            try:
                file.write(content)
                file.flush()
                aside.replace(place)
            except BaseException:  # Ctrl-C too
                aside.unlink(missing_ok=True)
                raise


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
def reserved(folder: Path | None, *, what: str, remedy: str = PLACE) -> Iterator[None]:
    """Hold a place during the work for the folder that `new_folder` will write in its end, and refuse now what it would refuse.

    Parameters
    ----------
    folder : Path or None
        Not there yet, or empty; None holds nothing.
    what, remedy
        See `new_folder`.

    Raises
    ------
    TedmError
        If the folder is taken, cannot be written, or another process holds it.
    """
    place = None if folder is None else place_of(folder)
    if folder is None or place is None or place in _HELD:
        yield
        return
    require_new(folder)
    if place.exists() and (place == Path.cwd() or os.path.ismount(place)):
        why = "a disk is mounted there" if os.path.ismount(place) else "it is the current folder"
        raise TedmError(f"{folder} cannot be replaced by {what}: {why}; name a new folder in it, {folder / 'out'} say")
    aside = _aside(place)
    with _made_above(place):
        with _plainly(f"cannot write {what} {folder}", remedy):
            if aside.is_symlink() or aside.is_file():
                aside.unlink()
            lock = hold_folder(aside, folder)
        _HELD.add(place)
        try:
            require_new(folder)  # whoever held it before may have finished
            with _plainly(f"cannot write {what} {folder}", remedy):
                for left in aside.iterdir():  # by a process that was killed: it has no lock
                    discard(left)
                _try(aside)
            yield
        finally:
            _HELD.discard(place)
            shutil.rmtree(aside, ignore_errors=True)
            let_go(lock)


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
        If the folder is taken, cannot be written, or another process writes it.
    """
    with reserved(folder, what=what, remedy=remedy), _plainly(f"cannot write {what} {folder}", remedy):
        place = place_of(folder)
        aside = _aside(place)
        aside.mkdir(parents=True, exist_ok=True)  # it may have been deleted during the work, with what is above it
        yield aside
        if place.exists():
            place.rmdir()
        aside.rename(place)


@contextlib.contextmanager
def filled_folder(folder: Path, *, remedy: str = PLACE, require: Callable[[Path], None] = require_new) -> Iterator[Path]:
    """Give a folder to fill file by file; what is finished stays there when the block fails.

    Parameters
    ----------
    folder : Path
        It is deleted again if the block fails before the first file.
    remedy : str
        What the user can do where it cannot be written, a clause.
    require : callable
        Refuses a folder that is not to be filled; the default refuses one with anything in it.

    Yields
    ------
    Path
        Where it is, links followed.

    Raises
    ------
    TedmError
        If the folder is taken, cannot be written, or another process fills it.
    """
    require(folder)
    place = place_of(folder)
    with _made_above(place / "file"):
        make_folder(folder, remedy=remedy)
        with _plainly(f"cannot write to {folder}", remedy):
            _try(place)
            lock = hold_folder(place, folder)
        try:
            require(folder)
            yield place
        finally:
            let_go(lock)


def require_there(paths: Iterable[Path], folder: Path) -> None:
    """Refuse to speak of success where files are gone that were written: somebody moved or deleted the folder meanwhile."""
    paths = list(paths)
    gone = [path for path in paths if not path.exists()]
    if gone:
        raise TedmError(
            f"{len(gone)} of the {len(paths)} files that were written to {folder} are not there any more ({gone[0].name} "
            "say): it was moved or deleted during the work; run the same command again and leave the folder where it is"
        )


@contextlib.contextmanager
def _plainly(cannot: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TedmError(f"{cannot}: {error.strerror or error}; {what_helps(error, remedy)}") from error


def what_helps(error: OSError, remedy: str) -> str:
    """Return what the user can do where something cannot be written: a remedy, unless it is room, which would not help."""
    return ALLOW if error.errno in FORBIDDEN and "make room" in remedy else remedy


@contextlib.contextmanager
def _made_above(place: Path) -> Iterator[None]:
    """Delete the folders above a place again that were made for it, if the block fails and nothing is in them."""
    missing = [above for above in place.parents if not above.exists()]
    try:
        yield
    except BaseException:
        for above in missing:
            with contextlib.suppress(OSError):
                above.rmdir()
        raise


def _aside(place: Path) -> Path:
    """Return where something is written before it is whole; a name may have 255 bytes."""
    name = place.name if len(os.fsencode(place.name)) < 240 else hashlib.sha256(os.fsencode(place.name)).hexdigest()
    return place.with_name(f".{name}.partial")


def _is_special(place: Path) -> bool:
    return place.exists() and not place.is_file() and not place.is_dir()


def _try(folder: Path) -> None:
    """Write a block to a folder, and nothing of it is left; an `OSError` where that fails."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))
