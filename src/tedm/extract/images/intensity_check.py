"""Whether the numbers of images lie where black and white are, seen in a sample of them.

A file's type says too little: values of 12 bits in a file of 16 are all nearly black, and a range in other units clips all that
there is. Of each kind of file (bits, white) up to `SAMPLE` images are read, spread evenly over the list, the same at each run.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.volumes.read import is_volume, read_voxels
from tedm.extract.volumes.read import read_header as read_volume_header
from tedm.text import counted

from .read import READERS, black_and_white, has_own_range, read_image, suffix_of
from .reader import Header

SAMPLE = 32  # images of a kind that are looked at
SMALL_PART = 1 / 4  # of the range: values that fill no more of it are dark or without contrast
MUCH_CLIPPED = 1 / 3  # of the pixels
# Kinds of pixel that hold no colours; of another kind the pixels are asked.
GREY = ("1", "L", "LA", "I;16", "unsigned", "signed", "float")


@dataclass(frozen=True)
class _Values:
    """What one image, or several, hold in the file's numbers."""

    lowest: float
    highest: float
    below: int
    above: int
    pixels: int
    constant: bool
    """Whether each image is of one value after mapping."""
    flat: bool
    """Whether each image is of one value in its file."""


def look_at_intensities(
    images: Sequence[tuple[Path, Header]],
    intensity_range: tuple[float, float] | None,
    *,
    all_there_are: bool = True,
    read: Callable[[Path], NDArray[Any]] | None = None,
) -> list[str]:
    """Compare the values of a sample of images with their black and white.

    Parameters
    ----------
    images : sequence of (Path, Header)
        Each of a kind that this range can map.
    intensity_range : tuple of two floats or None
        Black and white in files of more than 8 bits; None is the file type's range.
    all_there_are : bool
        False if more images, which are not opened, belong to them: then nothing is refused.
    read : callable (Path) or None
        Gives an image's numbers where these lie in no file, and its path is a name; None reads the file.

    Returns
    -------
    list of str
        A sentence on each kind of file whose values fit badly, with the range that would fit, and on files to which the range
        does not apply.

    Raises
    ------
    TedmError
        If every image that was looked at is of a single value after mapping.
    """
    kinds: dict[tuple[int, float | None], list[tuple[Path, Header]]] = defaultdict(list)
    for path, header in images:
        kinds[header.bits, header.white].append((path, header))
    remarks, constant, flat = [], [], True
    for (bits, _), of_kind in sorted(kinds.items(), key=lambda item: (item[0][0], item[0][1] or 0.0)):
        header = of_kind[0][1]
        black, white = black_and_white(header, intensity_range)
        if intensity_range is not None and has_own_range(header):
            remarks.append(
                f"black and white stay 0 and {white:g} in {counted(len(of_kind), 'image')} of {bits} bits: "
                "--intensity-range is for files of more than 8 bits"
            )
        found = [values for path, _ in _spread(of_kind) if (values := _values_of(path, black, white, read or _in_file))]
        if not found:
            continue
        together = _merged(found)
        says = _remark(together, header, (black, white), f"{len(found)} of {counted(len(of_kind), 'image')} of {bits} bits")
        if says:
            remarks.append(says)
        constant.append((together, says))
        flat = flat and together.flat
    if constant and all(values.constant for values, _ in constant):
        reason = (
            "; each is of one value in its file already, so that there is nothing to see; look at the files"
            if flat
            else "".join(f"\n  {says}" for _, says in constant if says)
        )
        what = f"all {counted(sum(min(len(of), SAMPLE) for of in kinds.values()), 'image')} that were looked at"
        if len(images) == 1:
            what = str(images[0][0])
        if all_there_are:
            raise TedmError(f"{what} would be of a single grey value{reason}")
        remarks.append(f"{what} would be of a single grey value")
    return remarks


