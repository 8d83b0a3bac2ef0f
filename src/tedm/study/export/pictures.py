"""Pictures as grey PNG files for other software: one for each channel, and one of labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.files import write_whole

WHITE = 2**16 - 1


def write_intensities(path: Path, plane: NDArray[np.floating], *, remedy: str) -> None:
    """Write intensities as a grey PNG of 16 bits, from 0 for black to 65535 for white.

    Grey levels of 8 and of 16 bits come through as they are; what was resized is rounded, by at most 1/131070.

    Parameters
    ----------
    path : Path
    plane : array of shape (height, width)
        In [0, 1].
    remedy : str
        See `tedm.files.write_whole`.
    """
    _write(path, np.rint(np.asarray(plane, np.float64) * WHITE).astype(np.uint16), remedy)


def write_labels(path: Path, labels: NDArray[np.uint8], *, remedy: str) -> None:
    """Write labels of shape (height, width) as a grey PNG of 8 bits."""
    _write(path, labels, remedy)


def _write(path: Path, values: NDArray[np.integer], remedy: str) -> None:
    picture = io.BytesIO()
    Image.fromarray(values).save(picture, format="PNG")
    write_whole(path, picture.getvalue(), remedy=remedy)
