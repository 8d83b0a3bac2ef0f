"""Which files are a series: those of one folder that say so.

Names and numbers of files mean nothing. What lies beside a series and is none of it, a README or a report, is named.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tedm.errors import TedmError
from tedm.text import counted, listed, shown

from .dicom_file import begins_as_dicom, plainly, read_attributes, texts_of, transfer_syntax

SUFFIXES = (".dcm", ".dicom", ".ima")
UP_TO_ROWS = 0x00280011  # the tag after that of Rows
KEYWORDS = ("SOPClassUID", "SeriesInstanceUID", "SeriesDescription", "ImageType", "Rows")


@dataclass(frozen=True)
class Member:
    """A DICOM file of a folder.

    Parameters
    ----------
    path : Path
    series : str
        The UID of its series; empty where it has none.
    description : str
        What people call the series.
    localizer : bool
        Whether it is a survey for planning, and no slice.
    """

    path: Path
    series: str
    description: str
    localizer: bool


@dataclass(frozen=True)
class Content:
    """What is in a folder.

    Parameters
    ----------
    members : tuple of Member
        Files with pictures, by name.
    broken : tuple of str
        Why files cannot be read that should have a picture.
    others : tuple of str
        Names of files that have none.
    folders : tuple of str
        Names of the folders in it.
    """

    members: tuple[Member, ...]
    broken: tuple[str, ...]
    others: tuple[str, ...]
    folders: tuple[str, ...]


def is_named_dicom(path: Path) -> bool:
    """Say whether a file's name ends as those of DICOM files do."""
    return path.name.lower().endswith(SUFFIXES)


def files_of_series(path: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the files of one series in no special order, and remarks on what was left out.

    Parameters
    ----------
    path : Path
        A folder with the files of one series directly in it, or a file of a series: then those of its folder that belong to it.

    Raises
    ------
    TedmError
        If there is no such series, or more than one.
    """
    with plainly(path):
        if not path.is_dir():
            transfer_syntax(path)
            return _series_of_file(path)
        return _series_of_folder(path)


def content_of(folder: Path) -> Content:
    """Look at the files of a folder; files that have not changed since are not looked at again."""
    with os.scandir(folder) as entries:
        stats = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return _content_of(folder, tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)))


@lru_cache(maxsize=8)  # a manifest may name each of a thousand series of one folder
def _content_of(folder: Path, state: tuple[tuple[str, int, int], ...]) -> Content:
    members: list[Member] = []
    broken, others, folders = [], [], []
    for path in (folder / name for name, _size, _changed in state):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            folders.append(path.name)
        elif path.name.upper() == "DICOMDIR" or not (begins_as_dicom(path) or is_named_dicom(path)):
            others.append(path.name)
        else:
            try:
                member = _member(path)
            except TedmError as error:
                broken.append(str(error))
            else:
                members += [member] if member else []
                others += [] if member else [path.name]
    return Content(tuple(members), tuple(broken), tuple(others), tuple(folders))


def _member(path: Path) -> Member | None:
    """Return what series a file is of; None if it is of a kind that has no pictures."""
    from pydicom.uid import UID

    with plainly(path):
        transfer_syntax(path)
        with path.open("rb") as file:
            found = read_attributes(file, KEYWORDS, UP_TO_ROWS)
        kind = UID(str(found.get("SOPClassUID", None) or "")).name
        if found.get("Rows") is None:
            if kind and "Image" not in kind:
                return None
            raise TedmError(
                f"{path}: has no picture and does not say why (it may be cut short); copy it again, or take it away"
            )
        description = str(found.get("SeriesDescription", None) or "")
        localizer = "LOCALIZER" in texts_of(found.get("ImageType"))
        return Member(path, str(found.get("SeriesInstanceUID", None) or ""), description, localizer)


def _series_of_file(path: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the files beside a file that are of its series."""
    own = _member(path)
    if own is None:
        raise TedmError(f"{path}: a DICOM file without a picture; name a file of a series of images")
    if not own.series:
        return (path,), (f"{path.name}: does not say of what series it is, and is read alone",)
    content = content_of(path.parent)
    same = [each.path for each in content.members if (each.series, each.localizer) == (own.series, own.localizer)]
    if content.broken and len(same) > 1:  # it may be a slice of this series
        raise TedmError(content.broken[0])
    return tuple(same) or (path,), ()  # a hidden file is none of the folder's


def _series_of_folder(folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the files of the one series of a folder."""
    content = content_of(folder)
    if content.broken:
        more = f"; so are {len(content.broken) - 1} more files" if len(content.broken) > 1 else ""
        raise TedmError(content.broken[0] + more)
    if not content.members:
        raise TedmError(f"{folder}: no DICOM files with pictures in it ({_there(content)}); name the folder of a series")
    images = [member for member in content.members if not member.localizer]
    left = [member.path.name for member in content.members if member.localizer] if images else []
    series: dict[str, list[Member]] = defaultdict(list)
    for member in images or content.members:
        series[member.series].append(member)
    if len(series) > 1:
        them = listed((_described(members) for members in series.values()), most=4)
        raise TedmError(
            f"{folder}: files of {len(series)} series ({them}); keep one in this folder and move the others elsewhere, "
            "or name a file of one"
        )
    remarks = [f"{folder.name}: {counted(len(left), 'localizer')} left out ({listed(left, most=5)})"] if left else []
    if content.others:
        remarks.append(
            f"{folder.name}: {counted(len(content.others), 'file')} without slices left out ({listed(content.others, most=5)})"
        )
    return tuple(member.path for members in series.values() for member in members), tuple(remarks)


def _there(content: Content) -> str:
    """Say what is in a folder without a series."""
    parts = [f"{counted(len(names), noun)}: {listed(names, most=3)}" for names, noun in
             ((content.others, "other file"), (content.folders, "folder")) if names]  # fmt: skip
    return "; ".join(parts) or "it is empty"


def _described(members: list[Member]) -> str:
    """Say what people can know a series by."""
    first = members[0]
    name = f'"{shown(first.description)}" ' if first.description else ""
    uid = f"UID ending {shown(first.series[-8:])}" if first.series else "no UID"
    return f"{name}{uid}: {counted(len(members), 'file')} as {first.path.name}"
