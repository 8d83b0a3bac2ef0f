"""A volume by its path, whatever kind of file it is.

`KINDS` says who reads what: another kind joins as a module with the names of `VolumeReader` and an entry there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import naming

from . import dicom, nifti, nrrd
from .checks import require_file
from .header import VolumeHeader
from .space import apart, in_short, tolerance


class VolumeReader(Protocol):
    """A module that reads one kind of file. Each function raises a `TedmError` that names the file if it cannot be read."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """What its files are called by, in small letters."""

    def read_header(self, path: Path, *, channels: bool = False) -> VolumeHeader:
        """Find everything that is wrong with a file, without keeping voxels."""

    def read_voxels(self, path: Path, header: VolumeHeader) -> NDArray[Any]:
        """Read numbers of shape (*header.shape, header.channels), in the file's axes."""

    def read_labels(self, path: Path, header: VolumeHeader) -> NDArray[np.int32]:
        """Read integers of shape header.shape, in the file's axes."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    name : str
        What people call it.
    reader : VolumeReader
        The module that reads it.
    recognises : callable
        Whether a path is one of its files.
    stem : callable
        What a volume at a path is called.
    """

    name: str
    reader: VolumeReader
    recognises: Callable[[Path], bool]
    stem: Callable[[Path], str]


def _suffix(suffixes: tuple[str, ...], path: Path) -> str:
    """Return the suffix that a file has of some, as it is written there; empty if it has none, or is nothing else."""
    name = path.name.lower()
    longest = max((len(suffix) for suffix in suffixes if name.endswith(suffix) and name != suffix), default=0)
    return path.name[len(path.name) - longest :]


def _stem(suffixes: tuple[str, ...], path: Path) -> str:
    return path.name.removesuffix(_suffix(suffixes, path))


def _by_suffix(name: str, reader: VolumeReader) -> Kind:
    """Return a kind of file that is known by its suffix alone."""
    return Kind(
        name, reader, lambda path: bool(_suffix(reader.SUFFIXES, path)) and not path.is_dir(), partial(_stem, reader.SUFFIXES)
    )


# In the order in which they are asked.
KINDS: tuple[Kind, ...] = (
    _by_suffix("NIfTI", nifti),
    _by_suffix("NRRD", nrrd),
    Kind("DICOM", dicom, dicom.looks_like_dicom, dicom.stem),
)


MOST_HEADERS = 4096  # that are remembered
_HEADERS: dict[tuple[Path, Path, int, int, bool], VolumeHeader] = {}


def is_volume(path: Path) -> bool:
    """Whether a path is a volume's: by its suffix, in small or large letters, or by what its kind looks for.

    Examples
    --------
    >>> is_volume(Path("scans/sub-1.NII.GZ")), is_volume(Path("scans/sub-1.png"))
    (True, False)
    """
    return any(kind.recognises(path) for kind in KINDS)


def volume_stem(path: Path) -> str:
    """Return what a volume is called: its file's name without the suffix.

    Examples
    --------
    >>> volume_stem(Path("scans/sub-1.v2.nii.gz"))
    'sub-1.v2'
    """
    return next((kind.stem(path) for kind in KINDS if kind.recognises(path)), path.stem)


def read_header(path: Path, *, channels: bool = False) -> VolumeHeader:
    """Read what a file says of itself, and find everything that is wrong with it, without keeping its voxels.

    To find that, a compressed file is decompressed to its end: a file of the size and time of before is not read again, unless
    it is one of several that are a volume together.

    Parameters
    ----------
    path : Path
        A file, or a folder where its kind has such.
    channels : bool
        Whether the volumes of a 4D file are taken as channels.

    Raises
    ------
    TedmError
        If it cannot be read, is damaged, or is no volume that we take; one line that names it.
    """
    reader = _reader(path)
    try:
        found = path.stat()
    except OSError:  # which its reader says in words
        return reader.read_header(path, channels=channels)
    key = (path, path.absolute(), found.st_size, found.st_mtime_ns, channels)
    header = _HEADERS.get(key) or reader.read_header(path, channels=channels)
    if header.files == (path,) and header.kind != "dicom":  # a series may have other files the next time
        if len(_HEADERS) >= MOST_HEADERS:
            _HEADERS.clear()
        _HEADERS[key] = header
    return header


def read_voxels(path: Path, header: VolumeHeader) -> NDArray[Any]:
    """Read a volume's numbers, slope and intercept applied once.

    Returns
    -------
    array of shape (*header.shape, header.channels)
        In the file's own axes and of its type; with a slope or an intercept float32, of 64-bit numbers float64. NaN stays NaN.

    Raises
    ------
    TedmError
        If it cannot be read.
    """
    return _reader(path).read_voxels(path, header)


def read_labels(path: Path, header: VolumeHeader) -> NDArray[np.int32]:
    """Read a mask.

    Returns
    -------
    array of shape header.shape
        In the file's own axes.

    Raises
    ------
    TedmError
        If it cannot be read, has several volumes, or its voxels are no whole numbers of 32 bits.
    """
    return _reader(path).read_labels(path, header)


def shape_problem(one: VolumeHeader, what: str, other: VolumeHeader, what_other: str) -> str | None:
    """Return why two volumes do not lie upon each other, with both; None if they do.

    Corners may be apart by a tenth of the smallest spacing, or by 0.01 mm: affines are rounded when they are written.

    Parameters
    ----------
    one, other : VolumeHeader
    what, what_other : str
        What people call them: "image a.nii", "mask b.nii".
    """
    if one.shape != other.shape:
        sizes = (" x ".join(map(str, each.shape)) for each in (one, other))
        return f"{what} has {next(sizes)} voxels and {what_other} {next(sizes)}; resample one to the other"
    affine, its = np.array(one.affine), np.array(other.affine)
    if not (between := apart(one.shape, affine, its)) <= max(tolerance(affine), tolerance(its)):
        return (
            f"{what} and {what_other} lie up to {between:.3g} mm apart ({in_short(affine)}; {in_short(its)}); "
            "resample one to the other, or mend the header that is wrong"
        )
    return None


def _reader(path: Path) -> VolumeReader:
    for kind in KINDS:
        if kind.recognises(path):
            return kind.reader
    with naming(path, "a volume that is read"):
        require_file(path)
    suffixes = ", ".join(suffix for kind in KINDS for suffix in kind.reader.SUFFIXES)
    *most, last = (kind.name for kind in KINDS)
    raise TedmError(f"{path}: no volume of a kind that is read; {', '.join(most)} and {last} are ({suffixes})")
