"""How an image becomes the backbone's square, and how a mask finds its way back.

An image lies in a square: with `pad` the square is as long as its longer side and the image sits in its middle, with `stretch`
the square is the image itself. The backbone's grid of size x size cells covers the same square, so forward and back are two
samplings of one plane. When the number of padded lines is odd, the extra one is at the bottom or on the right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.store import IGNORE
from tedm.store.settings import Geometry


def to_square_image(image: NDArray[np.float32], size: int, geometry: Geometry) -> NDArray[np.float32]:
    """Bring an image to the backbone's size, with antialiasing.

    Parameters
    ----------
    image : array of shape (height, width, channels)
        Intensities in [0, 1].
    size : int
        Side of the square, in pixels.
    geometry : {"pad", "stretch"}
        Whether the image is padded with its edge values, or stretched.

    Returns
    -------
    array of shape (size, size, channels)
        Intensities in [0, 1]. A square image of this size comes back as it is, bit for bit.

    Examples
    --------
    >>> to_square_image(np.array([[[0.25], [0.75]]], np.float32), 2, "pad")[..., 0]
    array([[0.25, 0.75],
           [0.25, 0.75]], dtype=float32)
    """
    _require(image, 3, size)
    frame = _frame(image.shape[:2], geometry)
    square = np.pad(image, (*frame.padding(*image.shape[:2]), (0, 0)), mode="edge")
    if square.shape[:2] == (size, size):
        return square
    # One channel at a time: Pillow's float images have one. Its bilinear filter widens when it shrinks, and so antialiases.
    channels = [
        Image.fromarray(np.ascontiguousarray(square[..., channel], np.float32)).resize((size, size), Image.Resampling.BILINEAR)
        for channel in range(square.shape[2])
    ]
    resized = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)
    return resized.clip(0.0, 1.0)  # the filter's weights sum to one only up to rounding


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
    _require(mask, 2, size)
    frame = _frame(mask.shape, geometry)
    square = np.pad(mask, frame.padding(*mask.shape), constant_values=ignore)
    rows, columns = (_under_centres(np.arange(size), size, side) for side in square.shape)
    return square[np.ix_(rows, columns)]


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
    _require(mask, 2, size)
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
    planes = from_square(probabilities, original_size, geometry)
    frame = _frame(original_size, geometry)
    if (frame.height, frame.width) == probabilities.shape[:2]:
        return planes
    normalised: NDArray[np.float32] = planes / planes.sum(axis=-1, keepdims=True)
    return normalised


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
    size = len(planes)
    _require(planes, 3, size)
    height, width = original_size
    frame = _frame(original_size, geometry)
    plane = np.asarray(planes, np.float32)
    if (frame.height, frame.width) == (size, size):
        return plane[frame.top : frame.top + height, frame.left : frame.left + width].copy()
    # The image's place in the backbone's grid; Pillow takes it in fractions of a pixel.
    down, across = size / frame.height, size / frame.width
    # Rounding may put the far edge a hair outside the grid, which Pillow refuses.
    bottom, right = min(float(size), (frame.top + height) * down), min(float(size), (frame.left + width) * across)
    box = (frame.left * across, frame.top * down, right, bottom)
    resized = [
        Image.fromarray(np.ascontiguousarray(plane[..., index])).resize((width, height), Image.Resampling.BILINEAR, box=box)
        for index in range(plane.shape[2])
    ]
    return np.stack([np.asarray(one, np.float32) for one in resized], axis=-1)


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


def _require(array: NDArray[np.generic], dimensions: int, size: int) -> None:
    if array.ndim != dimensions or size < 1:
        raise ValueError(f"expected {dimensions} dimensions and a size of at least 1, got shape {array.shape} and size {size}")
