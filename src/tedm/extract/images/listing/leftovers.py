"""What lies in a folder, or stands in a table, and is not used: named, so that nobody believes that it was.

Files that come with data sets and are no data (a readme, a licence, what systems leave behind) are nobody's business.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.images.read import kinds_read, suffix_of
from tedm.extract.volumes.dicom_series import SUFFIXES, files_of_series
from tedm.text import counted, listed

from .legend import TABLE
from .rows import COLUMNS, OF_IMAGES, OTHER_PICTURES, Row, columns_of_csv, data_of_headers

NO_DATA = frozenset(
    f".{ending}"
    for endings in (
        "bib cfg cff csv db doc docx html ini ipynb json jsonl lnk log m md ods pdf",
        "py rst rtf sh toml tsv txt url xls xlsx xml yaml yml",
    )
    for ending in endings.split()
)
NO_DATA_NAMES = (
    "license",
    "licence",
    "readme",
    "changelog",
    "copying",
    "citation",
    "authors",
    "makefile",
    "checksums",
    "md5sums",
)
TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".ods")
# What columns are called elsewhere; difflib finds slips of the pen.
OTHER_WORDS = {
    "split": "subset set partition fold phase usage part stage",
    "mask": "label labels annotation segmentation seg gt groundtruth target truth",
    "patient": "subject case pid participant person individual",
    "group": "volume study series exam cluster",
    "domain": "site hospital scanner center centre dataset source institution vendor clinic",
    "name": "id identifier key imageid",
}
OTHER_FOLDERS = {
    "masks": "mask label labels seg segs segmentation segmentations annotations annotation gt groundtruth masks",
    "images": "image img imgs images",
}
MOST_VISITED = 2000  # entries of a folder that is only looked at to say that pictures are in it


def left_out(source: Path, table: Path, rows: Sequence[Row], *, masks: bool = True, channels: Sequence[str] = ()) -> list[str]:
    """Return what is not used, a line for each kind of it: what, how many, the first few, what to do.

    Parameters
    ----------
    source : Path
        What the user named.
    table : Path
        The CSV that was read, or the folder that was listed.
    rows : sequence of Row
        What was found there.
    masks : bool
        Whether masks are wanted; if not, images without one are not named.
    channels : sequence of str
        The columns that are channels of an image.
    """
    if any(row.image == table for row in rows):
        return []  # an image that was named by itself
    if table.is_dir():
        return _left_in_folder(table, rows, masks=masks)
    return _columns_not_read(table, channels) + (_not_named(source, table, rows) if source.is_dir() else [])


def _columns_not_read(table: Path, channels: Sequence[str]) -> list[str]:
    wanted = [each.lower() for each in channels]
    read = [column for column in COLUMNS if column != "image" or not wanted]
    columns = [column for column in columns_of_csv(table) if column not in wanted]
    words = []
    for column in columns:
        if column and column not in read:
            meant = _meant(column)
            words.append(f"{column} (did you mean {meant}?)" if meant and meant not in columns else column)
    if not words:
        return []
    few = listed(words, most=8)
    noun = "column" if len(words) == 1 else "columns"
    return [f"{table}: {noun} {few} not read; columns that are read: {listed([*wanted, *read])}"]


def _meant(column: str) -> str | None:
    plain = column.replace(" ", "_").replace("-", "_")
    for ending in ("_path", "_file", "_filename", "_name", "_id", "path", "file"):
        plain = plain.removesuffix(ending)
    joined = plain.replace("_", "")
    for meant, words in OTHER_WORDS.items():
        if joined == meant or joined in words.split():
            return meant
    return next(iter(difflib.get_close_matches(joined, COLUMNS, 1, 0.75)), None)


def _not_named(folder: Path, table: Path, rows: Sequence[Row]) -> list[str]:
    """Pictures beside those that a folder's table names, and folders of pictures of which it names none."""
    files = _files(rows)
    named = {os.path.normpath(path) for path in (*files, *_read_with(files))}
    looked = {folder, *(Path(path).parent for path in named)}
    inside = sorted(path for path in looked if path == folder or folder in path.parents)
    paths = [path for one in inside for path in _entries(one) if _is_picture(path) and os.path.normpath(path) not in named]
    remarks = []
    if paths:
        few = listed((path.relative_to(folder) for path in paths), most=3)
        remarks.append(
            f"{counted(len(paths), 'picture')} not named in {table.name} ({few}): add lines for them, or move them elsewhere"
        )
    above = {parent for path in inside for parent in path.parents}
    return remarks + _folders_not_looked_into(folder, inside, set(inside) | above, "name its files in the table")


