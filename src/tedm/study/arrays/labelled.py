"""A store as a labelled data set of xarray: images by their names, activations by timestep, level and channel.

The arrays on the disk are opened as they are, of stores of every version, and read when values are asked for. What is added are
the labels: Zarr's own arrays have dimensions, but no name for the images along them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tedm.keywords import plain_keywords
from tedm.packages import package
from tedm.store import FeatureStore, Location

if TYPE_CHECKING:
    import xarray


@plain_keywords
def dataset(store: FeatureStore | Location, names: Sequence[str] | None = None) -> xarray.Dataset:
    """Return a store as a data set of xarray.

    Parameters
    ----------
    store : FeatureStore, path or URL
    names : sequence of str or None
        Some images; None takes all.

    Returns
    -------
    xarray.Dataset
        Lazy, with variables `picture` (image, y, x, image_channel), `mask` (class indices, 255 without a label) and, of an
        upsampled store, `features` (image, timestep, draw, y, x, channel), of a native one a variable for each level.
        Activations are float32: sums over those of float16 would overflow. `image`, `timestep`, `draw` and channels are
        coordinates, so that `.sel(image="p1", timestep=50)` works; `split`, `group` and `domain` belong to the images, `level`
        to the channels. Channels have the numbers that they have in a pixel's vector, in either layout.

    Raises
    ------
    TedmError
        If xarray is not installed, or one of the images is not there or not whole: Zarr would read zeros.

    Examples
    --------
    dataset(store).sel(image="p1", timestep=50)["features"].mean(["y", "x"])
    """
    xr: Any = package("xarray", "notebooks", "a labelled data set")
    from tedm.study.arrays.engine import Stores  # needs xarray to be imported

    made: xarray.Dataset = xr.open_dataset(FeatureStore.open(store), engine=Stores, chunks={}, names=names)
    return made
