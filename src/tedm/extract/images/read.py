"""An image file as intensities in [0, 1], a mask file as labels.

Black and white are the file type's own (0 and 255, 0 and 65535) unless the user says what they are; never the darkest and
brightest pixel of one image, which would make images incomparable. `READERS` says who reads which suffix: another kind of file
joins as a module (`tedm.extract.images.reader.Reader`) and an entry there.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.reading import broken_link
from tedm.extract.volumes import read as volumes
from tedm.extract.volumes.read import KINDS

from . import raster
from .intensities import Intensities
from .reader import FileLabels, Header, Reader

READERS: dict[str, Reader] = dict.fromkeys((".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff"), raster)
OF_VOLUMES = tuple(suffix for kind in KINDS for suffix in kind.reader.SUFFIXES)


def kinds_read() -> tuple[str, ...]:
    """Return the suffixes of all files that are read: those of pictures, then those of volumes."""
    return (*READERS, *OF_VOLUMES)


def suffix_of(path: Path) -> str | None:
    """Return the suffix by which a file's reader is found, in lower case, or None if nobody reads it.

    Examples
    --------
    >>> suffix_of(Path("scans/Patient 7.TIF"))
    '.tif'
    """
    name = path.name.lower()
    at = name.find(".", 1)
    while at > 0 and name[at:] not in READERS and name[at:] not in OF_VOLUMES:
        at = name.find(".", at + 1)  # from the left: of .gz and .nii.gz the one that says more
    return name[at:] if at > 0 else None


def is_volume(path: Path) -> bool:
    """Whether a path is a volume's; what has the suffix of a picture is none, and is not looked at.

    Examples
    --------
    >>> is_volume(Path("scans/sub-1.NII.GZ")), is_volume(Path("scans/sub-1.png"))
    (True, False)
    """
    return suffix_of(path) not in READERS and volumes.is_volume(path)


def stem_of(path: Path) -> str:
    """Return a file's name without the suffix by which its reader is found."""
    suffix = suffix_of(path)
    if suffix not in READERS and volumes.is_volume(path):
        return volumes.volume_stem(path)
    return path.name[: -len(suffix)] if suffix else path.stem


def read_header(path: Path) -> Header:
    """Read a file's size and kind without decoding its pixels; notice a file that is cut off.

    Raises
    ------
    TedmError
        If the file is not there, cannot be read, is cut off, or is of a kind that we do not take.
    """
    return _reader(path).read_header(path)


def read_image(path: Path, *, channels: int, intensity_range: tuple[float, float] | None) -> NDArray[np.float32]:
    """Read an image as intensities.

    Parameters
    ----------
    path : Path
        A PNG, JPEG or TIFF file; `docs/formats.md` says what each kind means. Alpha is dropped.
    channels : {1, 3}
        Grey is repeated for three channels. Grey that is kept as colours, with the faint tint of a JPEG perhaps, becomes one
        channel by ITU-R 601 luma, as in Pillow but not rounded to 8 bits; colours are refused.
    intensity_range : tuple of two floats, or None
        Black and white in the numbers of a file of more than 8 bits; what lies beyond is clipped. None, and a file of up to 8
        bits, take the file type's range.

    Returns
    -------
    array of shape (height, width, channels)
        Intensities in [0, 1]; JPEG and TIFF upright as their orientation tag says.

    Raises
    ------
    TedmError
        If the file cannot be read, has no range of its own and none is given, holds infinities or NaN, or is in colour where
        one channel is wanted.
    """
    return read_rows(path, channels=channels, intensity_range=intensity_range)[:]


def read_rows(path: Path, *, channels: int, intensity_range: tuple[float, float] | None) -> Intensities:
    """Read an image as `read_image` does, but keep the file's own numbers: rows become intensities when they are asked for."""
    if channels not in (1, 3):
        raise TedmError(
            f"{path}: a picture has 1 channel or 3, and the backbone takes {channels}; name a column for each with --channels"
        )
    values, header = _reader(path).read_intensities(path)
    problem = intensity_problem(header, intensity_range)
    if problem:
        raise TedmError(f"{path}: {problem}")
    black, white = black_and_white(header, intensity_range)
    return Intensities(values, black=black, white=white, channels=channels, what=str(path))


def has_own_range(header: Header) -> bool:
    """Whether black and white are the file type's whatever the user says: files of up to 8 bits use all of their few values."""
    return header.white is not None and header.bits <= 8


def black_and_white(header: Header, intensity_range: tuple[float, float] | None) -> tuple[float, float]:
    """Return black and white in the file's numbers: a range that was given is for files of more than 8 bits."""
    return (0.0, header.white or 0.0) if intensity_range is None or has_own_range(header) else intensity_range


def intensity_problem(header: Header, intensity_range: tuple[float, float] | None) -> str | None:
    """Return why an image of this kind cannot be mapped to [0, 1], with what to do; None if it can."""
    if intensity_range is None:
        if header.white is None:
            return f"values of kind {header.mode} with {header.bits} bits have no range of their own; give --intensity-range"
        return None
    black, white = intensity_range
    if not (math.isfinite(black) and math.isfinite(white) and black < white):
        return f"an intensity range of {black:g} to {white:g}; the first must be the smaller one"
    return None


def read_mask(path: Path) -> NDArray[np.int32]:
    """Read a mask as it is in the file: grey values, or the indices of a palette.

    Returns
    -------
    array of shape (height, width)
        Integers; what they mean is the manifest's business.

    Raises
    ------
    TedmError
        If the file cannot be read, or its pixels are no labels: colours, fractions, or a JPEG.
    """
    return read_labels(path).values


def read_labels(path: Path) -> FileLabels:
    """Read a mask as `read_mask` does, with the colours in which its numbers are shown."""
    return _reader(path).read_labels(path)


def _reader(path: Path) -> Reader:
    if problem := broken_link(path):
        raise TedmError(f"{path}: {problem}")
    suffix = suffix_of(path)
    if suffix in READERS:
        return READERS[suffix]
    if volumes.is_volume(path):
        raise TedmError(f"{path}: a volume, where a picture is wanted; an image, its channels and its mask are of one kind")
    if not path.exists():
        raise TedmError(f"{path}: no such file")
    if path.is_dir():
        raise TedmError(f"{path}: a folder without a DICOM file directly in it; name a file, or the folder of a series")
    pictures = dict.fromkeys(kind for reader in READERS.values() for kind in reader.KINDS)
    *most, last = (*pictures, *(kind.name for kind in KINDS))
    kinds = f"{', '.join(most)} and {last}" if most else last
    raise TedmError(f"{path}: files of this kind are not read; {kinds} are ({', '.join(kinds_read())})")
