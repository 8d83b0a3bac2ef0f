"""Arrays that label the dimensions of a store for other readers of Zarr: they follow from its settings.

An array with the name of its only dimension is an index for xarray. `level` lies along the channels, and the labels of images
along these: activations name them in the attribute `coordinates` of the CF conventions.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tedm.store.features import Storage
from tedm.store.formats.naming import StoreFormat
from tedm.store.settings import FeatureSettings

Values = tuple[int | str, ...]
# Columns of labels that are coordinates of the images, not data.
OF_IMAGES = ("split", "group", "domain")
_FILE = re.compile(r"(timestep|draw|image_channel|level|channel|channel_[^/]+)/c\.0")


class Coordinate(NamedTuple):
    """Labels along a dimension.

    Parameters
    ----------
    dimension : str
    values : tuple of int or str
        One for each place along it.
    """

    dimension: str
    values: Values


def coordinates(settings: FeatureSettings, storage: Storage, form: StoreFormat) -> dict[str, Coordinate]:
    """Return the labels of timesteps, draws and channels, by their arrays.

    Channels have the numbers that they have in a pixel's vector, in either layout.
    """
    found = {"timestep": Coordinate("timestep", settings.timesteps)}
    if not form.labelled:
        return found
    found["draw"] = Coordinate("draw", tuple(range(settings.draws)))
    if settings.channel_names:
        found["image_channel"] = Coordinate("image_channel", settings.channel_names)
    if storage.layout == "upsampled":
        found["channel"] = Coordinate("channel", tuple(range(settings.channels)))
        found["level"] = Coordinate("channel", tuple(level.name for level in settings.levels for _ in range(level.channels)))
        return found
    for level in settings.levels:
        dimension = f"channel_{level.name}"
        found[dimension] = Coordinate(dimension, tuple(settings.channels_of([level.name])))
    return found


def named_by(form: StoreFormat, *more: str) -> dict[str, str]:
    """Return the attributes by which an array names the labels of its images, and more, as its coordinates."""
    return {"coordinates": " ".join((*OF_IMAGES, *more))} if form.labelled else {}


def is_of_coordinate(key: str) -> bool:
    """Whether a file of a store is the content of such an array, whatever the settings."""
    return _FILE.fullmatch(key) is not None
