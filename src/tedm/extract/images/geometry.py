"""How an image becomes the backbone's square, and how a mask finds its way back.

An image lies in a square: with `pad` the square is as long as its longer side and the image sits in its middle, with `stretch`
the square is the image itself. The backbone's grid of size x size cells covers the same square, so forward and back are two
samplings of one plane. When the number of padded lines is odd, the extra one is at the bottom or on the right.

A large square is never in memory: of a strip it would be thousands of times the file. Pillow resizes along one axis and then
along the other, each line on its own; so bands of lines, padded one at a time, give the bits that the whole square would.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.store import IGNORE
from tedm.store.settings import Geometry

# Pixels of a band.
AT_ONCE = 2**22
# The longest side that is taken: the time for a strip grows with the square of it.
LONGEST = 2**17


# Rows and columns of a large array, and what is there.
Part: TypeAlias = tuple[tuple[slice, slice], NDArray[np.float32]]


class Rows(Protocol):
    """An image whose rows are computed when they are asked for; an array is one too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Return some rows: shape (rows, width, channels)."""


def side_problem(height: int, width: int) -> str | None:
    """Return why an image of this size is not taken, with what to do; None if it is."""
    if max(height, width) <= LONGEST:
        return None
    return f"{height} x {width} pixels; a side of more than {LONGEST} is not taken, cut the image into pieces"


def to_square_image(image: Rows, size: int, geometry: Geometry) -> NDArray[np.float32]:
    """Bring an image to the backbone's size, with antialiasing.

    Parameters
    ----------
    image : array of shape (height, width, channels), or Rows
        Intensities in [0, 1]; a band of rows is taken at a time.
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}
        Whether the image is padded with its edge values, or stretched.

    Returns
    -------
    array of shape (size, size, channels)
        Intensities in [0, 1]. A square image of this size comes back as it is, bit for bit.

    Raises
    ------
    TedmError
        If a side is longer than `LONGEST`.

    Examples
    --------
    >>> to_square_image(np.array([[[0.25], [0.75]]], np.float32), 2, "pad")[..., 0]
    array([[0.25, 0.75],
           [0.25, 0.75]], dtype=float32)
    """
    _require(image.shape, 3, size)
    height, width, count = image.shape
    if problem := side_problem(height, width):
        raise TedmError(problem)
    frame = _frame((height, width), geometry)
    above, beside = frame.padding(height, width)
    square = np.empty((size, size, count), np.float32)
    if (frame.height, frame.width) == (size, size):
        return np.pad(image[:], (above, beside, (0, 0)), mode="edge")
    if _columns_first((frame.height, frame.width), (size, size)):
        for channel in range(count):  # one at a time: Pillow's float images have one
            plane = np.concatenate([image[rows][..., channel] for rows in _bands(height, width)])
            low = np.empty((size, width), np.float32)
            for columns in _bands(width, frame.height):
                low[:, columns] = _resized(np.pad(plane[:, columns], (above, (0, 0)), mode="edge"), height=size)
            square[..., channel] = _resized(np.pad(low, ((0, 0), beside), mode="edge"), width=size)
    else:
        narrow = np.empty((count, height, size), np.float32)
        for rows in _bands(height, frame.width):
            band = np.pad(image[rows], ((0, 0), beside, (0, 0)), mode="edge")
            for channel in range(count):
                narrow[channel, rows] = _resized(band[..., channel], width=size)
        for columns in _bands(size, frame.height):
            for channel in range(count):
                band = np.pad(narrow[channel][:, columns], (above, (0, 0)), mode="edge")
                square[:, columns, channel] = _resized(band, height=size)
    return square.clip(0.0, 1.0)  # the filter's weights sum to one only up to rounding


def to_square_mask(mask: NDArray[np.uint8], size: int, geometry: Geometry, ignore: int = IGNORE) -> NDArray[np.uint8]:
    """Bring a mask to the backbone's size: each pixel takes the class under its centre.

    Parameters
    ----------
    mask : array of shape (height, width)
        Class indices, and `ignore` where there is no label.
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}
        As for the image; what is padded is ignored.
    ignore : int
        The index of pixels that carry no label, 0 to 255.

    Returns
    -------
    array of shape (size, size)
        Class indices.

    Examples
    --------
    >>> to_square_mask(np.array([[0, 1, 2]], np.uint8), 3, "pad")
    array([[255, 255, 255],
           [  0,   1,   2],
           [255, 255, 255]], dtype=uint8)
    """
    _require(mask.shape, 2, size)
    frame = _frame(mask.shape, geometry)
    rows = _under_centres(np.arange(size), size, frame.height) - frame.top
    columns = _under_centres(np.arange(size), size, frame.width) - frame.left
    lines, across = ((at >= 0) & (at < side) for at, side in zip((rows, columns), mask.shape, strict=True))
    square = np.full((size, size), ignore, mask.dtype)
    square[np.ix_(lines, across)] = mask[np.ix_(rows[lines], columns[across])]
    return square


def from_square_mask(mask: NDArray[np.uint8], original_size: tuple[int, int], geometry: Geometry) -> NDArray[np.uint8]:
    """Bring a mask of the backbone's size to the image's own size; the padding is cut off.

    Parameters
    ----------
    mask : array of shape (size, size)
        Class indices.
    original_size : (height, width)
        Size of the image, in pixels.
    geometry : {"pad", "stretch"}
        The geometry in which the mask was made.

    Returns
    -------
    array of shape (height, width)
        Each pixel takes the class under its centre. The exact inverse of `to_square_mask` where that one did not shrink.

    Examples
    --------
    >>> from_square_mask(np.array([[7, 7, 7], [0, 1, 2], [7, 7, 7]], np.uint8), (1, 3), "pad")
    array([[0, 1, 2]], dtype=uint8)
    """
    size = len(mask)
    _require(mask.shape, 2, size)
    frame = _frame(original_size, geometry)
    rows = _under_centres(frame.top + np.arange(original_size[0]), frame.height, size)
    columns = _under_centres(frame.left + np.arange(original_size[1]), frame.width, size)
    return mask[np.ix_(rows, columns)]


def from_square_probabilities(
    probabilities: NDArray[np.floating], original_size: tuple[int, int], geometry: Geometry
) -> NDArray[np.float32]:
    """Bring probabilities of the backbone's size to the image's own size, bilinearly; the padding is cut off.

    Parameters
    ----------
    probabilities : array of shape (size, size, classes)
        Each pixel's sum to one.
    original_size : (height, width)
        Size of the image, in pixels.
    geometry : {"pad", "stretch"}
        The geometry in which the probabilities were made.

    Returns
    -------
    array of shape (height, width, classes)
        Each pixel's sum to one again. Where the image has the backbone's size, they come back as they are.
    """
    return _gathered(probability_bands(probabilities, original_size, geometry), original_size)


def probability_bands(
    probabilities: NDArray[np.floating], original_size: tuple[int, int], geometry: Geometry
) -> Iterator[Part]:
    """Do what `from_square_probabilities` does, some rows or columns at a time: a mask needs no more.

    Yields
    ------
    where : (slice, slice)
        Rows and columns; all parts together are the image.
    probabilities : array of shape (rows, columns, classes)
    """
    frame = _frame(original_size, geometry)
    as_they_are = (frame.height, frame.width) == probabilities.shape[:2]
    for where, band in square_bands(probabilities, original_size, geometry):
        yield where, band if as_they_are else band / band.sum(axis=-1, keepdims=True)


def from_square(planes: NDArray[np.floating], original_size: tuple[int, int], geometry: Geometry) -> NDArray[np.float32]:
    """Bring numbers for each of the backbone's pixels to the image's own size, bilinearly; the padding is cut off.

    Parameters
    ----------
    planes : array of shape (size, size, planes)
    original_size : (height, width)
        Size of the image, in pixels.
    geometry : {"pad", "stretch"}

    Returns
    -------
    array of shape (height, width, planes)
        Where the image has the backbone's size, they come back as they are.
    """
    return _gathered(square_bands(planes, original_size, geometry), original_size)


def square_bands(planes: NDArray[np.floating], original_size: tuple[int, int], geometry: Geometry) -> Iterator[Part]:
    """Do what `from_square` does, some rows or columns at a time.

    Yields
    ------
    where : (slice, slice)
        Rows and columns; all parts together are the image.
    planes : array of shape (rows, columns, planes)
    """
    size = len(planes)
    _require(planes.shape, 3, size)
    height, width = original_size
    frame = _frame(original_size, geometry)
    plane = np.asarray(planes, np.float32)
    if (frame.height, frame.width) == (size, size):
        yield (slice(0, height), slice(0, width)), plane[frame.top : frame.top + height, frame.left : frame.left + width].copy()
        return
    # The image's place in the backbone's grid; Pillow takes it in fractions of a pixel.
    down, across = size / frame.height, size / frame.width
    # Rounding may put the far edge a hair outside the grid, which Pillow refuses.
    bottom, right = min(float(size), (frame.top + height) * down), min(float(size), (frame.left + width) * across)
    count = plane.shape[2]
    box = (frame.top * down, bottom), (frame.left * across, right)
    if _columns_first((size, size), (height, width)):
        tall = [_resized(plane[..., at], height=height, between=box[0]) for at in range(count)]
        for rows in _bands(height, width * count):
            parts = [_resized(each[rows], width=width, between=box[1]) for each in tall]
            yield (rows, slice(0, width)), np.stack(parts, axis=-1)
    else:
        wide = [_resized(plane[..., at], width=width, between=box[1]) for at in range(count)]
        for columns in _bands(width, height * count):
            parts = [_resized(each[:, columns], height=height, between=box[0]) for each in wide]
            yield (slice(0, height), columns), np.stack(parts, axis=-1)


def centres(original_size: tuple[int, int], size: int, geometry: Geometry) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the centres of the backbone's pixels lie in an image, down and across.

    Parameters
    ----------
    original_size : (height, width)
        Size of the image, in pixels.
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}

    Returns
    -------
    two tuples of two floats
        Down and across: where the centre of the first of the square's pixels lies, and how far it is to the next; in pixels of
        the image, whose own first centre is 0.

    Examples
    --------
    >>> centres((4, 8), 4, "pad")
    ((-1.5, 2.0), (0.5, 2.0))
    """
    frame = _frame(original_size, geometry)
    down, across = frame.height / size, frame.width / size
    return (down / 2 - 0.5 - frame.top, down), (across / 2 - 0.5 - frame.left, across)


