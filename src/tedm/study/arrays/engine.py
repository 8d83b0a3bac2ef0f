"""xarray's engine for stores, which it finds by its entry point: `xarray.open_dataset(store)` gives the labelled data set.

`xarray.open_zarr` takes no engine but its own, and gives the arrays as they lie on the disk. These have no labels: `image` is
an array of pictures there, while xarray looks for the labels of a dimension under the dimension's name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing
from zarr.core.metadata import ArrayV3Metadata

from tedm.errors import TedmError
from tedm.store import FeatureStore, Location
from tedm.store.place import place
from tedm.text import listed

# Sums over halves overflow; NetCDF 3 has no bytes up to 255.
WIDER = {"float16": "float32", "uint8": "int16"}
PICTURE = "picture"  # the dimension is called image, and a variable of that name would have to be its labels


class StoreArray(BackendArray):
    """An array of a store, read and widened where values are asked for.

    Parameters
    ----------
    array : zarr.Array
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = np.dtype(WIDER.get(str(array.dtype), array.dtype))

    def __getitem__(self, key: Any) -> Any:
        """Return the values at a key of xarray's."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        return np.asarray(self.array.oindex[key]).astype(self.dtype, copy=False)


class Stores(BackendEntrypoint):
    """xarray's engine "tedm": a store as a labelled data set."""

    description = "Open feature stores of tedm, labelled"

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether this is the place of a store; what cannot be looked into is none."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        try:
            return FeatureStore.is_store(os.fspath(filename_or_obj))
        except TedmError:
            return False

    def open_dataset(  # type: ignore[override]  # only places are opened
        self,
        filename_or_obj: Location | FeatureStore,
        *,
        drop_variables: str | Iterable[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Return what `tedm.dataset` does, without chunks.

        Parameters
        ----------
        filename_or_obj : path, URL or FeatureStore
        drop_variables : str or sequence of str, optional
            Variables to leave out.
        names : sequence of str, optional
            Some images; None takes all.

        Raises
        ------
        TedmError
            If it is no store, or one of the images is not there or not whole.
        """
        store = FeatureStore.open(filename_or_obj)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or [])
        return labelled(store, names).drop_vars(dropped, errors="ignore")


def labelled(store: FeatureStore, names: Sequence[str] | None) -> xr.Dataset:
    """Return the labelled data set of an open store, whose values are read where they are asked for.

    Parameters
    ----------
    store : FeatureStore
    names : sequence of str or None
        Some images; None takes all.

    Raises
    ------
    TedmError
        If one of the images is not there or not whole: Zarr would read zeros.
    """
    labels, settings = store.labels, store.settings
    wanted = labels.names if names is None else tuple(names)
    at = [labels.index(name) for name in wanted]
    missing = set(store.missing())
    if absent := [name for name in wanted if name in missing]:
        raise TedmError(
            f"{len(absent)} of {len(wanted)} images of {store.path} are not whole yet ({listed(absent, most=3)}); run the same "
            f"tedm-extract again, or name those that are: tedm.dataset(store, names)"
        )
    group = zarr.open_group(place(store.path).zarr(), mode="r", zarr_format=3, use_consolidated=False)
    kept = {"image": PICTURE, "mask": "mask", **{array: array for array in store.feature_arrays()}}
    variables = {called: _variable(cast(zarr.Array[Any], group[array])).isel(image=at) for array, called in kept.items()}
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
    if store.storage.layout == "upsampled":
        coordinates["channel"] = ("channel", np.arange(settings.channels))
        coordinates["level"] = ("channel", [level.name for level in settings.levels for _ in range(level.channels)])
    else:
        for level in settings.levels:
            channels = f"channel_{level.name}"
            coordinates[channels] = (channels, settings.channels_of([level.name]))
    about = {"settings": settings.to_json(), "storage": store.storage.to_json()}
    return xr.Dataset(variables, coordinates, {"tedm": json.dumps(about)})


def _variable(array: zarr.Array[Any]) -> xr.Variable:
    dimensions = cast(ArrayV3Metadata, array.metadata).dimension_names or ()
    chunks = array.shards or array.chunks
    lazy = indexing.LazilyIndexedArray(StoreArray(array))
    return xr.Variable(dimensions, lazy, encoding={"preferred_chunks": dict(zip(dimensions, chunks, strict=True))})
