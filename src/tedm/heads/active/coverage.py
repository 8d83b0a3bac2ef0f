"""How well a few images stand for many.

An image is described by its mean activations, and lies near another if these are alike. Images are chosen one after the other,
each where it brings the others, weighted by what is unknown of them, nearest to one that is labelled or chosen: greedy
k-medians, which is within 1 - 1/e of the best gain (Nemhauser et al. 1978, doi:10.1007/BF01588971). Yang et al. 2017
(arXiv:1706.04737) choose medical images to annotate by a cover among the uncertain ones, Prabhu et al. 2021 (arXiv:2010.08666)
cluster with uncertainty as weight. The farthest image from all that are known, which Sener and Savarese 2018 (arXiv:1708.00489)
take, has the largest `distance`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOGETHER = 256  # images whose distances to all others are in memory at once
AGAIN = 32  # images whose gains are computed anew together: one product of matrices costs little more than one of vectors


class Cover:
    """Distances between images that may be chosen and to those that are known.

    Distances are Euclidean between standardised descriptors, divided by the square root of their length: two images at random
    are some 1.4 apart, whatever the backbone.

    Parameters
    ----------
    images : array of shape (images, channels)
        Descriptors of those that may be chosen.
    known : array of shape (known, channels)
        Of those that are labelled; there may be none.

    Attributes
    ----------
    distance : array of shape (images,)
        To the nearest that is known; NaN if there is none.
    gains : array of shape (images,)
        By how much the mean distance of all images to their nearest known one falls if this one were known.
    """

    def __init__(self, images: NDArray[np.float32], known: NDArray[np.float32]) -> None:
        every = np.concatenate([images, known]).astype(np.float64)
        spread = every.std(axis=0)
        # A channel that is alike everywhere, up to rounding, tells nothing.
        scale = np.where(spread > 1e-6 * np.abs(every).max(axis=0, initial=0), spread, np.inf) * np.sqrt(every.shape[1])
        every = (every - every.mean(axis=0)) / scale
        self._points = every[: len(images)]
        self._squares = np.square(self._points).sum(axis=1)
        labelled = every[len(images) :]
        self.distance = np.full(len(images), np.nan)
        self._nearest = np.full(len(images), 2 * float(np.linalg.norm(self._points, axis=1).max()))  # no two are farther apart
        if len(labelled):
            self.distance = np.min([np.linalg.norm(self._points - point, axis=1) for point in labelled], axis=0)
            self._nearest = self.distance
        self.gains = self._gains(np.arange(len(images)), self._nearest, np.ones(len(images))) / len(images)

    @staticmethod
    def needed(images: int, channels: int) -> int:
        """Return the bytes that so many images take."""
        return images * channels * (4 + 8 + 8 + 8) + TOGETHER * images * 8 * 3

    def chosen(self, weights: NDArray[np.float64], groups: Sequence[str], known_groups: Sequence[str], top: int) -> list[int]:
        """Choose images one after the other, each with the largest gain.

        Parameters
        ----------
        weights : array of shape (images,)
            What nearness to each image is worth, at least 0.
        groups, known_groups : sequence of str
            Of the images and of the known ones. Groups take turns: the next image is of a group with the fewest known and
            chosen images of all groups that have one left. An image with the empty string is a group of its own.
        top : int
            How many.

        Returns
        -------
        list of int
            Their positions, in the order of choice.
        """
        whose = [group or f"\0{index}" for index, group in enumerate(groups)]
        turns = Counter(group for group in known_groups if group)
        nearest = self._nearest.copy()
        # Gains only fall as more is chosen, so old ones are bounds: nobody is computed again who could not win.
        bounds, fresh = self._gains(np.arange(len(weights)), nearest, weights), np.ones(len(weights), bool)
        order: list[int] = []
        left = set(range(len(weights)))
        while left and len(order) < top:
            fewest = min(turns[whose[index]] for index in left)
            in_turn = np.array([index for index in sorted(left) if turns[whose[index]] == fewest])
            while not fresh[best := int(in_turn[bounds[in_turn].argmax()])]:
                stale = in_turn[~fresh[in_turn]]
                stale = stale[np.argsort(-bounds[stale], kind="stable")[:AGAIN]]
                bounds[stale] = self._gains(stale, nearest, weights)
                fresh[stale] = True
            order.append(best)
            left.remove(best)
            turns[whose[best]] += 1
            nearest = np.minimum(nearest, self._distances([best])[0])
            fresh[:] = False
        return order

    def _gains(
        self, indices: NDArray[np.int64], nearest: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what some images would gain; `nearest` is how near every image is to one that is known or chosen."""
        parts = [
            np.maximum(nearest - self._distances(indices[at : at + TOGETHER]), 0) @ weights
            for at in range(0, len(indices), TOGETHER)
        ]
        return np.concatenate(parts)

    def _distances(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the distances of some images to all of them, of shape (indices, images)."""
        squares = self._squares[indices, None] + self._squares - 2 * (self._points[indices] @ self._points.T)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))
