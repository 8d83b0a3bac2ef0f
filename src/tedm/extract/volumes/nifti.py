"""NIfTI files (.nii, .nii.gz, versions 1 and 2), read with nibabel.

Whether a file is compressed is seen from its first bytes. Extensions are not read. The sform is preferred over the qform, as
nibabel does; a file that has neither lies where nibabel puts it, which is said.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import naming
from tedm.packages import package

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
from .space import affine_problem, apart, in_short, matrix_of, tolerance

SUFFIXES: tuple[str, ...] = (".nii", ".nii.gz")
NEAR = 1e-6  # how far from a whole number slope and intercept may leave a label
PIECE = 2**20
SLACK = 2**24  # bytes that may follow after the voxels before a file is thought to be another one than its header says
_QUIET = logging.getLogger("tedm.nifti")  # what nibabel mends in a header it would print
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_Content = IO[bytes] | gzip.GzipFile
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


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
        If it cannot be read, is cut off, has more than one volume where channels are not wanted, or has no plain numbers.
    """
    with _opened(path) as file:
        stored = _stored(path, file, channels=channels)
        remarks = _require_whole(file, path, stored)
    return replace(stored.says(path), remarks=(*stored.remarks, *remarks))


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
    with _opened(path) as file:
        stored = _stored(path, file, channels=True)
        require_unchanged(path, header, stored.says(path))
        voxels = _read(file, stored)
        if not stored.scaled:
            return voxels
        scaled = np.empty(voxels.shape, stored.read_as, order="F")
        for part, into in _slabs(voxels, scaled):
            with np.errstate(all="ignore"):
                into[:] = part.astype(np.float64) * stored.slope + stored.intercept
            if (np.isfinite(part) & ~np.isfinite(into)).any():
                raise TedmError(
                    f"{path}: slope and intercept lead beyond the largest {stored.read_as.name}; save smaller numbers"
                )
        return scaled


def read_labels(path: Path, header: VolumeHeader) -> NDArray[np.int32]:
    """Read a mask: whole numbers, or floats, or what slope and intercept bring within 1e-6 of whole numbers.

    Returns
    -------
    array of shape header.shape
        In the file's own axes.

    Raises
    ------
    TedmError
        If it cannot be read, or its voxels are no labels.
    """
    with _opened(path) as file:
        stored = _stored(path, file, channels=True)
        require_unchanged(path, header, stored.says(path))
        voxels = _read(file, stored)
        if not stored.scaled:
            return labels_of(path, header, voxels)
        labels = np.empty(voxels.shape, np.int32, order="F")
        for part, into in _slabs(voxels, labels):
            with np.errstate(all="ignore"):
                numbers = part.astype(np.float64) * stored.slope + stored.intercept
                near = np.rint(numbers)
                numbers = np.where(np.abs(numbers - near) <= NEAR, near, numbers)
            into[..., 0] = labels_of(path, header, numbers)
        return labels[..., 0]


@dataclass(frozen=True)
class _Stored:
    """What lies in a file: nibabel's header, and what follows from it."""

    header: Any
    shape: tuple[int, int, int]
    channels: int
    affine: NDArray[np.float64]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    remarks: tuple[str, ...]

    @property
    def scaled(self) -> bool:
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def read_as(self) -> np.dtype[Any]:
        if not self.scaled:
            return self.dtype.newbyteorder("=")
        return np.dtype(np.float64 if self.dtype.itemsize == 8 else np.float32)

    def says(self, path: Path) -> VolumeHeader:
        """Return what is known of the file before its voxels are decoded."""
        return VolumeHeader(
            kind="nifti",
            shape=self.shape,
            channels=self.channels,
            affine=matrix_of(self.affine),
            qform_code=int(self.header["qform_code"]),
            sform_code=int(self.header["sform_code"]),
            mode=self.read_as.name,
            bits=self.dtype.itemsize * 8,
            white=None if self.scaled else white_of(self.dtype),
            files=(path,),
            remarks=self.remarks,
        )

    @property
    def end(self) -> int:
        """The byte after the last voxel."""
        return self.offset + math.prod(self.shape) * self.channels * self.dtype.itemsize


@contextmanager
def _opened(path: Path) -> Iterator[_Content]:
    """Open a file for its content, decompressed if it is compressed; what goes wrong inside is named."""
    with naming(path, "a NIfTI file"):
        require_file(path)
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not compressed:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                try:
                    yield unpacked
                except EOFError:
                    raise TedmError(f"{path}: cut off, its compressed data has no end; copy or download it again") from None
                except (gzip.BadGzipFile, zlib.error) as error:
                    raise TedmError(
                        f"{path}: damaged, it cannot be decompressed ({error}); copy or download it again"
                    ) from None


