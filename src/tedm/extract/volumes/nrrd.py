"""NRRD files (.nrrd, and .nhdr with its data file beside it), read with pynrrd.

The data is raw, or compressed by gzip or bzip2. Axes of space keep their order; an axis of another kind ("list", "vector"),
wherever it stands, is that of the channels. Directions may be given in any of the spaces that say where the patient is; what
says nothing of that is taken as left-posterior-superior, as in ITK, which is said.
"""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import naming
from tedm.packages import package
from tedm.text import listed, shown

from .checks import (
    channels_of,
    cut_off,
    labels_of,
    native,
    require_file,
    require_numbers,
    require_shape,
    require_unchanged,
    white_of,
)
from .header import VolumeHeader
from .space import affine_problem, in_short, matrix_of

SUFFIXES: tuple[str, ...] = (".nrrd", ".nhdr")
MOST_HEADER = 2**22  # bytes: segmentations of 3D Slicer describe each of their segments
MOST_AXES = 16
PIECE = 2**20
_SPATIAL_KINDS = frozenset(["domain", "space", "none", "???"])
_COLOURS = frozenset(["rgb-color", "hsv-color", "xyz-color", "rgba-color", "3-color", "4-color"])
_COMPLEX = frozenset(["complex", "2-complex"])
# What turns a space into right, front and head.
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
_LIKE_ITK = (-1, -1, 1)
_MILLIMETRES = {
    **dict.fromkeys(("", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers"), 0.001),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("m", "meter", "meters"), 1000.0),
}
_Fields = Mapping[str, Any]


def read_header(path: Path, *, channels: bool = False) -> VolumeHeader:
    """Read what a file says of itself, and find everything that is wrong with it, without keeping its voxels.

    Parameters
    ----------
    path : Path
    channels : bool
        Whether the volumes of a 4D file are taken as channels.

    Raises
    ------
    TedmError
        If it cannot be read, is cut off, names a data file outside its folder, has more than one volume where channels are not
        wanted, or has no plain numbers.
    """
    with naming(path, "a NRRD file"):
        stored = _stored(path, channels=channels)
        _require_whole(path, stored)
        return stored.header


def read_voxels(path: Path, header: VolumeHeader) -> NDArray[Any]:
    """Read a volume's numbers.

    Returns
    -------
    array of shape (*header.shape, header.channels)
        In the file's own axes and of its type.

    Raises
    ------
    TedmError
        If it cannot be read.
    """
    with naming(path, "a NRRD file"):
        stored = _stored(path, channels=True)
        require_unchanged(path, header, stored.header)
        _require_whole(path, stored)  # pynrrd decompresses whatever there is
        with path.open("rb") as file:
            file.seek(stored.start)
            voxels = native(package("nrrd", "volumes", str(path)).read_data(dict(stored.fields), file, str(path)))
        return voxels.transpose(stored.order).reshape((*header.shape, header.channels))


def read_labels(path: Path, header: VolumeHeader) -> NDArray[np.int32]:
    """Read a mask: whole numbers, or floats that are.

    Returns
    -------
    array of shape header.shape
        In the file's own axes.

    Raises
    ------
    TedmError
        If it cannot be read, or its voxels are no labels.
    """
    return labels_of(path, header, read_voxels(path, header))


def data_of(path: Path) -> Path | None:
    """Return the other file that holds the data of a header; None if there is none, or the header cannot be read."""
    try:
        with naming(path, "a NRRD file"):
            require_file(path)
            data = _data_file(path, _fields(path)[0])
    except TedmError:  # of the header: whoever opens it is told
        return None
    return None if data == path else data


@dataclass(frozen=True)
class _Stored:
    """What lies in a file: pynrrd's fields, where the data begins, and the axes of the volume in it, the channels last."""

    fields: _Fields
    header: VolumeHeader
    dtype: np.dtype[Any]
    data: Path
    start: int
    order: tuple[int, ...]


def _stored(path: Path, *, channels: bool) -> _Stored:
    """Read the header, and refuse what no volume has."""
    require_file(path)
    fields, start = _fields(path)
    sizes = [int(length) for length in fields["sizes"]]
    if fields["dimension"] != len(sizes) or len(sizes) > MOST_AXES:
        raise TedmError(f"{path}: says that it has {fields['dimension']} axes and {len(sizes)} sizes; the file is damaged")
    dtype = _dtype(path, fields)
    spatial = _spatial(path, fields)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    if len(spatial) not in (2, 3):
        raise TedmError(f"{path}: has {len(spatial)} axes of space; a volume has three, or two of one slice")
    shape = (sizes[spatial[0]], sizes[spatial[1]], sizes[spatial[2]] if len(spatial) > 2 else 1)
    count = channels_of(path, [sizes[axis] for axis in others], wanted=channels)
    require_shape(path, shape, count)
    affine, remarks = _affine(path, fields, spatial)
    data = _data_file(path, fields)
    header = VolumeHeader(
        kind="nrrd",
        shape=shape,
        channels=count,
        affine=matrix_of(affine),
        qform_code=0,
        sform_code=0,
        mode=dtype.newbyteorder("=").name,
        bits=dtype.itemsize * 8,
        white=white_of(dtype),
        files=tuple(dict.fromkeys((path, data))),
        remarks=tuple(remarks),
    )
    return _Stored(fields, header, dtype, data, start if data == path else 0, (*spatial, *others))


def _fields(path: Path) -> tuple[_Fields, int]:
    """Return the fields of a header as pynrrd reads them, and the byte after it."""
    lines: list[str] = []
    start = 0
    with path.open("rb") as file:
        while line := file.readline(MOST_HEADER):
            start += len(line)
            if not lines and not line.startswith(b"NRRD"):
                raise TedmError(f"{path}: not a NRRD file, whatever its name says")
            if start > MOST_HEADER:
                raise TedmError(f"{path}: its header has no end within {MOST_HEADER} bytes; the file is damaged")
            text = line.decode("utf-8", "replace").rstrip()
            if not text:
                break
            lines.append(text)
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("data file:", "datafile:"))]
    if any(name.upper().startswith("LIST") or len(name.split()) > 2 for name in names):
        raise TedmError(f"{path}: its data is spread over several files; save it in one .nrrd")
    fields = package("nrrd", "volumes", str(path)).read_header(lines)
    if missing := [name for name in ("dimension", "type", "encoding", "sizes") if name not in fields]:
        raise TedmError(f"{path}: its header lacks {listed(missing)}; save it again")
    return fields, start


