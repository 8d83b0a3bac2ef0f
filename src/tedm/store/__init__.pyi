from .arrays import DamagedError
from .disk import FeatureStore
from .features import Block, Features, OnLevels, Storage, Views
from .labelling import Registration
from .labels import IGNORE, Labels
from .place import Location
from .settings import Arithmetic, FeatureSettings, Level
from .sources import Source
from .verification import Damage, verify
from .volumes.volume import Slice, Volume

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
    "Slice",
    "Source",
    "Storage",
    "Views",
    "Volume",
    "verify",
]
