"""How unsure a head is of an image, in single numbers: over the whole image, or where it matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

PEAK = 0.1  # of the pixels: the most uncertain tenth
NEAR = 2  # pixels from a predicted border, at feature resolution
PIXEL_SCORES = ("entropy", "disagreement", "peak", "border", "elsewhere")


def pixel_scores(mask: NDArray[np.uint8], entropy: NDArray[np.float64], disagreement: NDArray[np.float64]) -> list[float]:
    """Return what `PIXEL_SCORES` names of one image.

    Parameters
    ----------
    mask : array of shape (size, size)
        The predicted classes.
    entropy, disagreement : arrays of shape (size, size)
        Of the vote; see `tedm.heads.voting.uncertainty`.
    """
    most = max(1, round(PEAK * entropy.size))
    peak = np.partition(entropy.ravel(), -most)[-most:]
    near = _near_a_border(mask)
    border, elsewhere = (float(entropy[part].mean()) if part.any() else 0.0 for part in (near, ~near))
    return [float(entropy.mean()), float(disagreement.mean()), float(peak.mean()), border, elsewhere]


def _near_a_border(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels lie at most `NEAR` from one of another class: those on either side of a border are at 1."""
    near = np.zeros(mask.shape, bool)
    for axis in range(2):
        change = np.diff(mask, axis=axis) != 0
        one, other = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
        if axis == 1:
            one, other = one[::-1], other[::-1]
        near[one] |= change
        near[other] |= change
    return np.asarray(ndimage.binary_dilation(near, iterations=NEAR - 1))
