"""How an image's activations become the rows of a classifier.

`share`: a row is a pixel at one timestep and draw, with C features; one classifier serves all timesteps (TEDM,
arXiv:2311.07421). `concatenate`: a row is a pixel with its timesteps side by side, with T x C features (LEDM,
arXiv:2112.03126). Rows are ordered by timestep (if shared), draw, y, x; features by timestep (if concatenated), level,
channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store import Block, Features
from tedm.store.layout import Floats
from tedm.store.settings import Upsampling

if TYPE_CHECKING:
    import dask.array as da
    import torch
    from torch import Tensor

RowLayout = Literal["share", "concatenate"]


def dense_rows(block: Block, rows: RowLayout) -> Floats:
    """Return the rows themselves, for estimators that need them.

    Parameters
    ----------
    block : Block
        Activations of one image.
    rows : {"share", "concatenate"}
        The layout.

    Returns
    -------
    array of shape (rows, features)
        In the store's type.
    """
    pixels = block.at_image_resolution()
    timesteps, draws, size, _, channels = pixels.shape
    if rows == "share":
        return pixels.reshape(timesteps * draws * size * size, channels)
    return np.moveaxis(pixels, 0, 3).reshape(draws * size * size, timesteps * channels)


def block_bytes(features: Features, timesteps: int) -> tuple[int, int]:
    """Return the bytes of a block with that many timesteps in memory, and what reading it takes besides.

    The latter are chunks as they lie on the disk, or the pixels that cells are taken out of.
    """
    settings, storage = features.settings, features.storage
    each = timesteps * settings.draws * np.dtype(storage.dtype).itemsize
    cells = each * sum(level.channels * settings.side(level) ** 2 for level in settings.levels)
    pixels = each * settings.image_size**2 * features.chunk_channels
    if storage.layout == "native":
        return cells, cells
    held = each * settings.image_size**2 * settings.channels
    return (held if settings.upsampling == "bilinear" else cells), pixels


def rows_at(block: Block, pixels: NDArray[np.intp], rows: RowLayout) -> NDArray[np.float32]:
    """Return the rows of some pixels, without upsampling the others.

    Parameters
    ----------
    block : Block
        Activations of one image.
    pixels : array of shape (pixels,)
        Positions in the flattened image.
    rows : {"share", "concatenate"}
        The layout.

    Returns
    -------
    array of shape (pixels x timesteps x draws, channels) if shared; (pixels x draws, timesteps x channels) if not
        Float32. A pixel's rows are neighbours, unlike those of `dense_rows`.
    """
    import torch  # a second to import, and linear heads need no row

    cells = [torch.from_numpy(level)[None] for level in block.cells]
    at = torch.from_numpy(np.asarray(pixels))
    where = (torch.zeros_like(at), at // block.size, at % block.size)
    gathered: NDArray[np.float32] = gather_rows(cells, where, block.size, block.upsampling, rows).numpy()
    return gathered


def single_rows(block: Block, pixels: NDArray[np.intp], repeats: NDArray[np.intp], rows: RowLayout) -> NDArray[np.float32]:
    """Return one row of each of some pixels, without making the others.

    Parameters
    ----------
    block : Block
        Activations of one image.
    pixels : array of shape (pixels,)
        Positions in the flattened image.
    repeats : array of shape (pixels,)
        Which of its rows: of the draws of its first timestep, then of the next's, if shared; of the draws if not.
    rows : {"share", "concatenate"}
        The layout.

    Returns
    -------
    array of shape (pixels, features), float32
    """
    width = block.channels * (1 if rows == "share" else len(block.timesteps))
    out = np.empty((len(pixels), width), np.float32)
    for repeat in np.unique(repeats):
        timestep, draw = divmod(int(repeat), block.draws)
        steps = slice(timestep, timestep + 1) if rows == "share" else slice(None)
        cells = tuple(level[steps, draw : draw + 1] for level in block.cells)
        at = repeats == repeat
        out[at] = rows_at(replace(block, timesteps=block.timesteps[steps], cells=cells), pixels[at], rows)
    return out


def row_labels(mask: NDArray[np.uint8], timesteps: int, draws: int, rows: RowLayout) -> NDArray[np.uint8]:
    """Return the mask's class indices for every row: repeated for each draw, and for each timestep where those are rows."""
    return np.tile(mask.ravel(), draws * (timesteps if rows == "share" else 1))


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return the array's own memory where it can be written to, else a copy: torch has no read-only tensors."""
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def gather_rows(
    cells: Sequence[Tensor],
    where: tuple[Tensor, Tensor, Tensor],
    size: int,
    upsampling: Upsampling,
    rows: RowLayout,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return rows of some pixels, without upsampling the others.

    Parameters
    ----------
    cells : sequence of tensors of shape (images, timesteps, draws, side, side, channels)
        One for each level. Those that `empty_by_place` made room for are read fastest.
    where : three tensors of shape (pixels,)
        Image, y and x of each pixel.
    size : int
        Side of the image in pixels.
    upsampling, rows
        How cells become pixels, and these rows.
    dtype : torch.dtype or None
        Of the rows; None is float32.

    Returns
    -------
    tensor of shape (pixels x timesteps x draws, channels) if shared; (pixels x draws, timesteps x channels) if not
        A pixel's rows are neighbours.
    """
    import torch

    image, y, x = where
    _, timesteps, draws = cells[0].shape[:3]
    channels = sum(level.shape[-1] for level in cells)
    if rows == "share":
        out = torch.empty(len(image), timesteps, draws, channels, dtype=dtype, device=image.device)
        parts = out
    else:
        out = torch.empty(len(image), draws, timesteps, channels, dtype=dtype, device=image.device)
        parts = out.transpose(1, 2)
    start = 0
    for level in cells:
        side, stop = level.shape[3], start + level.shape[-1]
        if upsampling == "nearest" or side == size:
            stride = size // side
            parts[..., start:stop] = _at_places(level, image, y // stride, x // stride)
        else:
            parts[..., start:stop] = _between(level, image, y, x, size)
        start = stop
    return out.view(-1, channels if rows == "share" else timesteps * channels)


def empty_by_place(images: int, level: Tensor, device: str) -> Tensor:
    """Return room for cells of some images, in which the timesteps and draws of a cell are neighbours in memory.

    Parameters
    ----------
    images : int
    level : tensor of shape (timesteps, draws, side, side, channels)
        One image's: what the others are like.
    device : str

    Returns
    -------
    tensor of shape (images, timesteps, draws, side, side, channels)
    """
    import torch

    timesteps, draws, side, _, channels = level.shape
    room = torch.empty(images, side, side, timesteps, draws, channels, dtype=level.dtype, device=device)
    return room.permute(0, 3, 4, 1, 2, 5)


def _at_places(level: Tensor, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return single cells, of shape (pixels, timesteps, draws, channels)."""
    by_place = level.permute(0, 3, 4, 1, 2, 5)
    if not by_place.is_contiguous():
        return level[image, :, :, y, x]
    side, each = by_place.shape[1], by_place.shape[3:]
    chosen = by_place.view(-1, each.numel()).index_select(0, (image * side + y) * side + x)
    return chosen.view(-1, *each)


def _between(level: Tensor, image: Tensor, y: Tensor, x: Tensor, size: int) -> Tensor:
    """Interpolate single pixels bilinearly from their four cells."""
    side = level.shape[3]
    total: Tensor | None = None
    for dy in (0, 1):
        for dx in (0, 1):
            rows, down = _corner(y, side, size, dy)
            columns, across = _corner(x, side, size, dx)
            part = _at_places(level, image, rows, columns).float() * (down * across)[:, None, None, None]
            total = part if total is None else total + part
    assert total is not None
    return total


def _corner(position: Tensor, side: int, size: int, which: int) -> tuple[Tensor, Tensor]:
    """Return the lower or upper cell along one axis, and its weight."""
    centre = ((position + 0.5) * side / size - 0.5).clamp(0, side - 1)
    low = centre.floor()
    upper = centre - low
    cell = low.long() if which == 0 else (low.long() + 1).clamp(max=side - 1)
    return cell, upper if which else 1 - upper


def dask_rows(
    features: Features, names: Sequence[str], *, rows: RowLayout = "share", timesteps: Sequence[int] | None = None
) -> tuple[da.Array, da.Array]:
    """Make Dask arrays of the rows of many images, one chunk an image.

    Parameters
    ----------
    features : Features
        A store, say.
    names : sequence of str
        The images.
    rows : {"share", "concatenate"}
        The layout.
    timesteps : sequence of int or None
        None takes all.

    Returns
    -------
    X : dask array of shape (images x rows, features)
        Activations in the store's type.
    y : dask array of shape (images x rows,)
        Class indices; 255 where a pixel has no label.

    Raises
    ------
    TedmError
        At once, if an image or a timestep is not there, or none is named.

    Examples
    --------
    X, y = dask_rows(store, store.labels.select(split="train"), timesteps=[50])
    """
    settings = features.settings
    timesteps = settings.timesteps_asked_for(timesteps)
    if not names:
        raise TedmError("no image is named, of which there could be rows")
    for name in names:
        features.labels.index(name)
    arrays: Any = import_module("dask.array")  # it ships no complete annotations, and takes a second to import
    delayed: Any = import_module("dask").delayed
    pixels = settings.image_size**2 * settings.draws
    n_rows = pixels * (len(timesteps) if rows == "share" else 1)
    n_features = settings.channels * (1 if rows == "share" else len(timesteps))

    def read(name: str) -> Floats:
        (block,) = features.blocks([name], timesteps)
        return dense_rows(block, rows)

    def read_labels(name: str) -> NDArray[np.uint8]:
        return row_labels(features.mask(name), len(timesteps), settings.draws, rows)

    # Not pure: Dask would pickle the features to name the tasks, and not see that masks were replaced.
    lazy, lazy_labels = delayed(read, pure=False), delayed(read_labels, pure=False)
    x = [arrays.from_delayed(lazy(name), (n_rows, n_features), dtype=features.storage.dtype) for name in names]
    y = [arrays.from_delayed(lazy_labels(name), (n_rows,), dtype=np.uint8) for name in names]
    return arrays.concatenate(x), arrays.concatenate(y)
