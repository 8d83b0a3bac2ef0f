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

from . import raster
from .reader import FileLabels, Header, Reader

READERS: dict[str, Reader] = dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), raster)


def suffix_of(path: Path) -> str | None:
    """Return the suffix by which a file's reader is found, in lower case, or None if nobody reads it.

    Examples
    --------
    >>> suffix_of(Path("scans/Patient 7.TIF"))
    '.tif'
    """
    name = path.name.lower()
    fitting = [suffix for suffix in READERS if name.endswith(suffix) and name != suffix]
    return max(fitting, key=len, default=None)  # of .gz and .nii.gz the one that says more


def stem_of(path: Path) -> str:
    """Return a file's name without the suffix by which its reader is found."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.stem


def read_header(path: Path) -> Header:
    """Read a file's size and kind without decoding its pixels; notice a file that is cut off.

    Raises
    ------
    TedmError
        If the file is not there, cannot be read, is cut off, or is of a kind that we do not take.
    """
    return _reader(path).read_header(path)


# Colours that differ by no more than this, of 1, are grey: JPEG rounds chroma, scanners tint.
TINT = 0.1


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
        Black and white in the file's numbers; what lies beyond is clipped. None is the file type's range.

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
    if channels not in (1, 3):
        raise ValueError(f"a backbone takes 1 or 3 channels, not {channels}")
    values, header = _reader(path).read_intensities(path)
    problem = intensity_problem(header, intensity_range)
    if problem:
        raise TedmError(f"{path}: {problem}")
    black, white = intensity_range or (0.0, header.white or 0.0)
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise TedmError(f"{path}: holds NaN or infinite values; replace them")
    image = ((numbers - black) / (white - black)).clip(0.0, 1.0).astype(np.float32)
    if channels == 1 and image.shape[2] == 3:
        apart = float((image.max(axis=2) - image.min(axis=2)).max())
        if apart > TINT:
            raise TedmError(
                f"{path}: is in colour, and the backbone was trained on grey images; make it grey in the way that is right for "
                'it (in Pillow: image.convert("L")), or use a backbone of three channels'
            )
        # Pillow's weights: they sum to 65536, and on float32 the sums are exact, so that equal channels give themselves.
        red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
        image = ((red * 19595 + green * 38470 + blue * 7471) / 65536).astype(np.float32)[..., None]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], channels)))


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
    suffix = suffix_of(path)
    if suffix is None:
        if not path.exists():
            raise TedmError(f"{path}: no such file")
        *most, last = dict.fromkeys(kind for reader in READERS.values() for kind in reader.KINDS)
        kinds = f"{', '.join(most)} and {last}" if most else last
        raise TedmError(f"{path}: files of this kind are not read; {kinds} are ({', '.join(READERS)})")
    return READERS[suffix]
