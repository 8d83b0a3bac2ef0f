from .backbones.backbone import Backbone
from .backbones.checkpoint import load_backbone, save_backbone
from .backbones.custom import OwnNetwork
from .backbones.schedule import Schedule
from .images.manifest import Manifest, read_manifest
from .live import LiveFeatures
from .pipeline import noisy_image
from .run import extract, relabel

__all__ = [
    "Backbone",
    "LiveFeatures",
    "Manifest",
    "OwnNetwork",
    "Schedule",
    "extract",
    "load_backbone",
    "noisy_image",
    "read_manifest",
    "relabel",
    "save_backbone",
]