def _dtype(path: Path, fields: _Fields) -> np.dtype[Any]:
    """Return the type of the numbers that are stored; refuse encodings, colours and kinds that are not read."""
    if fields["encoding"] not in ("raw", "gzip", "gz", "bzip2", "bz2"):
        encoding = shown(str(fields["encoding"]))
        raise TedmError(f"{path}: its encoding ({encoding}) is not read; save it raw, or compressed by gzip or bzip2")
    kinds = {str(kind).lower() for kind in fields.get("kinds", ())}
    if kinds & _COLOURS or kinds & _COMPLEX:
        what = "colours" if kinds & _COLOURS else "complex numbers"
        raise TedmError(f"{path}: a volume of {what}; save one plain number a voxel, integers or 32-bit floats")
    try:  # pynrrd keeps this to itself, and a table of our own would be a second one
        dtype: np.dtype[Any] = package("nrrd.reader", "volumes", str(path))._determine_datatype(fields)
    except KeyError:
        raise TedmError(f"{path}: a volume of type {shown(str(fields['type']))}; save integers or 32-bit floats") from None
    require_numbers(path, dtype)
    return dtype


def _spatial(path: Path, fields: _Fields) -> list[int]:
    """Return which axes are of space, in the file's order."""
    axes = range(len(fields["sizes"]))
    kinds = [str(kind).lower() for kind in fields.get("kinds", ())]
    if (directions := fields.get("space directions")) is not None:
        given = [not np.isnan(row).all() for row in np.asarray(directions, np.float64)]
        if len(given) == len(axes):
            return [axis for axis in axes if given[axis]]
    elif not kinds:
        return list(axes)
    elif len(kinds) == len(axes):
        return [axis for axis in axes if kinds[axis] in _SPATIAL_KINDS]
    raise TedmError(f"{path}: its header describes another number of axes than it has, {len(axes)}; save it again")


