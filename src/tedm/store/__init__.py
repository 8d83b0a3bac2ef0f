"""Features and where they are kept: settings, labels, layouts, Zarr."""

from tedm.store.disk import FeatureStore, Registration
from tedm.store.features import Block, Features, Storage
from tedm.store.labels import IGNORE, Labels
from tedm.store.settings import Arithmetic, FeatureSettings, Level

__all__ = [
    "IGNORE",
    "Arithmetic",
    "Block",
    "FeatureSettings",
    "FeatureStore",
    "Features",
    "Labels",
    "Level",
    "Registration",
    "Storage",
]
