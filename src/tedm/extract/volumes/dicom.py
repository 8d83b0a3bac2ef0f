"""Volumes in DICOM: a series of files, or one file of many slices.

Voxel indices are those of column, row and slice, so that shape and affine are those that other tools give a NIfTI file of the
series. `dicom_series` finds the files, `dicom_file` reads what they say, `dicom_geometry` puts them in order and `dicom_pixels`
decodes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import whole_numbers
from tedm.store.volumes.volume import MOST_VOXELS
from tedm.text import listed

from .dicom_file import DicomFile, Picture, begins_as_dicom, read_file
from .dicom_geometry import Arrangement, arrange
from .dicom_pixels import pixel_arrays, require_decodable, values_of
from .dicom_series import SUFFIXES, files_of_series, is_named_dicom
from .header import VolumeHeader

__all__ = ["SUFFIXES", "looks_like_dicom", "pictures_in_order", "read_header", "read_labels", "read_voxels", "stem"]

EXACT = 24  # bits of a whole number that float32 holds


def looks_like_dicom(path: Path) -> bool:
    """Say whether a path is a DICOM file, or a folder with one directly in it.

    A file counts by its name (`SUFFIXES`), without a suffix by the four letters at byte 128; a DICOMDIR, a list, does not.
    """
    if not path.is_dir():
        return path.name.upper() != "DICOMDIR" and (is_named_dicom(path) or (_has_no_suffix(path) and begins_as_dicom(path)))
    try:
        files = [each for each in path.iterdir() if not each.name.startswith(".") and not each.is_dir()]
    except OSError:
        return False
    files = [each for each in files if each.name.upper() != "DICOMDIR"]
    return any(map(is_named_dicom, files)) or any(_has_no_suffix(each) and begins_as_dicom(each) for each in files)


def _has_no_suffix(path: Path) -> bool:
    """Whether a file's name ends in no suffix, or in one number of many as UIDs do: others are not opened to see."""
    return path.suffix in ("", ".") or path.suffix[1:].isdecimal()


def stem(path: Path) -> str:
    """Return what a volume is called: the folder's name, or the file's without a suffix of `SUFFIXES`.

    Examples
    --------
    >>> stem(Path("scans/a.dcm")), stem(Path("scans/1.2.840.5"))
    ('a', '1.2.840.5')
    """
    name = path.name or path.resolve().name
    return name[: -len(path.suffix)] if is_named_dicom(path) and not path.is_dir() else name


def read_header(path: Path, *, channels: bool = False) -> VolumeHeader:
    """Read what a series says about itself, and refuse it if it is no volume.

    Parameters
    ----------
    path : Path
        A folder, or a file: then those files of its folder count that are of its series.
    channels : bool
        Without effect: no DICOM file that is read has channels.

    Raises
    ------
    TedmError
        If the series cannot be read, or is no evenly spaced volume of grey levels. No pixel is decoded for that, other than
        those of slices at one place.
    """
    paths, remarks = files_of_series(path)
    volume = _volume(path, paths)
    files, pictures = volume.files, volume.arrangement.pictures
    first = files[0]
    rescaled = any((each.slope, each.intercept) != (1.0, 0.0) for each in pictures)
    bits = max(file.stored for file in files)
    said = [remark for file in files for remark in file.remarks]
    said = [*said[:3], *([f"{path.name}: {len(said) - 3} more of its files are like this"] if said[3:] else [])]
    remarks = (*remarks, *volume.arrangement.remarks, *said)
    if first.inverted:
        remarks = (*remarks, f"{path.name}: large numbers are dark in it (MONOCHROME1); turned round, so that large is bright")
    if padding := sorted({file.padding for file in files if file.padding is not None}):
        remarks = (*remarks, f"{path.name}: PixelPaddingValue {listed(padding)} marks what is outside; kept as it is, rescaled")
    return VolumeHeader(
        kind="dicom",
        shape=(first.columns, first.rows, len(pictures)),
        channels=1,
        affine=volume.arrangement.affine,
        qform_code=0,
        sform_code=0,
        mode=_mode(files, bits, rescaled=rescaled).name,
        bits=bits,
        white=None if rescaled or first.signed else 2.0**bits - 1,
        files=tuple(dict.fromkeys(picture.path for picture in pictures)),
        remarks=remarks,
    )