def _affine(path: Path, fields: _Fields, spatial: list[int]) -> tuple[NDArray[np.float64], list[str]]:
    """Return where the voxels lie, in millimetres and RAS+, and what was assumed."""
    remarks, affine = [], np.eye(4)
    directions = fields.get("space directions")
    if directions is not None:
        steps = np.asarray(directions, np.float64)[spatial]
    else:
        spacings = np.asarray(fields.get("spacings", np.full(len(fields["sizes"]), np.nan)), np.float64)
        if len(spacings) != len(fields["sizes"]):
            raise TedmError(f"{path}: has {len(spacings)} spacings for {len(fields['sizes'])} axes; save it again")
        known = np.isfinite(spacings[spatial])
        steps = np.diag(np.where(known, spacings[spatial], 1.0))
        if not known.all():
            remarks.append("says nothing of its spacing; taken as 1 mm")
    across = steps.shape[1]
    origin = np.asarray(fields.get("space origin", np.zeros(across)), np.float64)
    if across not in (2, 3) or origin.shape != (across,):
        raise TedmError(f"{path}: lies in a space of {across} axes, with an origin of {origin.size}; save it in one of three")
    affine[:across, : len(steps)] = steps.T
    affine[:across, 3] = origin
    space = str(fields.get("space", "")).lower()
    affine[:3] *= np.array(_TO_RAS.get(space, _LIKE_ITK))[:, np.newaxis]
    units = {str(unit).strip().lower() for unit in fields.get("space units", ())}
    if len(units) > 1 or not units <= set(_MILLIMETRES):
        remarks.append(f"its units of space ({listed(sorted(units))}) are taken as millimetres")
    elif (factor := _MILLIMETRES[units.pop() if units else ""]) != 1:
        affine[:3] *= factor
        remarks.append(f"its affine is in other units; in millimetres: {in_short(affine)}")
    if len(steps) == 2:
        with np.errstate(all="ignore"):
            normal = np.cross(affine[:3, 0], affine[:3, 1])
            affine[:3, 2] = normal / np.sqrt((normal**2).sum())
        remarks.append("is a single slice; taken to be 1 mm thick")
    if problem := affine_problem(affine):
        raise TedmError(f"{path}: its affine (space directions) {problem}; mend the header, or save the volume again")
    if space not in _TO_RAS or directions is None:
        says = f"its space ({shown(space)}) does not say where the patient is" if space else "says nothing of its orientation"
        remarks.insert(0, f"{says}; taken to have {in_short(affine)}")
    return affine, remarks


def _data_file(path: Path, fields: _Fields) -> Path:
    """Return the file that holds the data: this one, or one that it names, which may lie beside it or below, nowhere else."""
    name = fields.get("data file", fields.get("datafile"))
    if name is None:
        return path
    name = str(name)
    plain, windows = PurePosixPath(name), PureWindowsPath(name)
    if plain.is_absolute() or windows.drive or windows.root or ".." in windows.parts or not name:
        raise TedmError(f"{path}: names a data file outside its folder ({shown(name)}); keep the two in one folder")
    if name == path.name:
        raise TedmError(f"{path}: names itself as its data file; the file is damaged")
    return path.parent / name


def _require_whole(path: Path, stored: _Stored) -> None:
    """Refuse data that is not as long as the header says; decompressed to its end, in little memory."""
    fields, data = stored.fields, stored.data
    with naming(data, "a data file"):
        size = require_file(data)
    lines = fields.get("lineskip", fields.get("line skip", 0))
    skip = fields.get("byteskip", fields.get("byte skip", 0))
    compressed = fields["encoding"] != "raw"
    if lines != 0 or skip < -1 or (compressed and skip > 0):
        raise TedmError(f"{path}: skips {lines} lines and {skip} bytes of its data, which is not read so; save it in one .nrrd")
    expected = math.prod((*stored.header.shape, stored.header.channels)) * stored.dtype.itemsize
    with data.open("rb") as file:
        file.seek(stored.start)
        there = _unpacked(data, file, fields["encoding"], expected) if compressed else size - stored.start - max(skip, 0)
    if there < expected:
        raise cut_off(data, there, expected)
    if there > expected and (compressed or skip != -1):
        raise TedmError(f"{data}: holds more than the {expected} bytes of which its header speaks; the file is damaged")


def _unpacked(path: Path, file: IO[bytes], encoding: str, most: int) -> int:
    """Return how many bytes compressed data holds; no more than `most` and a piece are unpacked."""
    unpacker: Any = bz2.BZ2Decompressor() if encoding in ("bzip2", "bz2") else zlib.decompressobj(zlib.MAX_WBITS | 16)
    count, waiting = 0, b""
    try:
        while count <= most and not unpacker.eof:
            piece = waiting or (file.read(PIECE) if getattr(unpacker, "needs_input", True) else b"")
            unpacked = unpacker.decompress(piece, PIECE)
            waiting = getattr(unpacker, "unconsumed_tail", b"")
            count += len(unpacked)
            if not piece and not unpacked and not unpacker.eof:
                raise TedmError(f"{path}: cut off, its compressed data has no end; copy or download it again")
    except (zlib.error, OSError) as error:
        raise TedmError(f"{path}: damaged, it cannot be decompressed ({error}); copy or download it again") from None
    return count
