from .entry import ManifestEntry
from .geometry import to_square_image, to_square_mask
from .listing.legend import Legend
from .manifest import Manifest, read_manifest
from .read import READERS, read_image, read_mask
from .reader import FileLabels, Header, Reader
from .slices.grid import Grid, grid_of
from .slices.options import VolumeOptions
from .square import read_square
from .stack import read_squares
from .write import files_written, write_prediction, write_uncertainty

__all__ = [
    "READERS",
    "FileLabels",
    "Grid",
    "Header",
    "Legend",
    "Manifest",
    "ManifestEntry",
    "Reader",
    "VolumeOptions",
    "files_written",
    "grid_of",
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
