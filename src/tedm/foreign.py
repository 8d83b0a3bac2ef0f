"""Files that somebody else may have written: read if they are plain, of a size that is meant, and nested no deeper than ours.

A pipe or a device never ends, a text of a hundred kilobytes can be nested deeper than Python's stack. What is wrong is a
`ValueError` without the folder: whoever reads knows what the file is called, and what to do.
"""

from __future__ import annotations

import io
import json
import math
import stat
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy

# The largest JSON that is read: a description of some hundred thousand images. Python's objects take some twenty times as much.
MOST_JSON = 32 * 1024**2
DEEPEST = 64
PIECE = 2**20


def require_plain(path: Path) -> int:
    """Return the size in bytes of a file; a `ValueError` if it is a folder, a pipe, a device or a socket.

    Raises
    ------
    OSError
        If it is not there.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{path.name} is no plain file")
    return about.st_size


def bytes_of(path: Path, *, most: int) -> bytes:
    """Return the content of a plain file of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no plain file, or larger.
    """
    size = require_plain(path)
    if size > most:
        raise ValueError(f"{path.name} has {size} bytes; more than {most} are not read")
    with path.open("rb") as file:
        return file.read(most)


def json_of(path: Path, *, most: int = MOST_JSON) -> Any:
    """Return what a JSON file in UTF-8 holds; a `ValueError` or an `OSError` says what is wrong with it."""
    return plain_json(bytes_of(path, most=most).decode("utf-8"))


def plain_json(text: str, *, deepest: int = DEEPEST) -> Any:
    """Return a JSON value that is nested no deeper than `deepest`; a `ValueError` if there is none.

    Examples
    --------
    >>> plain_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: it is nested deeper than 64 levels
    """
    too_deep = f"it is nested deeper than {deepest} levels"
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [value]
    for _ in range(deepest + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError(too_deep)


def unzipped(archive: ZipFile, *, most: int) -> dict[str, bytes]:
    """Return what is in a ZIP, whatever its directory says of sizes.

    Parameters
    ----------
    archive : ZipFile
    most : int
        Bytes that it may unpack to, those of archives of NumPy arrays (.npz) inside it included.

    Raises
    ------
    ValueError, BadZipFile
        If it unpacks to more, names a file twice, is damaged, or an array (.npy) in it is not as long as it says.
    """
    contents: dict[str, bytes] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name in contents or entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{name[:100]!r} is there twice, or compressed in an unusual way")
        parts = bytearray()
        with archive.open(entry) as file:
            while piece := file.read(PIECE):
                parts += piece
                if len(parts) > most:
                    raise ValueError(f"it unpacks to more than {most} bytes")
        content = bytes(parts)
        if name.endswith(".npz"):
            with ZipFile(io.BytesIO(content)) as inside:
                content = zipped(unzipped(inside, most=most - len(content)))
        elif name.endswith(".npy"):
            array_header(content)
        contents[name] = content
        most -= len(content)
    return contents


def zipped(contents: dict[str, bytes]) -> bytes:
    """Return a ZIP of files by their names, not compressed."""
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def array_header(content: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an array in NumPy's format; a `ValueError` if it is not as long as they say."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"an array is of version {version} of NumPy's format")
    shape, _, dtype = read(file)
    if dtype.hasobject or min(shape, default=0) < 0 or len(content) != file.tell() + math.prod(shape) * dtype.itemsize:
        raise ValueError("an array is not as long as it says")
    return shape, dtype
