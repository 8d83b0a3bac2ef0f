"""Which pixels a head learns from, and how much each counts.

Sampling decides how often a pixel is drawn; class weights decide how much a drawn one counts. Pixels without a label are never
drawn, so that scribbles are enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store import IGNORE

Sampling = Literal["uniform", "balanced", "root", "boundary"]
# How much of the difference in size between classes is made up for: a class of p pixels is drawn in proportion to
# p ** (1 - this). Of "root": the square root of its pixels (Mahajan et al. 2018, arXiv:1805.00932).
BY_CLASS: Mapping[Sampling, float] = {"balanced": 1.0, "root": 0.5}

# Weight of a pixel at a border between classes over that of one inside, and how fast it falls, in pixels: U-Net's w0 and sigma
# (Ronneberger et al. 2015, arXiv:1505.04597), with the distance to the nearest pixel of another class.
BORDER_WEIGHT = 10.0
BORDER_WIDTH = 5.0


def pixel_weights(mask: NDArray[np.uint8], sampling: Sampling, counts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Return how likely each pixel is to be drawn, relative to the others.

    Parameters
    ----------
    mask : array of shape (size, size)
        Class indices; `IGNORE` where there is no label.
    sampling : {"uniform", "balanced", "root", "boundary"}
        All alike; every class alike; a class in proportion to the square root of its pixels; pixels near a border between
        labelled classes up to eleven times as often.
    counts : array of shape (classes,) or None
        Pixels of each class that "balanced" and "root" make up for; None counts those of this mask.

    Returns
    -------
    array of shape (size, size)
        Zero where there is no label.
    """
    if sampling not in get_args(Sampling):
        raise TedmError(f"there is no sampling {sampling!r}; choose one of {', '.join(get_args(Sampling))}")
    labelled = mask != IGNORE
    weights: NDArray[np.float64] = labelled.astype(np.float64)
    if sampling in BY_CLASS:
        if counts is None:
            counts = np.bincount(mask[labelled], minlength=256)
        weights[labelled] /= np.maximum(counts, 1)[mask[labelled]] ** BY_CLASS[sampling]
    elif sampling == "boundary":
        from scipy.ndimage import distance_transform_edt  # half a second to import, for one way of sampling

        present = np.unique(mask[labelled])
        for index in present[: len(present) if len(present) > 1 else 0]:
            own = mask == index
            away = distance_transform_edt(~(labelled & ~own))[own]
            weights[own] += BORDER_WEIGHT * np.exp(-0.5 * (away / BORDER_WIDTH) ** 2)
    return weights


def draw_pixels(mask: NDArray[np.uint8], pixels: int, sampling: Sampling, seed: int, name: str) -> NDArray[np.uint8]:
    """Return the mask with all but some random labelled pixels ignored.

    The draw depends on the mask, the seed and the name alone, and fewer pixels are the first of more. Without replacement:
    pixel i comes after an exponential time of rate weight i (Efraimidis and Spirakis 2006, Information Processing Letters
    97:181).

    Parameters
    ----------
    mask : array of shape (size, size)
        Class indices; `IGNORE` where there is no label.
    pixels : int
        How many, at least 1; a mask with fewer stays as it is.
    sampling : {"uniform", "balanced", "root", "boundary"}
        See `pixel_weights`; classes are counted in this mask.
    seed, name : int, str
        Of the image.
    """
    require_pixels(pixels)
    labelled = np.flatnonzero(mask.ravel() != IGNORE)
    weights = pixel_weights(mask, sampling).ravel()[labelled]
    time = -np.log1p(-np.random.default_rng([seed, *name.encode()]).random(len(labelled))) / weights
    chosen = labelled[time.argsort(kind="stable")[:pixels]]
    drawn = np.full(mask.size, IGNORE, np.uint8)
    drawn[chosen] = mask.ravel()[chosen]
    return drawn.reshape(mask.shape)


def draw(seed: int, what: int, number: int) -> np.random.Generator:
    """Return the random numbers of an iteration or an epoch."""
    return np.random.default_rng([seed % 2**64, what, number])


ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


def class_weights(wanted: ClassWeight, labels: Sequence[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much a row of each class counts in a loss, as scikit-learn has it.

    Parameters
    ----------
    wanted : {"balanced"}, mapping of label to weight, or None
        "balanced": rows / (classes that are there x rows of the class). Labels that a mapping leaves out weigh 1. None: all 1.
    labels : sequence
        Of the classes.
    counts : array of shape (classes,)
        Rows of each.

    Returns
    -------
    array of shape (classes,)

    Raises
    ------
    TedmError
        If a label is not known, or a weight is not a number of at least 0.
    """
    weights = np.ones(len(labels))
    if wanted is None:
        return weights
    if isinstance(wanted, str):
        require_word(wanted)
        present = counts > 0
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return weights
    known = {str(label): index for index, label in enumerate(labels)}
    for label, weight in wanted.items():
        if str(label) not in known:
            raise TedmError(f"a class weight is for {label!r}, which is no class; the classes are {', '.join(known)}")
        if not (isinstance(weight, (int, float)) and np.isfinite(weight) and weight >= 0):
            raise TedmError(f"the weight of class {label!r} is {weight!r}; it must be a number of at least 0")
        weights[known[str(label)]] = weight
    if not weights[counts > 0].any():
        raise TedmError("the weights of all classes that are there are 0: nothing would be learned; give one a weight above 0")
    return weights


def require_word(wanted: str) -> None:
    """Refuse a word for class weights that there is not."""
    if wanted != "balanced":
        raise TedmError(f"there are no class weights {wanted!r}; write balanced, or give each class its weight")


def require_pixels(pixels: int | None) -> None:
    """Refuse a number of pixels of each image below 1; None takes all."""
    if pixels is not None and pixels < 1:
        raise TedmError(f"--pixels-per-image is {pixels}; it must be at least 1")
