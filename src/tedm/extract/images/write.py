"""Predicted masks back into files, at the images' own size and geometry.

Files hold the mask values that the user's own masks have, not class indices; values of 8 bits are indices of a palette, so that
viewers show them in colour. Each file is written aside and renamed when whole.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tedm.files import write_whole
from tedm.names import file_of
from tedm.store.settings import Geometry

from .geometry import from_square_probabilities, probability_bands, square_bands

MASK, PROBABILITIES = ".png", ".npy"
UNCERTAINTY = "uncertainty"  # the folder of its maps
REMEDY = "make room; what was written before is whole"
NO_TEXT: Mapping[str, str] = MappingProxyType({})


class Cleaner(Protocol):
    """What may be done to a mask before it is written: `tedm.heads.segmenter.postprocess.Cleaning`."""

    def enlarged(self, pixels: float) -> Self:
        """Return a cleaner for masks in which so many pixels stand for one at feature resolution."""

    def __call__(self, mask: NDArray[np.uint8]) -> NDArray[Any]:
        """Class indices, cleaned."""


def files_written(name: str, *, probabilities: bool = False, maps: Sequence[str] = ()) -> list[str]:
    """Return what `write_prediction`, and `write_uncertainty` in a folder of its own, will write of an image.

    Examples
    --------
    >>> files_written("a", probabilities=True, maps=["entropy"])
    ['a.png', 'a.npy', 'uncertainty/a-entropy.png']
    """
    of_maps = (f"{UNCERTAINTY}/{name}-{kind}{MASK}" for kind in maps)
    return [name + MASK, *[name + PROBABILITIES] * probabilities, *of_maps]


def write_prediction(
    folder: Path,
    name: str,
    probabilities: NDArray[np.floating],
    *,
    original_size: tuple[int, int],
    geometry: Geometry,
    classes: Sequence[int],
    colours: Sequence[str] = (),
    keep_probabilities: bool = False,
    cleaning: Cleaner | None = None,
    mask: NDArray[np.uint8] | None = None,
) -> Path:
    """Write one image's mask as PNG.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    name : str
        The image: the file is `name.png`.
    probabilities : array of shape (size, size, classes)
        At feature resolution; interpolated before the most probable class is taken, so that edges are smooth.
    original_size : tuple of int
        Height and width of the image's file.
    geometry : {"pad", "stretch"}
        How the image had become a square.
    classes : sequence of int
        Mask value of each class; 8 bits if they fit, else 16.
    colours : sequence of str
        Colour of each class as "#rrggbb", in which values of 8 bits are seen; without any, or of 16 bits, masks are grey.
    keep_probabilities : bool
        Also write `name.npy`: float32 of shape (height, width, classes).
    cleaning : Cleaner or None
        Applied to the mask at the image's own size.
    mask : array of shape (height, width), or None
        Class indices at the image's own size, where the mask is not that of these probabilities; None takes the most probable
        class.

    Returns
    -------
    Path
        The PNG.
    """
    dtype = np.uint8 if max(classes) < 256 else np.uint16
    if mask is None:
        mask = native_mask(probabilities, original_size, geometry)
    if cleaning is not None:
        mask = cleaning.enlarged(pixels_of_a_cell(original_size, len(probabilities), geometry))(mask)
    path = file_of(folder, name, MASK)
    write_whole(path, mask_png(np.array(classes, dtype)[mask], dict(zip(classes, colours, strict=False))), remedy=REMEDY)
    if keep_probabilities:
        array = io.BytesIO()
        np.save(array, from_square_probabilities(np.asarray(probabilities, np.float32), original_size, geometry))
        write_whole(file_of(folder, name, PROBABILITIES), array.getvalue(), remedy=REMEDY)
    return path


def mask_png(values: NDArray[Any], colours: Mapping[int, str], about: Mapping[str, str] = NO_TEXT) -> bytes:
    """Return the bytes of a PNG with these values.

    Parameters
    ----------
    values : array of shape (height, width)
        Unsigned, of 8 or 16 bits.
    colours : mapping of int to str
        As "#rrggbb", in which values of 8 bits are seen; without any, or of 16 bits, they are grey.
    about : mapping of str to str
        What the file says of itself.
    """
    image = Image.fromarray(values)
    if colours and values.dtype == np.uint8:
        image.putpalette(_palette(colours))
    text = PngInfo()
    for key, words in about.items():
        text.add_itxt(key, words)
    picture = io.BytesIO()
    image.save(picture, format="PNG", bits=8, pnginfo=text)  # of an index, however few there are
    return picture.getvalue()


def _palette(colours: Mapping[int, str]) -> bytes:
    """Return red, green and blue of each of 256 indices; those that are no class are black."""
    black = bytes(3)
    return b"".join(bytes.fromhex(colours[value].removeprefix("#")) if value in colours else black for value in range(256))


def native_mask(probabilities: NDArray[np.floating], original_size: tuple[int, int], geometry: Geometry) -> NDArray[np.uint8]:
    """Return the most probable class of each pixel at an image's own size.

    Parameters
    ----------
    probabilities : array of shape (size, size, classes)
        At feature resolution; interpolated before the class is taken, so that edges are smooth.
    original_size : tuple of int
        Height and width of the image.
    geometry : {"pad", "stretch"}
        How the image had become a square.

    Returns
    -------
    array of shape (height, width)
        Class indices.
    """
    mask = np.empty(original_size, np.uint8)
    for where, part in probability_bands(np.asarray(probabilities, np.float32), original_size, geometry):
        mask[where] = part.argmax(axis=-1)
    return mask


def pixels_of_a_cell(original_size: tuple[int, int], size: int, geometry: Geometry) -> float:
    """Return how many of an image's own pixels one at feature resolution, of `size` a side, stands for."""
    square = max(original_size) ** 2 if geometry == "pad" else original_size[0] * original_size[1]
    return square / size**2


def write_uncertainty(
    folder: Path,
    name: str,
    maps: Mapping[str, NDArray[np.floating]],
    *,
    original_size: tuple[int, int],
    geometry: Geometry,
) -> None:
    """Write maps of one image as grey PNG files, `name-KIND.png` for each kind: black is 0, white is 1.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    name : str
        The image.
    maps : mapping of str to array of shape (size, size)
        In [0, 1], at feature resolution.
    original_size, geometry
        See `write_prediction`.
    """
    for kind, values in maps.items():
        grey = np.empty(original_size, np.uint8)
        for where, part in square_bands(values[..., np.newaxis], original_size, geometry):
            grey[where] = np.rint(255 * part[..., 0].clip(0, 1))
        picture = io.BytesIO()
        Image.fromarray(grey).save(picture, format="PNG")
        write_whole(file_of(folder, name, f"-{kind}{MASK}"), picture.getvalue(), remedy=REMEDY)
