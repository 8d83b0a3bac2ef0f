"""A NumPy array as one image, or as the slices of a volume, whose black and white are known before anything is computed.

An array is taken as a file of the same numbers would be: 8 and 16 unsigned bits have a black and a white of their own, other
integers have none. Floats without a range are intensities from 0 to 1, as most Python libraries keep them, and refused if they
are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.images.geometry import to_square_image
from tedm.extract.images.intensities import Intensities
from tedm.extract.images.intensity_check import look_at_intensities
from tedm.extract.images.read import black_and_white, intensity_problem
from tedm.extract.images.reader import Header
from tedm.extract.images.square import naming
from tedm.names import problem_of, quoted
from tedm.store import FeatureSettings
from tedm.store.volumes.volume import Volume
from tedm.text import counted, listed

_NO_AFFINE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Picture:
    """One image in memory.

    Parameters
    ----------
    name : str
        Which decides its noise, as the name of a file would.
    values : array of shape (height, width, channels)
        Numbers, as they were given.
    header : Header
        What a file of such numbers would say of itself.
    intensity_range : tuple of two floats or None
        Black and white in numbers of more than 8 bits; None is the range of their type.
    """

    name: str
    values: NDArray[Any]
    header: Header
    intensity_range: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.header.height, self.header.width

    def shown(self) -> NDArray[np.float32]:
        """Return what a figure shows of it: intensities in [0, 1] of shape (height, width), or (height, width, 3)."""
        if self.values.shape[2] == 3:
            return self.intensities(3)[:]
        first = replace(self, values=self.values[..., :1])
        return first.intensities(1)[:][..., 0]

    def square(self, settings: FeatureSettings) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        with naming(Path(self.name)):
            rows = self.intensities(settings.image_channels)
            return to_square_image(rows, settings.image_size, settings.geometry)

    def intensities(self, channels: int) -> Intensities:
        """Return the image as one of so many channels, mapped to [0, 1] when its rows are asked for."""
        black, white = black_and_white(self.header, self.intensity_range)
        return Intensities(self.values, black=black, white=white, channels=channels, what=f"image {self.name}")


def pictures_of(
    image: ArrayLike,
    name: str,
    *,
    axis: int | None = None,
    channels: int = 1,
    intensity_range: tuple[float, float] | None = None,
) -> list[Picture]:
    """Return an array as one image, or as the slices of a volume.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, channels); with `axis`, of a volume, one dimension more
        Integers, floats or booleans.
    name : str
        Of the image; slices are called after it.
    axis : int or None
        Which axis of a volume counts its slices; None for an image.
    channels : int
        Of the backbone. It takes as many channels, grey for three, or three that are all but grey for one.
    intensity_range : tuple of two floats or None
        Black and white in the array's numbers, where these have more than 8 bits.

    Raises
    ------
    TedmError
        If this is no such array, it is empty or holds NaN, or the name could be no file's.

    Examples
    --------
    >>> [picture.name for picture in pictures_of(np.zeros((2, 4, 5)), "ct", axis=0)]
    ['ct_000', 'ct_001']
    """
    if problem := problem_of(name):
        raise TedmError(f"image {quoted(name)}: the name {problem}; give it another one")
    values = _numbers(image, name)
    planes, names = [values], [name]
    if axis is not None:
        axis = _slice_axis(values, axis, name)
        planes = list(np.moveaxis(values, axis, 0))
        height, width, *_ = planes[0].shape
        volume = Volume(name, (len(planes), height, width), _NO_AFFINE, (0, 1, 2), (False, False, False))
        names = [volume.slice_name(at) for at in range(len(planes))]
    _require_planes(planes[0], name, axis, channels)
    header = _header(values, planes[0].shape)
    return [
        Picture(its, plane if plane.ndim == 3 else plane[..., np.newaxis], header, intensity_range)
        for its, plane in zip(names, planes, strict=True)
    ]


def require_intensities(pictures: Sequence[Picture], *, channels: int) -> list[str]:
    """Refuse images that cannot become the backbone's; look at the values of a sample of them.

    Parameters
    ----------
    pictures : sequence of Picture
        With one range.
    channels : int
        Of the backbone; one channel takes no colours.

    Returns
    -------
    list of str
        What is odd about the values; see `tedm.extract.images.intensity_check`.

    Raises
    ------
    TedmError
        If numbers have no range and none is given, floats without a range leave 0 to 1, images are in colour where one channel
        is wanted, or all are of one grey value.
    """
    colours, intensity_range = [], pictures[0].intensity_range
    for picture in pictures:
        if problem := intensity_problem(picture.header, intensity_range):
            raise TedmError(f"image {picture.name}: {_with_remedy(problem, picture.values)}")
        if picture.values.dtype.kind == "f" and intensity_range is None:
            low, high = float(picture.values.min()), float(picture.values.max())
            if low < 0 or high > 1:
                raise TedmError(
                    f"image {picture.name}: floats without a range are intensities from 0 to 1, and these reach from {low:g} "
                    f"to {high:g}; give intensity_range=(black, white)"
                )
        if channels == 1 and picture.values.shape[2] == 3:
            try:
                picture.intensities(1)[:]
            except TedmError as error:
                colours.append(str(error))
    raise_listed(f"{counted(len(colours), 'image')} of {len(pictures)} cannot be used", colours)
    by_name = {picture.name: picture.values for picture in pictures}
    headers = [(Path(picture.name), picture.header) for picture in pictures]
    return look_at_intensities(headers, intensity_range, read=lambda path: by_name[str(path)])


def _with_remedy(problem: str, values: NDArray[Any]) -> str:
    """Say what helps where integers are of a type without a range, but small enough for one that has it."""
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() < 256:
        return f"{problem}, or convert them with .astype(np.uint8) if black is 0 and white 255"
    return problem


def _numbers(image: ArrayLike, name: str) -> NDArray[Any]:
    if np.ma.isMaskedArray(image):
        raise TedmError(f"image {name}: a masked array, whose masked pixels have no value; fill them, image.filled(0) say")
    try:
        values = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise TedmError(f"image {name}: no array of numbers ({next(iter(str(error).splitlines()), '')})") from error
    if isinstance(image, str | PathLike):
        raise TedmError(f"image {name}: {image} names a file, and an array is expected; read it first, or use tedm-predict")
    if values.dtype.kind not in "biuf":
        raise TedmError(f"image {name}: an array of {values.dtype}; expected integers or floats")
    if not values.size:
        raise TedmError(f"image {name}: an array of shape {values.shape}, without a pixel")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise TedmError(f"image {name}: holds NaN or infinite values; replace them")
    return values


def _slice_axis(values: NDArray[Any], axis: int, name: str) -> int:
    if values.ndim not in (3, 4):
        raise TedmError(
            f"image {name}: axis={axis} names the slices of a volume, and an array of shape {values.shape} is none; a volume "
            "has three dimensions, or four with its channels last; leave axis out for an image"
        )
    if not -values.ndim <= axis < values.ndim or (values.ndim == 4 and axis in (-1, 3)):
        raise TedmError(f"image {name}: axis={axis} is none of the axes of a volume of shape {values.shape}; give 0, 1 or 2")
    return axis % values.ndim


def _require_planes(plane: NDArray[Any], name: str, axis: int | None, channels: int) -> None:
    """Refuse what is no image of one of the numbers of channels that the backbone takes."""
    expected = listed(sorted({channels, *({1, 3} if channels in (1, 3) else ())}))
    if plane.ndim == 2:
        if channels not in (1, 3):
            raise TedmError(f"image {name}: grey, and the backbone takes {channels} channels; put as many into the last axis")
        return
    if plane.ndim != 3:
        raise TedmError(
            f"image {name}: an array of {plane.ndim} dimensions; expected (height, width), (height, width, channels), or a "
            "volume with the axis of its slices (axis=0)"
        )
    there = plane.shape[2]
    if there == channels or (there in (1, 3) and channels in (1, 3)):
        return
    if there == 4 and axis is None and channels in (1, 3):
        raise TedmError(
            f"image {name}: four channels, of an array of shape {plane.shape}; leave out transparency with image[..., :3], or "
            "name the axis of the slices if it is a volume (axis=2)"
        )
    raise TedmError(
        f"image {name}: {there} channels in the last axis of shape {plane.shape}, and the backbone takes {expected}; for a "
        "volume name the axis of its slices (axis=0), channels that come first go last with np.moveaxis(image, 0, -1)"
    )


def _header(values: NDArray[Any], plane: tuple[int, ...]) -> Header:
    """Return what a file of such numbers would say; floats have the range 0 to 1 where none is given."""
    kind, bits = values.dtype.kind, values.dtype.itemsize * 8
    if kind == "b":
        kind, bits = "u", 1  # as in a PNG of one bit
    white = 1.0 if kind == "f" else float(2**bits - 1) if kind == "u" and bits <= 16 else None
    mode = {"f": "float", "u": "unsigned", "i": "signed"}[kind]
    return Header(plane[0], plane[1], f"{mode} RGB" if len(plane) == 3 and plane[2] == 3 else mode, bits, white)