def to_range(image: NDArray[np.float32], input_range: tuple[float, float]) -> NDArray[np.float32]:
    """Map intensities from [0, 1] to what black and white are for the backbone.

    Examples
    --------
    >>> to_range(np.array([0.0, 0.25, 1.0], np.float32), (-1.0, 1.0))
    array([-1. , -0.5,  1. ], dtype=float32)
    """
    black, white = input_range
    return image * np.float32(white - black) + np.float32(black)


class _Frame(NamedTuple):
    """The square around an image: its sides in pixels of the image, and the image's corner in it."""

    height: int
    width: int
    top: int
    left: int

    def padding(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return lines before and after the image, along both axes."""
        return (self.top, self.height - height - self.top), (self.left, self.width - width - self.left)


def _frame(size: tuple[int, ...], geometry: Geometry) -> _Frame:
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"an image has at least one pixel, not {height} x {width}")
    if geometry == "stretch":
        return _Frame(height, width, 0, 0)
    side = max(height, width)
    return _Frame(side, side, (side - height) // 2, (side - width) // 2)


def _under_centres(cells: NDArray[np.intp], count: int, into: int) -> NDArray[np.intp]:
    """Index, among `into` cells, of the cell under the centre of each of `count` cells along the same line.

    In integers, so that no rounding decides; a centre on a border belongs to the cell behind it.
    """
    return (2 * cells + 1) * into // (2 * count)


def _resized(
    plane: NDArray[np.float32],
    *,
    height: int | None = None,
    width: int | None = None,
    between: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Resize a plane along one of its axes, from a stretch of it or from all of it.

    Pillow's bilinear filter widens when it shrinks, and so antialiases.
    """
    rows, columns = plane.shape
    if height is None:
        first, last = between or (0.0, float(columns))
        box = (first, 0.0, last, float(rows))
    else:
        first, last = between or (0.0, float(rows))
        box = (0.0, first, float(columns), last)
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    shape = (columns if width is None else width, rows if height is None else height)
    return np.asarray(image.resize(shape, Image.Resampling.BILINEAR, box=box), np.float32)


def _bands(count: int, length: int) -> Iterator[slice]:
    """Split lines of this length into bands of `AT_ONCE` pixels, or of one line."""
    step = max(1, AT_ONCE // length)
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))


