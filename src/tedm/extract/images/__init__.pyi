from .entry import ManifestEntry
from .geometry import Rows, centres, from_square, from_square_probabilities, square_bands, to_square_image, to_square_mask
from .listing.legend import Legend, problem_of_name, read_legend
from .listing.several import Sources, shown_sources
from .manifest import Manifest, read_manifest
from .read import READERS, read_image, read_mask
from .reader import FileLabels, Header, Reader
from .slices.grid import Grid, grid_of
from .slices.opened import open_volume, uncropped
from .slices.options import NO_OPTIONS, VolumeOptions
from .square import read_square
from .stack import read_squares
from .write import UNCERTAINTY, files_written, mask_png, native_mask, pixels_of_a_cell, write_prediction, write_uncertainty

__all__ = [
    "NO_OPTIONS",
    "READERS",
    "UNCERTAINTY",
    "FileLabels",
    "Grid",
    "Header",
    "Legend",
    "Manifest",
    "ManifestEntry",
    "Reader",
    "Rows",
    "Sources",
    "VolumeOptions",
    "centres",
    "files_written",
    "from_square",
    "from_square_probabilities",
    "grid_of",
    "mask_png",
    "native_mask",
    "open_volume",
    "pixels_of_a_cell",
    "problem_of_name",
    "read_image",
    "read_legend",
    "read_manifest",
    "read_mask",
    "read_square",
    "read_squares",
    "shown_sources",
    "square_bands",
    "to_square_image",
    "to_square_mask",
    "uncropped",
    "write_prediction",
    "write_uncertainty",
]
