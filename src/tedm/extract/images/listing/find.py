"""Where a user's images are: a table, a folder, a data set in a layout that others agreed on, or an image by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tedm.extract.images.read import suffix_of
from tedm.extract.volumes.read import is_volume

from . import bids, nnunet
from .found import Found
from .rows import rows_of_csv, rows_of_file, rows_of_folder

# Layouts of data sets, each with what tells that a folder has it; in the order in which they are asked.
LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path, tuple[str, ...]], Found]], ...] = (
    (nnunet.recognises, nnunet.rows),
    (bids.recognises, bids.rows),
)


def find_rows(source: Path, channels: tuple[str, ...]) -> Found:
    """Return what a table, a folder, a data set or an image says, in rows.

    Parameters
    ----------
    source : Path
        What the user named; it is there.
    channels : tuple of str
        The columns or modalities that are channels of an image; empty takes the column `image`, or all that a data set names.

    Raises
    ------
    TedmError
        If it is a table that cannot be read.
    """
    if is_volume(source) or (source.is_file() and suffix_of(source)):
        return Found(source, *rows_of_file(source), channels=channels)
    if source.is_file():
        return Found(source, *rows_of_csv(source, channels), channels=channels)
    if (source / "manifest.csv").is_file():
        table = source / "manifest.csv"
        return Found(table, *rows_of_csv(table, channels), channels=channels)
    for recognises, rows in LAYOUTS:
        if recognises(source):
            return rows(source, channels)
    return Found(source, *rows_of_folder(source), channels=channels)
