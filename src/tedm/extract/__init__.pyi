from .arithmetic import arithmetic_differences, available_cores, choose_arithmetic, on_this_machine, running
from .arrays.labelled import labelled_pictures, settings_of, store_of
from .arrays.live import LiveArrays
from .arrays.pictures import Picture, pictures_of, require_intensities
from .arriving import Arriving, Place
from .backbones.backbone import Backbone
from .backbones.checkpoint import load_backbone, save_backbone
from .backbones.custom import OwnNetwork
from .backbones.schedule import Schedule
from .estimate import estimate_costs, peak_memory
from .images.manifest import Manifest, read_manifest
from .live import LiveFeatures, labels_of, square_image
from .noise import draw_noise
from .passes import ON_THE_WAY
from .pipeline import compute, noisy_image, prepared
from .recompute import recompute_images
from .registration import (
    normalisation_of,
    registrations,
    relabel,
    require_images_as_trained,
    settled,
    tells_something,
    whole_images,
)
from .run import TEDM_TIMESTEPS, extract, writers
from .sources import as_read, compare, differences
from .stages import Behind, Waited
from .views import extract_views

__all__ = [
    "ON_THE_WAY",
    "TEDM_TIMESTEPS",
    "Arriving",
    "Backbone",
    "Behind",
    "LiveArrays",
    "LiveFeatures",
    "Manifest",
    "OwnNetwork",
    "Picture",
    "Place",
    "Schedule",
    "Waited",
    "arithmetic_differences",
    "as_read",
    "available_cores",
    "choose_arithmetic",
    "compare",
    "compute",
    "differences",
    "draw_noise",
    "estimate_costs",
    "extract",
    "extract_views",
    "labelled_pictures",
    "labels_of",
    "load_backbone",
    "noisy_image",
    "normalisation_of",
    "on_this_machine",
    "peak_memory",
    "pictures_of",
    "prepared",
    "read_manifest",
    "recompute_images",
    "registrations",
    "relabel",
    "require_images_as_trained",
    "require_intensities",
    "running",
    "save_backbone",
    "settings_of",
    "settled",
    "square_image",
    "store_of",
    "tells_something",
    "whole_images",
    "writers",
]
