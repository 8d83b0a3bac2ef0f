"""Masks at an image's own size whose borders follow the image's edges.

A head decides at the backbone's resolution, and its probabilities are interpolated to the image's own: borders are as smooth as
a pixel of the backbone is large. The guided filter (He et al. 2013, doi:10.1109/TPAMI.2012.213) replaces them, in every small
window, by the linear function of the image's intensities that is nearest to them. It is exact for images up to `FINER` times
the backbone's resolution; of larger ones the functions are found at that resolution and applied to every pixel (He and Sun
2015, arXiv:1505.00996). `RADIUS` and `EPSILON` were chosen on development data (docs/results/method.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tedm.extract.images import Rows, from_square, native_mask, square_bands, to_square_image
from tedm.store.settings import Geometry
from tedm.study.volumes import MaskOf

RADIUS = 0.75  # of a window, in pixels of the backbone
EPSILON = 1e-3  # variance of intensities from 0 to 1 below which a window has no edge
FINER = 4


def masks_along_edges(geometry: Geometry, image_of: Callable[[str], Rows]) -> MaskOf:
    """Return what makes masks of predictions that follow the edges of the images that `image_of` gives by their names."""
    return lambda prediction, size: mask_at_own_size(prediction.decisive, size, geometry, image_of(prediction.name))


def mask_at_own_size(
    probabilities: NDArray[np.floating], size: tuple[int, int], geometry: Geometry, image: Rows | None = None
) -> NDArray[np.uint8]:
    """Return the most probable class of each of an image's own pixels.

    Parameters
    ----------
    probabilities : array of shape (size, size, classes)
        At feature resolution.
    size : (height, width)
        Of the image, in pixels.
    geometry : {"pad", "stretch"}
        How the image had become a square.
    image : Rows of shape (height, width, channels), or None
        The image, in [0, 1], if the mask is to follow its edges; None interpolates.

    Returns
    -------
    array of shape (height, width)
        Class indices.
    """
    if image is None:
        return native_mask(probabilities, size, geometry)
    return guided_mask(probabilities, image, geometry)


def guided_mask(
    probabilities: NDArray[np.floating],
    image: Rows,
    geometry: Geometry,
    *,
    radius: float = RADIUS,
    epsilon: float = EPSILON,
) -> NDArray[np.uint8]:
    """Return the mask of `mask_at_own_size` that follows an image's edges.

    Parameters
    ----------
    probabilities, image, geometry
        As there.
    radius : float
        Of a window, in pixels of the backbone.
    epsilon : float
        Variance of intensities from 0 to 1 below which a window has no edge, above 0.
    """
    height, width, channels = image.shape
    coarse, classes = len(probabilities), probabilities.shape[-1]
    side = max(coarse, min(FINER * coarse, max(height, width)))
    guide = to_square_image(image, side, geometry).astype(np.float64)
    target = from_square(np.asarray(probabilities, np.float32), (side, side), "stretch").astype(np.float64)
    slopes, offsets = _functions(guide, target, max(1, round(radius * side / coarse)), epsilon)
    planes = np.concatenate([slopes.reshape(side, side, -1), offsets], axis=-1).astype(np.float32)
    mask = np.empty((height, width), np.uint8)
    for where, band in square_bands(planes, (height, width), geometry):
        pixels = np.asarray(image[where[0]], np.float32)[:, where[1]]
        slope, offset = band[..., : channels * classes], band[..., channels * classes :]
        by_class = np.einsum("yxc,yxck->yxk", pixels, slope.reshape(*slope.shape[:2], channels, classes)) + offset
        mask[where] = by_class.argmax(axis=-1)
    return mask


def _functions(
    guide: NDArray[np.float64], target: NDArray[np.float64], radius: int, epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the linear functions of a guided filter, each the mean of those of the windows around a pixel.

    Parameters
    ----------
    guide : array of shape (height, width, channels)
    target : array of shape (height, width, classes)
    radius : int
        Windows have 2 radius + 1 pixels a side, fewer at the rim.
    epsilon : float
        Of the ridge regression in a window.

    Returns
    -------
    slopes : array of shape (height, width, channels, classes)
    offsets : array of shape (height, width, classes)
    """
    from scipy import ndimage  # a quarter of a second to import, for those who ask for edges

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        size = (2 * radius + 1, 2 * radius + 1, *[1] * (values.ndim - 2))
        return np.asarray(ndimage.uniform_filter(values, size, mode="constant"))

    inside = sums(np.ones(guide.shape[:2]))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return sums(values) / inside.reshape(*inside.shape, *[1] * (values.ndim - 2))

    of_guide, of_target = mean(guide), mean(target)
    across = guide[..., :, None]
    variance = mean(across * guide[..., None, :]) - of_guide[..., :, None] * of_guide[..., None, :]
    covariance = mean(across * target[..., None, :]) - of_guide[..., :, None] * of_target[..., None, :]
    slopes = np.asarray(np.linalg.solve(variance + epsilon * np.eye(guide.shape[-1]), covariance), np.float64)
    offsets = of_target - np.einsum("yxc,yxck->yxk", of_guide, slopes)
    return mean(slopes), mean(offsets)
