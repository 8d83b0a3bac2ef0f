"""What a module must offer to read a kind of file, and the rules that all readers share.

`tedm.extract.images.raster` is a reader. Another one is a module with the same names and an entry in `read.READERS`. What is no
matter of one kind of file is here: which numbers are labels, what transparency may hide, how a file that cannot be read is
named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import reading
from tedm.extract.reading import whole_numbers


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its pixels are decoded.

    Parameters
    ----------
    height, width : int
        Size as people see it (EXIF orientation applied), in pixels.
    mode : str
        The reader's name for the kind of pixel; Pillow's for PNG and JPEG, the type of the samples for TIFF.
    bits : int
        Bits of one sample in the file.
    white : float or None
        The file type's white; its black is 0. None if the type has no range (float, signed and 32-bit integers).
    """

    height: int
    width: int
    mode: str
    bits: int
    white: float | None


@dataclass(frozen=True)
class FileLabels:
    """The numbers of a mask, and how people see them.

    Parameters
    ----------
    values : array of shape (height, width)
        The numbers that are stored in the file, int32; of a palette file, the indices.
    palette : array of shape (colours, 3), or None
        The colour of each index, uint8, if the file has a palette.
    white : float or None
        Of a file without a palette: the number that is shown as white, where its type has one.
    inverted : bool
        Whether white is zero, and `white` is shown as black.
    """

    values: NDArray[np.int32]
    palette: NDArray[np.uint8] | None = None
    white: float | None = None
    inverted: bool = False


class Reader(Protocol):
    """A module that reads one kind of file. Each function raises a `TedmError` that names the file if it cannot be read."""

    KINDS: tuple[str, ...]
    """What people call the kinds of files, for messages: `("PNG", "JPEG", "TIFF")`."""

    def read_header(self, path: Path) -> Header:
        """Read size and kind without decoding pixels."""

    def read_intensities(self, path: Path) -> tuple[NDArray[Any], Header]:
        """Read numbers of shape (height, width, 1 or 3), and the header that says what they mean."""

    def read_labels(self, path: Path) -> FileLabels:
        """Read integers of shape (height, width), and how people see them."""


def whole_labels(path: Path, samples: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[np.int32]:
    """Return a mask's labels, or refuse what is none.

    Parameters
    ----------
    path : Path
        The file, for messages.
    samples : array of shape (height, width, 1 or 3)
        The numbers of the file; three are labels if they are equal everywhere.
    alpha : array of shape (height, width), or None
        Transparency; it may say nothing that the labels do not say.

    Returns
    -------
    array of shape (height, width)
        Integers, int32.
    """
    if samples.shape[2] > 1 and (samples != samples[..., :1]).any():
        raise TedmError(f"{path}: a mask in colours; save one channel of class values, or a palette")
    labels = whole_numbers(path, samples[..., 0])
    if alpha is not None and alpha.min() != alpha.max():
        levels, at = np.unique(alpha, return_inverse=True)
        pairs = labels.astype(np.int64) * len(levels) + at.reshape(labels.shape)
        if len(np.unique(pairs)) > len(np.unique(labels)):
            raise TedmError(
                f"{path}: a mask whose transparency tells pixels of one value apart; save the labels as values of one channel, "
                "without transparency (if they are in the alpha channel, save that channel as grey)"
            )
    return labels


def require_no_picture_in_alpha(path: Path, colours: NDArray[Any], alpha: NDArray[Any]) -> None:
    """Refuse an image of one colour, (height, width, channels), whose picture is in its transparency, (height, width)."""
    if alpha.min() != alpha.max() and (colours == colours[:1, :1]).all():
        raise TedmError(f"{path}: has one colour everywhere, its picture is in its alpha channel; save that channel as grey")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn every way in which an image cannot be read into one sentence that names its file; see `tedm.extract.reading`."""
    with reading.naming(path):
        try:
            yield
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise TedmError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; save a smaller copy") from None


def require_size(width: int, height: int) -> None:
    """Refuse more pixels than Pillow's limit, before memory is taken for them; `naming` says of which file."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise Image.DecompressionBombError
