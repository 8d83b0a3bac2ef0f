"""Images to activations: manifests, geometry, noise, backbones, every forward pass."""

from tedm.extract.backbone import Backbone
from tedm.extract.checkpoint import load_backbone, save_backbone
from tedm.extract.families.own import OwnNetwork
from tedm.extract.live import LiveFeatures
from tedm.extract.manifest import Manifest, read_manifest
from tedm.extract.pipeline import noisy_image
from tedm.extract.run import extract, relabel
from tedm.extract.schedule import Schedule

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
