"""Where a store lies: a folder, or a prefix of keys in a bucket.

Zarr reads and writes arrays in either. What it does not offer is here: what is there and how large it is, in one listing; a
document that is written only if nobody has written it yet; and refusals of either kind as one line.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import re
import stat
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tedm.errors import TedmError

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from tedm.chunks.encoding import Piece

# Files are written aside under a name with this ending and renamed when they are whole; zarr does the same.
PARTIAL = ".partial"
# How often a write begins anew because its partial file was taken for that of a killed process.
ATTEMPTS = 100
PIECES_AT_ONCE = 1024  # the most that Linux and macOS take
Location = str | Path
# Answers of S3 that are the user's to mend; all others are shown as they come.
_REFUSALS = {
    "NoSuchBucket": "there is no such bucket; make it first, or check its name and AWS_ENDPOINT_URL",
    "InvalidAccessKeyId": "the access key is unknown there; check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
    "SignatureDoesNotMatch": "the secret key is not the access key's; check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "access is denied; ask the bucket's owner for the right to list, read and write there",
    "169.254.169.254": "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}


class Place(Protocol):
    """A tree of files with names like `image/c.0.0.0.0`, wherever it lies."""

    @property
    def address(self) -> Location:
        """What finds it again from another process."""

    def zarr(self) -> Store:
        """Return the same place for Zarr."""

    def sizes(self, under: str = "") -> dict[str, int]:
        """Every key, or those of one folder, with its bytes; empty if there is nothing."""

    def read(self, key: str) -> bytes | None:
        """Return a file's content, or None if there is none."""

    def put_new(self, key: str, content: bytes) -> None:
        """Write a file unless there is one: of several processes the first one wins, whole."""

    def put(self, key: str, pieces: Sequence[Piece]) -> None:
        """Write a file of these pieces, whole, in place of one that may be there."""

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens if there is none."""


def place(location: Location) -> Place:
    """Return the place that a path or a URL names.

    Parameters
    ----------
    location : str or Path
        A local path, or a URL that obstore opens: `s3://bucket/prefix`.

    Raises
    ------
    TedmError
        If a URL needs the extra `s3`, or is none.

    """
    if is_url(location):
        return Bucket(str(location))
    return Folder(Path(location))


def is_url(location: Location) -> bool:
    """Whether this is a URL and not a path.

    Examples
    --------
    >>> is_url("s3://bucket/features"), is_url("features")
    (True, False)
    """
    return isinstance(location, str) and re.match(r"[a-z][a-z0-9+]+://", location) is not None


def inside(location: Location, name: str) -> Location:
    """Return where something of this name lies in what a path or URL names.

    Examples
    --------
    >>> inside("s3://bucket/features/", "views")
    's3://bucket/features/views'
    """
    return f"{str(location).rstrip('/')}/{name}" if is_url(location) else Path(location) / name


class Folder:
    """A folder of the file system; see `Place`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def address(self) -> Path:
        """The path as it was given."""
        return self._path

    def zarr(self) -> Store:
        """See `Place`."""
        from zarr.storage import LocalStore  # a fifth of a second to import, and an image alone needs no store

        return LocalStore(self._path)

    def sizes(self, under: str = "") -> dict[str, int]:
        """See `Place`."""
        found: dict[str, int] = {}
        folders = [under]
        while folders:
            folder = folders.pop()
            with contextlib.suppress(FileNotFoundError), os.scandir(self._path / folder) as entries:
                for entry in entries:
                    key = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(key)
                        continue
                    with contextlib.suppress(FileNotFoundError):  # a partial file that was renamed a moment ago
                        found[key] = entry.stat().st_size
        return found

    def read(self, key: str) -> bytes | None:
        """See `Place`."""
        path = self._path / key
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None  # a pipe or a device, which may never end
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put_new(self, key: str, content: bytes) -> None:
        """See `Place`."""
        path = self._path / key
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
        try:
            aside.write_bytes(content)
            try:
                os.link(aside, path)  # unlike a rename, a link does not replace what another process has put there
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                    raise
                if not path.exists():  # a file system without links: the moment between is the user's risk
                    aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def put(self, key: str, pieces: Sequence[Piece]) -> None:
        """See `Place`."""
        path = self._path / key
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
        try:
            try:
                file = aside.open("wb", buffering=0)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = aside.open("wb", buffering=0)
            with file:
                _write(file, pieces)
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def delete(self, key: str) -> None:
        """See `Place`."""
        (self._path / key).unlink(missing_ok=True)


