"""Features and where they are kept: settings, labels, layouts, Zarr."""

from tedm.store.disk import DamagedError, FeatureStore, Registration
from tedm.store.features import Block, Features, OnLevels, Storage
from tedm.store.labels import IGNORE, Labels
from tedm.store.place import Location
from tedm.store.settings import Arithmetic, FeatureSettings, Level
from tedm.store.verify import Damage, verify

__all__ = [
    "IGNORE",
    "Arithmetic",
    "Block",
    "Damage",
    "DamagedError",
    "FeatureSettings",
    "FeatureStore",
    "Features",
    "Labels",
    "Level",
    "Location",
    "OnLevels",
    "Registration",
    "Storage",
    "verify",
]
