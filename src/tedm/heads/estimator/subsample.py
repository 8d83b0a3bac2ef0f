"""A sample of pixels with every class of every image in it.

What an estimator can hold is a number of rows. They are shared out over the classes of the images, one pixel each at least, so
that a class that one image shows a corner of is learnt from too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import rows_at
from tedm.heads.data.sampling import pixel_weights
from tedm.store import IGNORE


def sample_sizes(data: TrainingData, pixels: int) -> dict[str, dict[int, int]]:
    """Decide how many pixels of each class of each image make up a sample.

    One at least; beyond that in proportion to their weight under the data's way of sampling (pixel counts, if uniform).

    Parameters
    ----------
    data : TrainingData
        Images, as often as they are named.
    pixels : int
        In all; not exceeded, unless there are more classes in images.

    Returns
    -------
    mapping of str to mapping of int to int
        For each image, of class index to pixels.
    """
    keys, there, weight = [], [], []
    totals = data.class_counts()
    for name in data.names:
        mask = data.masks[name]
        weights = pixel_weights(mask, data.sampling, totals)
        for index in np.unique(mask[mask != IGNORE]):
            own = mask == index
            keys.append((name, int(index)))
            there.append(int(own.sum()))
            weight.append(float(weights[own].sum()))
    count, share, wanted = np.array(there), np.array(weight), np.ones(len(keys), np.int64)
    while (left := pixels - int(wanted.sum())) > 0 and (open_ := wanted < count).any():
        more = np.where(open_, left * share / share[open_].sum(), 0).astype(np.int64)
        if not more.any():  # fewer than there are classes in images: one each, the heaviest first
            more[np.argsort(-np.where(open_, share, 0), kind="stable")[: min(left, int(open_.sum()))]] = 1
        wanted = np.minimum(wanted + more, count)
    sizes: dict[str, dict[int, int]] = {name: {} for name in data.names}
    for (name, index), number in zip(keys, wanted.tolist(), strict=True):
        sizes[name][index] = min(number, sizes[name].get(index, number))  # a name that comes twice is drawn from alike
    return sizes


def sampled_rows(
    data: TrainingData, names: Sequence[str], quotas: Mapping[str, Mapping[int, int]], seed: int, part_bytes: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Yield rows and class indices of a sample, in the order of images and their pixels; workers of a cluster run this.

    Which pixels depends on the mask, the seed and the image's name alone, and fewer are among more.
    """
    totals = data.class_counts()
    at_once = max(1, part_bytes // (data.rows_per_pixel * data.n_features * 4))
    for labelled in data.read(names, working=part_bytes, keep=False):
        name, mask = labelled.block.name, labelled.mask.ravel()
        weights = pixel_weights(labelled.mask, data.sampling, totals).ravel()
        # As in `draw_pixels`: pixel i comes after an exponential time of rate weight i.
        time = np.random.default_rng([seed, *name.encode()]).exponential(size=mask.size) / np.where(weights > 0, weights, 1)
        chosen = [(own := np.flatnonzero(mask == index))[time[own].argsort()[:size]] for index, size in quotas[name].items()]
        pixels = np.sort(np.concatenate(chosen))
        for start in range(0, len(pixels), at_once):
            some = pixels[start : start + at_once]
            yield rows_at(labelled.block, some, data.rows), np.repeat(mask[some], data.rows_per_pixel)
