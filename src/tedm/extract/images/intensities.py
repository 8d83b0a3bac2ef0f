"""A file's numbers as intensities in [0, 1], a band of rows at a time.

The arithmetic is float64, eight bytes for a number that has one byte in most files: of a large image it is done for few rows at
once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError

# Colours that differ by no more than this, of 1, are grey: JPEG rounds chroma, scanners tint.
TINT = 0.1
# Numbers that are computed with at once.
AT_ONCE = 2**21


class Intensities:
    """An image whose rows are mapped to [0, 1] when they are asked for.

    Parameters
    ----------
    values : array of shape (height, width, 1 or 3)
        The numbers of the file.
    black, white : float
        What becomes 0 and 1; numbers beyond are clipped.
    channels : {1, 3}
        Grey is repeated for three channels. Colours become one channel by ITU-R 601 luma where they are all but grey.
    what : str
        What the image is called in messages.
    """

    def __init__(self, values: NDArray[Any], *, black: float, white: float, channels: int, what: str) -> None:
        self._values = values
        self._black, self._white = black, white
        self._channels = channels
        self._what = what

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return (*self._values.shape[:2], self._channels)

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Return some rows: shape (rows, width, channels).

        Raises
        ------
        TedmError
            If they hold infinities or NaN, or are in colour where one channel is wanted.
        """
        numbers = self._values[rows]
        intensities = np.empty((*numbers.shape[:2], self._channels), np.float32)
        step = max(1, AT_ONCE // max(1, numbers[:1].size))
        for start in range(0, len(numbers), step):
            intensities[start : start + step] = self._mapped(numbers[start : start + step])
        return intensities

    def _mapped(self, values: NDArray[Any]) -> NDArray[np.float32]:
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise TedmError(f"{self._what}: holds NaN or infinite values; replace them")
        with np.errstate(over="ignore"):  # what is infinitely far above white is white
            image = ((numbers - self._black) / (self._white - self._black)).clip(0.0, 1.0).astype(np.float32)
        if self._channels == 1 and image.shape[2] == 3:
            apart = float((image.max(axis=2) - image.min(axis=2)).max())
            if apart > TINT:
                raise TedmError(
                    f"{self._what}: is in colour, and the backbone was trained on grey images; make it grey in the way that is "
                    'right for it (in Pillow: image.convert("L")), or use a backbone of three channels'
                )
            # Pillow's weights: they sum to 65536, and on float32 the sums are exact, so that equal channels give themselves.
            red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
            image = ((red * 19595 + green * 38470 + blue * 7471) / 65536).astype(np.float32)[..., None]
        return image