class Bucket:
    """A prefix of keys in an object store, through obstore; see `Place`.

    Keys, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
    `AWS_ENDPOINT_URL`), as obstore takes them.
    """

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ModuleNotFoundError:
            raise TedmError(f"{url} is a URL, and those need obstore; pip install 'tedm[s3]'") from None
        self._obstore: Any = obstore
        self._url = url.rstrip("/")
        endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or "")
        # An image may take minutes on a slow line, but a server that does not answer at all is given up after one.
        client: dict[str, Any] = {"timeout": timedelta(minutes=10)}
        retries = {"max_retries": 6, "retry_timeout": timedelta(minutes=1)}
        if endpoint.hostname in ("localhost", "127.0.0.1", "::1"):
            client["allow_http"] = True  # on this machine; for any other one AWS_ALLOW_HTTP has to be set
        from_url: Any = obstore.store.from_url
        try:
            self._store: Any = from_url(self._url, client_options=client, retry_config=retries)
        except Exception as error:  # obstore's own classes have only Exception in common
            raise TedmError(f"{url} cannot be opened: {cause(error)}") from error

    @property
    def address(self) -> str:
        """The URL, without a slash at its end."""
        return self._url

    def zarr(self) -> Store:
        """See `Place`."""
        from zarr.storage import ObjectStore

        return ObjectStore(self._store)

    def sizes(self, under: str = "") -> dict[str, int]:
        """See `Place`."""
        prefix = f"{under}/" if under else None
        return {found["path"]: found["size"] for batch in self._obstore.list(self._store, prefix) for found in batch}

    def read(self, key: str) -> bytes | None:
        """See `Place`."""
        try:
            return bytes(self._obstore.get(self._store, key).bytes())
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):  # else a wrong bucket would look like an empty one
                raise
            return None

    def put_new(self, key: str, content: bytes) -> None:
        """See `Place`."""
        with contextlib.suppress(self._obstore.exceptions.AlreadyExistsError):
            self._obstore.put(self._store, key, content, mode="create")

    def put(self, key: str, pieces: Sequence[Piece]) -> None:
        """See `Place`."""
        self._obstore.put(self._store, key, b"".join(pieces))

    def delete(self, key: str) -> None:
        """See `Place`."""
        with contextlib.suppress(FileNotFoundError):
            self._obstore.delete(self._store, key)


def _write(file: io.FileIO, pieces: Sequence[Piece]) -> None:
    """Write all pieces, hundreds of them with one call: whoever lets go of Python's lock has to wait to get it back."""
    left = deque(memoryview(piece) for piece in pieces)
    at_once = PIECES_AT_ONCE if hasattr(os, "writev") else 1  # Windows has none
    while left:
        some = list(itertools.islice(left, at_once))
        written = os.writev(file.fileno(), some) if len(some) > 1 else file.write(some[0])
        while left and written >= len(left[0]):
            written -= len(left.popleft())
        if written:
            left[0] = left[0][written:]


def write_again(put: Callable[[], None]) -> None:
    """Write; begin anew if another process has removed the partial file, taking it for that of a killed one."""
    for attempt in range(ATTEMPTS):
        try:
            return put()
        except FileNotFoundError as error:
            if not str(error.filename).endswith(PARTIAL) or attempt == ATTEMPTS - 1:
                raise


@contextlib.contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Refusals of the operating system or of an object store as one `TedmError` that begins with `what`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or is_remote(error):
            raise TedmError(f"{what}: {cause(error)}") from error
        raise


def is_remote(error: BaseException) -> bool:
    """Whether an object store, or the network on the way to it, is to blame, and not what was read."""
    return type(error).__module__.startswith("obstore") or "NoSuchBucket" in str(error)


def cause(error: BaseException) -> str:
    """Return what went wrong and what to do, on one line."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the device; free some and repeat"
    text = str(error)
    for sign, advice in _REFUSALS.items():
        if sign in text:
            return advice
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return text.splitlines()[0] if text else repr(error)