def _gathered(parts: Iterator[Part], original_size: tuple[int, int]) -> NDArray[np.float32]:
    where, part = next(parts)
    if part.shape[:2] == tuple(original_size):
        return part
    whole = np.empty((*original_size, part.shape[2]), np.float32)
    whole[where] = part
    for where, part in parts:
        whole[where] = part
    return whole


def _columns_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether Pillow resizes along the columns first, which decides the last bits; sizes are (height, width)."""
    (height, width), (into_height, into_width) = before, after
    return height > into_height and height - into_height > 2 * (width - into_width) and _pillow_chooses_the_order()


@functools.cache
def _pillow_chooses_the_order() -> bool:
    """Whether this Pillow begins with the columns where that saves work; earlier ones always begin with the rows."""
    plane = np.random.default_rng(0).random((40, 9), np.float32)
    at_once = Image.fromarray(plane).resize((7, 5), Image.Resampling.BILINEAR)
    return bool(np.array_equal(np.asarray(at_once), _resized(_resized(plane, height=5), width=7)))


def _require(shape: tuple[int, ...], dimensions: int, size: int) -> None:
    if len(shape) != dimensions or size < 1:
        raise ValueError(f"expected {dimensions} dimensions and a size of at least 1, got shape {shape} and size {size}")