def read_voxels(path: Path, header: VolumeHeader) -> NDArray[Any]:
    """Decode the slices of a series, one at a time.

    Parameters
    ----------
    path : Path
        As for `read_header`.
    header : VolumeHeader
        Of the same path.

    Returns
    -------
    array of shape (columns, rows, slices, 1)
        Rescaled by each slice's own slope and intercept, and float32 then (float64 for numbers of more than 24 bits); else
        integers of the file's type. Large is bright.
    """
    volume = _unchanged(path, header)
    mode = np.dtype(header.mode)
    voxels = np.empty((*header.shape, 1), mode, order="F")
    for at, file, picture, numbers in volume.decoded():
        voxels[:, :, at, 0] = values_of(file, picture, numbers, mode, header.white).T
    return voxels


def read_labels(path: Path, header: VolumeHeader) -> NDArray[np.int32]:
    """Decode a mask: its class values, of shape (columns, rows, slices).

    Numbers are rescaled, and never turned round: a class value is what is stored, however it is shown.

    Raises
    ------
    TedmError
        If they are no whole numbers.
    """
    volume = _unchanged(path, header)
    labels = np.empty(header.shape, np.int32, order="F")
    for at, file, picture, numbers in volume.decoded():
        values = numbers.astype(np.float64) * picture.slope + picture.intercept
        near = np.rint(values)
        labels[:, :, at] = whole_numbers(file.path, np.where(np.abs(values - near) < 1e-6, near, values)).T
    return labels


def pictures_in_order(paths: Sequence[Path]) -> tuple[Picture, ...]:
    """Return the slices of a series' files in the order of the volume's last axis."""
    return _volume(paths[0].parent if len(paths) > 1 else paths[0], paths).arrangement.pictures


@dataclass(frozen=True)
class _Volume:
    """Files of one kind, and their slices in order."""

    files: tuple[DicomFile, ...]
    arrangement: Arrangement

    def decoded(self) -> Any:
        """Give (index along the last axis, file, slice, stored numbers), file by file."""
        for file in self.files:
            mine = [(at, picture) for at, picture in enumerate(self.arrangement.pictures) if picture.path == file.path]
            for (at, picture), numbers in zip(mine, pixel_arrays(file, [picture for _, picture in mine]), strict=True):
                yield at, file, picture, numbers


def _volume(where: Path, paths: Sequence[Path]) -> _Volume:
    """Read what files say, and put their slices in order."""
    files = tuple(read_file(path) for path in paths)
    first = files[0]
    for file in files:
        require_decodable(file)
        for name, one, other in (
            ("sizes", f"{first.columns} x {first.rows}", f"{file.columns} x {file.rows}"),
            ("kinds", first.photometric, file.photometric),
            ("kinds", "signed" if first.signed else "unsigned", "signed" if file.signed else "unsigned"),
        ):
            if one != other:
                raise TedmError(
                    f"{where}: slices of different {name} ({one} in {first.path.name}, {other} in {file.path.name}); "
                    f"move those of one of the {name} elsewhere"
                )
    pictures = [picture for file in files for picture in file.pictures]
    if math.prod((first.columns, first.rows, len(pictures))) > MOST_VOXELS:
        raise TedmError(f"{where}: more than {MOST_VOXELS} voxels; save a smaller copy")
    by_path = {file.path: file for file in files}

    def same(one: Picture, other: Picture) -> bool:
        numbers = [next(pixel_arrays(by_path[each.path], [each])) for each in (one, other)]
        return (one.slope, one.intercept) == (other.slope, other.intercept) and bool((numbers[0] == numbers[1]).all())

    return _Volume(files, arrange(where, pictures, same))


def _unchanged(path: Path, header: VolumeHeader) -> _Volume:
    """Read the files of a header again, and refuse those that have changed since."""
    volume = _volume(path, header.files)
    first = volume.files[0]
    now = (first.columns, first.rows, len(volume.arrangement.pictures)), volume.arrangement.affine
    if now != (header.shape, header.affine):
        raise TedmError(f"{path}: its files have changed since the work began; run the same command again")
    return volume


def _mode(files: Sequence[DicomFile], bits: int, *, rescaled: bool) -> np.dtype[Any]:
    """Return the type of a volume's numbers."""
    if rescaled:
        return np.dtype(np.float32 if bits <= EXACT else np.float64)
    return np.dtype(f"{'i' if files[0].signed else 'u'}{max(file.allocated for file in files) // 8}")
