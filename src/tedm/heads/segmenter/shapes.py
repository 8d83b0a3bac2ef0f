"""What labels know of shapes and a pixel's classifier does not: borders are smooth, and parts have a size.

Two things may be done to what a head says of an image, both at feature resolution and image by image. Every voter's
probabilities are smoothed by a Gaussian, which takes the steps of coarse levels and the noise of single pixels. And after the
vote, specks become background: components of a foreground class (pixels that touch by an edge or a corner) that are much
smaller than any that the training labels show. Nothing is asked of an image that is predicted but its own probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.store import IGNORE

BY_CORNER = np.ones((3, 3), bool)
# Annotators leave specks too: of one image's components of a class, those below this share of all its pixels are not counted.
STRAY = 0.05


def smoothed(opinions: NDArray[np.floating], size: int, deviation: float) -> NDArray[np.floating]:
    """Return probabilities after a Gaussian filter.

    Parameters
    ----------
    opinions : array of shape (voters, size * size, classes)
    size : int
        Rows and columns of the image.
    deviation : float
        Of the Gaussian, in pixels; 0 changes nothing.

    Returns
    -------
    array of shape (voters, size * size, classes)
        They sum to one where those given do. Beyond the image's rim, its outermost pixels go on.
    """
    if not deviation:
        return opinions
    from scipy import ndimage  # a quarter of a second to import, for methods that clean or smooth

    square = opinions.reshape(len(opinions), size, size, -1)
    return np.asarray(ndimage.gaussian_filter(square, deviation, mode="nearest", axes=(1, 2))).reshape(opinions.shape)


def smallest_parts(masks: Iterable[NDArray[np.uint8]], classes: int) -> tuple[float, ...]:
    """Return the pixels of each class's smallest component over training masks.

    Parameters
    ----------
    masks : iterable of array of shape (y, x)
        Class indices; `tedm.store.IGNORE` where nothing is said.
    classes : int

    Returns
    -------
    tuple of float
        By class index; 0 for the background, and for classes that no mask shows. A component that touches pixels without a
        label may be larger than what is seen of it and is not counted, nor are strays (`STRAY`).
    """
    from scipy import ndimage

    smallest = np.full(classes, np.inf)
    for mask in masks:
        beside_unknown = ndimage.binary_dilation(mask == IGNORE, BY_CORNER)
        for index in range(1, classes):
            parts, _ = ndimage.label(mask == index, BY_CORNER)
            areas = np.bincount(parts.ravel())[1:]
            whole = np.ones(len(areas), bool)
            whole[np.unique(parts[beside_unknown & (parts > 0)]) - 1] = False
            counted = areas[whole & (areas >= STRAY * areas.sum())]
            smallest[index] = min([smallest[index], *counted])
    return tuple(float(each) if np.isfinite(each) else 0.0 for each in smallest)


def without_specks(probabilities: NDArray[np.floating], size: int, limits: Sequence[float]) -> NDArray[np.floating]:
    """Return probabilities by which specks are background.

    Parameters
    ----------
    probabilities : array of shape (size * size, classes)
        Of one image.
    size : int
        Rows and columns of the image.
    limits : sequence of float
        By class index, pixels of the smallest component that stays; none, or zeros, change nothing.

    Returns
    -------
    array of shape (size * size, classes)
        In a speck, the speck's class and the background have each other's probability.
    """
    if not any(limits):
        return probabilities
    from scipy import ndimage

    mask = probabilities.argmax(axis=-1).reshape(size, size)
    cleaned = probabilities
    for index in (index for index in np.unique(mask).tolist() if index and limits[index]):
        parts, _ = ndimage.label(mask == index, BY_CORNER)
        areas = np.bincount(parts.ravel())
        speck = areas < limits[index]
        speck[0] = False
        if speck.any():
            cleaned = cleaned.copy() if cleaned is probabilities else cleaned
            at = speck[parts].ravel()
            cleaned[at, 0], cleaned[at, index] = probabilities[at, index], probabilities[at, 0]
    return cleaned
