"""What a module must offer to read a kind of file, and what it says of a file before the pixels are decoded.

`tedm.extract.images.raster` is a reader. Another one is a module with the same names and an entry in `read.READERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its pixels are decoded.

    Parameters
    ----------
    height, width : int
        Size as people see it (EXIF orientation applied), in pixels.
    mode : str
        The reader's name for the kind of pixel; Pillow's for PNG, JPEG and TIFF.
    bits : int
        Bits of one sample in the file.
    white : float or None
        The file type's white; its black is 0. None if the type has no range (float, signed and 32-bit integers).
    reduced : bool
        Whether decoding keeps only the upper 8 of 16 bits, as Pillow does for colours.
    """

    height: int
    width: int
    mode: str
    bits: int
    white: float | None
    reduced: bool = False


class Reader(Protocol):
    """A module that reads one kind of file. Each function raises a `TedmError` that names the file if it cannot be read."""

    KINDS: tuple[str, ...]
    """What people call the kinds of files, for messages: `("PNG", "JPEG", "TIFF")`."""

    def read_header(self, path: Path) -> Header:
        """Read size and kind without decoding pixels."""

    def read_intensities(self, path: Path) -> tuple[NDArray[Any], Header]:
        """Read numbers of shape (height, width, 1 or 3), and the header that says what they mean."""

    def read_labels(self, path: Path) -> NDArray[np.int32]:
        """Read integers of shape (height, width)."""