def require_grey(images: Sequence[tuple[Path, Header]], intensity_range: tuple[float, float] | None) -> None:
    """Refuse images in colour for a backbone of one channel, all at once; only files that can hold colours are decoded.

    Raises
    ------
    TedmError
        With every image that `read_image` would refuse.
    """

    def problem_of(path: Path) -> str | None:
        try:
            read_image(path, channels=1, intensity_range=intensity_range)
        except TedmError as error:
            return str(error)
        return None

    asked = [path for path, header in images if header.mode not in GREY]
    with ThreadPoolExecutor(4) as pool:
        problems = [problem for problem in pool.map(problem_of, asked) if problem]
    raise_listed(f"{counted(len(problems), 'image')} of {len(images)} cannot be used", problems)


def _spread(images: Sequence[tuple[Path, Header]]) -> list[tuple[Path, Header]]:
    count = min(SAMPLE, len(images))
    return [images[number * len(images) // count] for number in range(count)]


def _in_file(path: Path) -> NDArray[Any]:
    suffix = suffix_of(path)
    if is_volume(path):
        values = read_voxels(path, read_volume_header(path, channels=True))
        return np.asarray(values[np.isfinite(values)])  # those that are not become black, which is said elsewhere
    return READERS[suffix].read_intensities(path)[0] if suffix else np.empty(0)


def _values_of(path: Path, black: float, white: float, read: Callable[[Path], NDArray[Any]]) -> _Values | None:
    """Look at one image; None if it cannot be decoded or holds NaN, which is told when it is read."""
    try:
        values = read(path)
    except TedmError:
        return None
    if not values.size:
        return None
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return None
    below, above = (int((values < black).sum()), int((values > white).sum())) if lowest < black or highest > white else (0, 0)
    constant = min(max(lowest, black), white) == min(max(highest, black), white)
    return _Values(lowest, highest, below, above, values.size, constant, lowest == highest)


def _merged(found: Sequence[_Values]) -> _Values:
    return _Values(
        min(one.lowest for one in found),
        max(one.highest for one in found),
        sum(one.below for one in found),
        sum(one.above for one in found),
        sum(one.pixels for one in found),
        all(one.constant for one in found),
        all(one.flat for one in found),
    )


def _remark(values: _Values, header: Header, range_: tuple[float, float], which: str) -> str | None:
    black, white = range_
    span = f"values of {which} reach from {values.lowest:g} to {values.highest:g}"
    fit = _fitting(values.lowest, values.highest)
    remedy = (
        "stretch them, if that is not meant"
        if has_own_range(header)
        else f"--intensity-range={fit[0]:g},{fit[1]:g} fits, if black and white of the device are not known better"
    )
    clipped = (values.below + values.above) / values.pixels
    if clipped > MUCH_CLIPPED:
        return f"{span}: {clipped:.0%} of the pixels lie outside of black and white ({black:g}, {white:g}); {remedy}"
    if values.highest - black <= SMALL_PART * (white - black):
        return f"{span}, nearly black where white is {white:g}; {remedy}"
    if values.highest - values.lowest <= SMALL_PART / 4 * (white - black) and not values.flat:
        return f"{span}, nearly one grey where black is {black:g} and white {white:g}; {remedy}"
    return None


def _fitting(lowest: float, highest: float) -> tuple[float, float]:
    """Return a range that holds these values: that of a number of bits where it is near, else one of round numbers.

    Examples
    --------
    >>> _fitting(12, 4080), _fitting(-1024, 2931), _fitting(0.0, 0.93)
    ((0.0, 4095.0), (-1100.0, 3000.0), (0.0, 1.0))
    """
    if lowest >= 0 and highest <= 1:
        return 0.0, 1.0
    if 0 <= lowest <= highest / 2 and highest > 127:
        return 0.0, 2.0 ** math.ceil(math.log2(highest + 1)) - 1
    unit = 10.0 ** math.floor(math.log10(max(abs(lowest), abs(highest), 1e-30))) / 10
    low, high = math.floor(lowest / unit) * unit, math.ceil(highest / unit) * unit
    return (low, high) if low < high else (low, low + unit)
