"""Where a user's images are: a table, a folder, a data set in a layout that others agreed on, or an image by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.images.read import is_volume, suffix_of
from tedm.text import listed

from . import bids, nnunet
from .found import Found
from .rows import ENDLESS, NOT_READ, OTHER_PICTURES, Row, ends, rows_of_csv, rows_of_file, rows_of_folder

# Layouts of data sets, each with what tells that a folder has it; in the order in which they are asked.
LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path, tuple[str, ...]], Found]], ...] = (
    (nnunet.recognises, nnunet.rows),
    (bids.recognises, bids.rows),
)


def find_rows(source: Path, channels: tuple[str, ...]) -> Found:
    """Return what a table, a folder, a data set or an image says, in rows.

    A folder's table comes first, then what its layout says, then the DICOM series in it.

    Parameters
    ----------
    source : Path
        What the user named; it is there.
    channels : tuple of str
        The columns or modalities that are channels of an image; empty takes the column `image`, or all that a data set names.

    Raises
    ------
    TedmError
        If it is a table or a data set that cannot be read, or says nothing of the channels.
    """
    if not ends(source):
        raise TedmError(f"{source} is {ENDLESS}; name a file")
    if not source.is_dir():
        if suffix_of(source) or is_volume(source):
            return _of_one_file_each(source, channels, *rows_of_file(source))
        if source.suffix.lower() in OTHER_PICTURES:
            raise TedmError(f"{source}: {NOT_READ}")
        return Found(source, *rows_of_csv(source, channels), channels=channels)
    if (source / "manifest.csv").is_file():
        table = source / "manifest.csv"
        return Found(table, *rows_of_csv(table, channels), channels=channels)
    for recognises, rows in LAYOUTS:
        if recognises(source):
            return rows(source, channels)
    is_series = not (source / "images").is_dir() and is_volume(source)
    return _of_one_file_each(source, channels, *(rows_of_file(source) if is_series else rows_of_folder(source)))


def _of_one_file_each(source: Path, channels: tuple[str, ...], rows: list[Row], problems: list[str]) -> Found:
    if len(channels) > 1:
        raise TedmError(
            f"{source}: it does not say which files are the channels {listed(channels)} of an image; list them in a CSV with "
            "a column for each"
        )
    return Found(source, rows, problems, channels=channels)