def _stored(path: Path, file: _Content, *, channels: bool) -> _Stored:
    """Read the header at the beginning of a file, and refuse what no volume has."""
    header = _header(path, file)
    sizes = [int(length) for length in header.get_data_shape()]
    if len(sizes) < 2:
        raise TedmError(f"{path}: has {len(sizes)} axes; a volume has three, or two of one slice")
    shape = (sizes[0], sizes[1], sizes[2] if len(sizes) > 2 else 1)
    dtype = np.dtype(header.get_data_dtype())
    require_numbers(path, dtype)
    count = channels_of(path, sizes[3:], wanted=channels)
    require_shape(path, shape, count)
    offset = header.get_data_offset()
    if offset < header.sizeof_hdr:
        raise TedmError(f"{path}: says that its voxels begin at byte {offset}, inside its header; the file is damaged")
    slope, intercept = header.get_slope_inter()
    affine, remarks = _affine(path, header, shape)
    slope, intercept = (1.0, 0.0) if slope is None else (float(slope), float(intercept))
    return _Stored(header, shape, count, affine, dtype, offset, slope, intercept, tuple(remarks))


def _header(path: Path, file: _Content) -> Any:
    """Return nibabel's header of a file, what can be mended in it mended."""
    nibabel = package("nibabel", "volumes", str(path))
    start = file.read(nibabel.Nifti2Header.sizeof_hdr)
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        if kind.may_contain_header(start):
            header = kind(start[: kind.sizeof_hdr], check=False)
            if header["magic"].item() == header.pair_magic:
                raise TedmError(f"{path}: the header of a pair (.hdr, .img), without voxels; save it as .nii or .nii.gz")
            header.check_fix(logger=_QUIET, error_level=40)
            return header
    raise TedmError(f"{path}: not a NIfTI file, whatever its name says")


def _affine(path: Path, header: Any, shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], list[str]]:
    """Return where the voxels lie, in millimetres, and what was assumed."""
    remarks = []
    with np.errstate(all="ignore"):
        affine = np.array(header.get_best_affine(), np.float64)
        its = "sform" if header["sform_code"] else "qform" if header["qform_code"] else "voxel size"
        if problem := affine_problem(affine):
            raise TedmError(f"{path}: its affine ({its}) {problem}; mend the header, or save the volume again")
        if its == "voxel size":
            remarks.append(f"says nothing of its orientation (no sform, no qform); taken to have {in_short(affine)}")
        elif its == "sform" and header["qform_code"]:
            try:
                between = apart(shape, affine, header.get_qform())
            except Exception:  # numbers that are no rotation raise anything
                between = np.inf
            if not between <= tolerance(affine):
                far = f"lie up to {between:.4g} mm apart" if np.isfinite(between) else "contradict each other"
                remarks.append(f"sform and qform {far}; the sform is taken")
    if factor := _MILLIMETRES.get(header.get_xyzt_units()[0] if int(header["xyzt_units"]) % 8 < 4 else ""):
        affine[:3] *= factor
        remarks.append(f"its affine is in {header.get_xyzt_units()[0]}s; in millimetres: {in_short(affine)}")
    return affine, remarks


def _require_whole(file: _Content, path: Path, stored: _Stored) -> list[str]:
    """Refuse a file that ends before its voxels do, or goes on long after them; decompressed to its end, in little memory."""
    there = file.tell()
    if isinstance(file, gzip.GzipFile):
        while there <= stored.end + SLACK and (piece := file.read(PIECE)):
            there += len(piece)
    else:
        there = file.seek(0, 2)
    if there < stored.end:
        raise cut_off(path, there, stored.end)
    if there > stored.end + SLACK:
        raise TedmError(f"{path}: holds far more than the {stored.end} bytes of which its header speaks; the file is damaged")
    return [f"{there - stored.end} bytes follow after the voxels and are not read"] if there > stored.end else []


def _read(file: _Content, stored: _Stored) -> NDArray[Any]:
    """Return the numbers that are stored, of shape (*shape, channels)."""
    array_proxy = package("nibabel.arrayproxy", "volumes", "a NIfTI file").ArrayProxy
    voxels = array_proxy(file, ((*stored.shape, stored.channels), stored.dtype, stored.offset), mmap=False).get_unscaled()
    return native(voxels)


def _slabs(voxels: NDArray[Any], into: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Go through two arrays of one shape together, in parts that need little memory."""
    for at in range(voxels.shape[2]):
        yield voxels[:, :, at], into[:, :, at]
