"""A store as a labelled data set of xarray: images by their names, activations by timestep, level and channel.

The arrays on the disk are opened as they are, of stores of every version, and read when values are asked for. What is added are
the labels: Zarr's own arrays have dimensions, but no name for the images along them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tedm.errors import TedmError
from tedm.packages import package
from tedm.store import FeatureStore, Location
from tedm.store.place import place
from tedm.text import listed

if TYPE_CHECKING:
    import xarray

# Sums over halves overflow; NetCDF 3 has no bytes up to 255.
WIDER = {"float16": "float32", "uint8": "int16"}
PICTURE = "picture"  # the dimension is called image, and a variable of that name would have to be its labels


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
    store = FeatureStore.open(store)
    labels, settings = store.labels, store.settings
    wanted = labels.names if names is None else tuple(names)
    at = [labels.index(name) for name in wanted]
    missing = set(store.missing())
    if absent := [name for name in wanted if name in missing]:
        raise TedmError(
            f"{len(absent)} of {len(wanted)} images of {store.path} are not whole yet ({listed(absent, most=3)}); run the same "
            "tedm-extract again, or name those that are"
        )
    kept = {"image": PICTURE, "mask": "mask", **{array: array for array in store.feature_arrays()}}
    variables: dict[str, Any] = {}
    with xr.open_zarr(place(store.path).zarr(), consolidated=False) as opened:
        for array, called in kept.items():
            variable = opened.variables[array].isel(image=at)
            wide = WIDER.get(str(variable.dtype))
            variables[called] = variable if wide is None else variable.astype(wide)
            variables[called].attrs = {}
    variables["mask"].attrs = {"values_of_classes": json.dumps(labels.classes), "names": json.dumps(labels.class_names)}
    coordinates: dict[str, Any] = {
        "image": ("image", list(wanted)),
        "split": ("image", [labels.splits[index] for index in at]),
        "group": ("image", [labels.groups[index] for index in at]),
        "domain": ("image", [labels.domains[index] for index in at]),
        "timestep": ("timestep", list(settings.timesteps)),
        "draw": ("draw", np.arange(settings.draws)),
    }
    if settings.channel_names:
        coordinates["image_channel"] = ("image_channel", list(settings.channel_names))
    numbers = {level.name: settings.channels_of([level.name]) for level in settings.levels}
    if store.storage.layout == "upsampled":
        coordinates["channel"] = ("channel", np.arange(settings.channels))
        coordinates["level"] = ("channel", [level.name for level in settings.levels for _ in range(level.channels)])
    else:
        for level, channels in numbers.items():
            coordinates[f"channel_{level}"] = (f"channel_{level}", channels)
    about = {"settings": settings.to_json(), "storage": store.storage.to_json()}
    made: xarray.Dataset = xr.Dataset(variables, coordinates, {"tedm": json.dumps(about)})
    return made
