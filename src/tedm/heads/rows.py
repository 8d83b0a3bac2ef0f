"""How an image's activations become the rows of a classifier.

`share`: a row is a pixel at one timestep and draw, with C features; one classifier serves all timesteps (TEDM,
arXiv:2311.07421). `concatenate`: a row is a pixel with its timesteps side by side, with T x C features (LEDM,
arXiv:2112.03126). Rows are ordered by timestep (if shared), draw, y, x; features by timestep (if concatenated), level,
channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from tedm.store import Block, Features
from tedm.store.layout import Floats

RowLayout = Literal["share", "concatenate"]


def dense_rows(block: Block, rows: RowLayout) -> Floats:
    """The rows themselves, for estimators that need them.

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


def row_labels(mask: NDArray[np.uint8], timesteps: int, draws: int, rows: RowLayout) -> NDArray[np.uint8]:
    """The mask's class indices for every row: repeated for each draw, and for each timestep where those are rows."""
    return np.tile(mask.ravel(), draws * (timesteps if rows == "share" else 1))


def dask_rows(
    features: Features, names: Sequence[str], *, rows: RowLayout = "share", timesteps: Sequence[int] | None = None
) -> tuple[da.Array, da.Array]:
    """The rows of many images as Dask arrays, one chunk an image.

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

    Examples
    --------
    X, y = dask_rows(store, store.labels.select(split="train"), timesteps=[50])
    """
    settings = features.settings
    timesteps = settings.timesteps if timesteps is None else tuple(timesteps)
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
    x = [da.from_delayed(lazy(name), (n_rows, n_features), dtype=features.storage.dtype) for name in names]
    y = [da.from_delayed(lazy_labels(name), (n_rows,), dtype=np.uint8) for name in names]
    return da.concatenate(x), da.concatenate(y)