def _files(rows: Sequence[Row]) -> list[Path]:
    """Return what rows name: files, and folders of DICOM series."""
    return [path for row in rows for path in (*row.files, row.mask, row.brain) if path is not None]


def _read_with(files: Iterable[Path]) -> Iterator[Path]:
    """Yield what is read with files that a table names: the other files of a DICOM series, and voxels beside their header."""
    for path in files:
        if suffix_of(path) in (None, *SUFFIXES):
            with contextlib.suppress(TedmError):  # it is told when the image is opened
                yield from files_of_series(path)[0]
    yield from data_of_headers(files)


def _left_in_folder(folder: Path, rows: Sequence[Row], *, masks: bool) -> list[str]:
    images = folder / "images" if (folder / "images").is_dir() else folder
    looked = [images]
    if images != folder:
        looked += [folder / name for name in OF_IMAGES if (folder / name).is_dir()]
    remarks = []
    for one in looked:
        others = [path.name for path in _entries(one, hidden=True) if _is_left(path)]
        if others:
            remarks.append(
                f"{one}: {counted(len(others), 'file')} not read ({listed(others, most=3)}): pictures are to be one of "
                f"{', '.join(kinds_read())}, and visible"
            )
    if images != folder:
        beside = [path.name for path in _entries(folder) if _is_picture(path)]
        if beside:
            remarks.append(
                f"{folder}: {counted(len(beside), 'picture')} beside images/ not read ({listed(beside, most=3)}): "
                "move them into images/ if they are to be used"
            )
    remarks += _folders_not_looked_into(
        folder,
        list(dict.fromkeys([folder, *looked])),
        {folder, *looked, *_files(rows)},
        "name it alone, or write a manifest.csv",
    )
    tables = [path.name for path in _entries(folder) if path.suffix.lower() in TABLES and path.is_file() and path.name != TABLE]
    if tables:
        remarks.append(
            f"{folder}: {counted(len(tables), 'table')} not read ({listed(tables, most=3)}): a folder's table is called "
            "manifest.csv; rename it, or name it in place of the folder"
        )
    without = [Path(row.where).name for row in rows if row.mask is None]
    if masks and folder / "masks" in looked and without:
        remarks.append(
            f"{len(without)} of {counted(len(rows), 'image')} without a mask in masks/ ({listed(without, most=3)}): "
            "no mask is read for them; a mask has the stem of its image"
        )
    return remarks


def _folders_not_looked_into(folder: Path, within: Iterable[Path], known: set[Path], remedy: str) -> list[str]:
    found = []
    for one in within:
        for path in _entries(one):
            if path in known or path.name == "__MACOSX" or not path.is_dir():
                continue
            if pictures := sum(1 for each in _walk(path) if _is_picture(each)):
                hint = _meant_folder(path) if one == folder else ""
                found.append(f"{path.relative_to(folder)}/ with {counted(pictures, 'picture')}{hint}")
    if not found:
        return []
    folders = "1 folder" if len(found) == 1 else f"{len(found)} folders"
    return [f"{folder}: {folders} not looked into: {listed(found, most=5)}; {remedy}"]


def _meant_folder(path: Path) -> str:
    for meant, words in OTHER_FOLDERS.items():
        if path.name.lower().replace("_", "") in words.split() and path.name != meant and not (path.parent / meant).is_dir():
            return f" (did you mean {meant}/?)"
    if path.name == "masks":  # it would have been looked into beside images/
        return " (masks are paired with the images in a folder images/ beside it)"
    return ""


def _walk(folder: Path) -> Iterator[Path]:
    visited = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            yield Path(parent, name)
            visited += 1
            if visited >= MOST_VISITED:
                return


def _entries(folder: Path, *, hidden: bool = False) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    data = data_of_headers(paths)
    return [path for path in paths if path not in data and (hidden or not path.name.startswith("."))]


def _is_picture(path: Path) -> bool:
    if path.name.startswith(".") or path.is_dir():
        return False
    return suffix_of(path) is not None or path.suffix.lower() in OTHER_PICTURES


def _is_left(path: Path) -> bool:
    """Whether an entry of a listed folder may be data and is not read; pictures of other kinds are refused in `listing`."""
    if path.is_dir():
        return False
    if path.name.startswith("."):  # "._" is what macOS writes beside a file on other disks
        return suffix_of(path) is not None and not path.name.startswith("._")
    if suffix_of(path) is not None and (path.is_file() or path.is_symlink()):
        return False
    suffix = path.suffix.lower()
    if suffix in NO_DATA or (suffix in OTHER_PICTURES and path.is_file()):
        return False
    return not path.name.lower().startswith(NO_DATA_NAMES)
