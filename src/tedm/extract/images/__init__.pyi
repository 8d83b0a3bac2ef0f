from .geometry import to_square_image, to_square_mask
from .manifest import Manifest, ManifestEntry, read_manifest
from .read import READERS, read_image, read_mask
from .reader import Header, Reader
from .square import read_square
from .stack import read_squares
from .write import write_prediction, write_uncertainty

__all__ = [
    "READERS",
    "Header",
    "Manifest",
    "ManifestEntry",
    "Reader",
    "read_image",
    "read_manifest",
    "read_mask",
    "read_square",
    "read_squares",
    "to_square_image",
    "to_square_mask",
    "write_prediction",
    "write_uncertainty",
]
