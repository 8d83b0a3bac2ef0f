"""Reading a level at image resolution, and the transpose of that.

Upsampling is linear and works on channels one by one. Nearest neighbours copy a cell to every pixel of its stride x stride
patch; the transpose sums over the patch. Bilinear interpolation multiplies both axes by one small matrix; the transpose
multiplies by the matrix transposed, which is not pooling. A head that wants products with the upsampled features therefore
never needs to hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tedm.errors import TedmError
from tedm.store.settings import FeatureSettings, StorageType, Upsampling

Floats = NDArray[np.floating]
FLOAT16_EXPONENT = np.uint16(0x7C00)
FINITE_AT_ONCE = 2**16  # numbers, so that what is made of them stays in the processor's cache
ROUNDED_AT_ONCE = 2**15 - 1  # numbers; of more, torch would make threads wait for each other


def upsample(cells: Floats, size: int, upsampling: Upsampling) -> Floats:
    """Bring cells to image resolution.

    Parameters
    ----------
    cells : array of shape (..., side, side, channels)
        Activations of one level; `size` is a multiple of `side`.
    size : int
        Side of the image in pixels.
    upsampling : {"nearest", "bilinear"}
        Copies, or linear interpolation between the centres of cells (`align_corners=False`), constant beyond the outermost
        centres.

    Returns
    -------
    array of shape (..., size, size, channels)
        Of the cells' type for nearest; at least float32 for bilinear.

    Examples
    --------
    >>> upsample(np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), 4, "nearest")[0, :, 0]
    array([1., 1., 2., 2.])
    """
    *lead, side, _, channels = cells.shape
    if side == size:
        return cells
    stride = size // side
    if upsampling == "nearest":
        patches = np.broadcast_to(cells[..., :, None, :, None, :], (*lead, side, stride, side, stride, channels))
        return patches.reshape(*lead, size, size, channels)
    if cells.dtype == np.float16:
        cells = cells.astype(np.float32)
    matrix = bilinear_matrix(side, size).astype(cells.dtype)
    wide = (matrix @ cells).reshape(*lead, side, size * channels)
    return (matrix @ wide).reshape(*lead, size, size, channels)


def pool(pixels: Floats, side: int, upsampling: Upsampling) -> Floats:
    """Return the transpose of `upsample`: what every cell receives from the pixels that it spreads to.

    Parameters
    ----------
    pixels : array of shape (..., size, size, channels)
        Values per pixel, residuals say.
    side : int
        Cells along each side of the level.
    upsampling : {"nearest", "bilinear"}
        That of `upsample`.

    Returns
    -------
    array of shape (..., side, side, channels)
        `(upsample(c) * p).sum() == (c * pool(p)).sum()` for all cells c.
    """
    *lead, size, _, channels = pixels.shape
    if side == size:
        return pixels
    stride = size // side
    if upsampling == "nearest":
        patches = pixels.reshape(*lead, side, stride, side, stride, channels)
        return np.asarray(patches.sum(axis=-4).sum(axis=-2))  # whole lines first: these lie side by side
    matrix = bilinear_matrix(side, size).T.astype(pixels.dtype)
    narrow = (matrix @ pixels.reshape(*lead, size, size * channels)).reshape(*lead, side, size, channels)
    return np.asarray(matrix @ narrow)


@lru_cache(maxsize=32)
def bilinear_matrix(side: int, size: int) -> NDArray[np.float64]:
    """Return weights of shape (size, side) that interpolate `side` cells to `size` pixels on an axis; each row sums to one."""
    centres = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    low = np.floor(centres).astype(int)
    high = np.minimum(low + 1, side - 1)
    matrix = np.zeros((size, side))
    matrix[np.arange(size), low] += 1 - (centres - low)
    matrix[np.arange(size), high] += centres - low
    matrix.setflags(write=False)
    return matrix


class Pixels:
    """All levels at image resolution by nearest neighbours, side by side: what an upsampled store holds of an image.

    The numbers are made where they are asked for.

    Parameters
    ----------
    cells : sequence of arrays of shape (timesteps, draws, side, side, channels)
        One for each level, of one type.
    size : int
        Side of the image in pixels, a multiple of every side.

    Attributes
    ----------
    shape : tuple of int
        (timesteps, draws, size, size, sum of channels).
    """

    def __init__(self, cells: Sequence[Floats], size: int) -> None:
        self._cells = cells
        self.dtype = cells[0].dtype
        self.shape = (*cells[0].shape[:2], size, size, sum(level.shape[-1] for level in cells))

    def __getitem__(self, at: tuple[slice, ...]) -> Floats:
        """Return the pixels of some timesteps, draws and rows, whole rows of all channels: a new array."""
        timesteps, draws, rows = (slice(*part.indices(length)) for part, length in zip(at, self.shape[:3], strict=False))
        size = self.shape[3]
        out = np.empty((*(part.stop - part.start for part in (timesteps, draws, rows)), *self.shape[3:]), self.dtype)
        start = 0
        for level in self._cells:
            stop, side = start + level.shape[-1], level.shape[-2]
            stride = size // side
            first, last = rows.start // stride, -(-rows.stop // stride)
            lines = level[timesteps, draws, first:last, None, :, None, :]
            if first * stride == rows.start and last * stride == rows.stop:  # every cell to its patch, without another copy
                patches = out.reshape(*out.shape[:2], last - first, stride, side, stride, -1)
                patches[..., start:stop] = lines
            else:  # rows that begin or end within a cell
                whole = np.broadcast_to(lines, (*out.shape[:2], last - first, stride, side, stride, stop - start))
                whole = whole.reshape(*out.shape[:2], -1, size, stop - start)
                out[..., start:stop] = whole[:, :, rows.start - first * stride : rows.stop - first * stride]
            start = stop
        return out


def upsampled_array(cells: list[Floats], size: int, upsampling: Upsampling, dtype: DTypeLike) -> Floats:
    """All levels at image resolution, side by side: what an upsampled store holds of an image.

    Parameters
    ----------
    cells : list of arrays of shape (timesteps, draws, side, side, channels)
        One for each level.

    Returns
    -------
    array of shape (timesteps, draws, size, size, sum of channels) and type `dtype`
    """
    if upsampling == "nearest":
        return Pixels([level.astype(dtype, copy=False) for level in cells], size)[:, :, :]
    out = np.empty((*cells[0].shape[:2], size, size, sum(level.shape[-1] for level in cells)), dtype)
    start = 0
    for level in cells:
        stop = start + level.shape[-1]
        out[..., start:stop] = upsample(level, size, upsampling)
        start = stop
    return out


def native_cells(upsampled: Floats, channels: list[int], strides: list[int]) -> list[Floats]:
    """Return the levels that an array upsampled with nearest neighbours was made from: the strided ones, bit for bit."""
    cells, start = [], 0
    for count, stride in zip(channels, strides, strict=True):
        cells.append(np.ascontiguousarray(upsampled[:, :, ::stride, ::stride, start : start + count]))
        start += count
    return cells


def stored(cells: Floats, dtype: StorageType) -> Floats:
    """Activations as a store keeps them: rounded to its type; infinite where they are too large for it."""
    cells = np.ascontiguousarray(cells)
    if dtype != "float16" or cells.dtype != np.float32:
        with np.errstate(over="ignore"):
            return cells.astype(dtype, copy=False)
    import torch  # which rounds ten times as fast as NumPy, to the same bits

    rounded = np.empty(cells.shape, np.float16)
    to, of = (torch.from_numpy(array.reshape(-1)) for array in (rounded, cells))
    for start in range(0, len(of), ROUNDED_AT_ONCE):
        part = slice(start, start + ROUNDED_AT_ONCE)
        to[part].copy_(of[part])
    return rounded


def require_finite(
    name: str, cells: Sequence[Floats], rounded: Sequence[Floats], settings: FeatureSettings, dtype: StorageType
) -> None:
    """Refuse activations that are not finite, or no longer finite when rounded.

    Parameters
    ----------
    name : str
        The image, for the message.
    cells, rounded : sequences of arrays of shape (timesteps, draws, side, side, channels)
        Levels as they were computed, and as a store of this type keeps them.
    settings : FeatureSettings
        Names of the levels, and the timesteps.
    dtype : {"float16", "float32"}
        Type on disk.

    Raises
    ------
    TedmError
        With the level and the timestep of the first such number.
    """
    if all(finite(array) for array in rounded):
        return
    for level, values in zip(settings.levels, cells, strict=True):
        for timestep, at_timestep in zip(settings.timesteps, values, strict=True):
            require_fitting(name, level.name, timestep, at_timestep, dtype)


def require_fitting(name: str, level: str, timestep: int, values: Floats, dtype: StorageType) -> None:
    """Refuse activations of an image at a level and a timestep that are not finite, or no longer finite in a type."""
    where = f"image {name}, level {level}, timestep {timestep}"
    if not np.isfinite(values).all():
        raise TedmError(f"{where}: the backbone's activations are not finite; is the checkpoint sound?")
    if not np.isfinite(stored(values, dtype)).all():
        largest = float(np.abs(values).max())
        raise TedmError(
            f"{where}: an activation of {largest:.4g} does not fit {dtype} (65504 at most)\n"
            "Extract to a new store with --dtype float32."
        )


def finite(array: Floats) -> bool:
    """Whether all numbers are finite; of float16 by the bits of the exponent, many at a time.

    Parameters
    ----------
    array : array of any shape
    """
    if array.dtype != np.float16 or not array.flags.c_contiguous:
        return bool(np.isfinite(array).all())
    bits = array.reshape(-1).view(np.uint16)
    parts = (bits[start : start + FINITE_AT_ONCE] for start in range(0, len(bits), FINITE_AT_ONCE))
    return all(bool(((part & FLOAT16_EXPONENT) != FLOAT16_EXPONENT).all()) for part in parts)
