from .backbone import DTYPES, Backbone
from .checkpoint import load_backbone, save_backbone
from .config import read_config
from .custom import OwnNetwork, own_backbone
from .family import Content, Family
from .schedule import Schedule
from .tedm import random_backbone

__all__ = [
    "DTYPES",
    "Backbone",
    "Content",
    "Family",
    "OwnNetwork",
    "Schedule",
    "load_backbone",
    "own_backbone",
    "random_backbone",
    "read_config",
    "save_backbone",
]
