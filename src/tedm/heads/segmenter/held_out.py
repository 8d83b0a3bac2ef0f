"""What the voters say of labelled pixels that they did not learn from, pass after pass, in bounded memory.

Weights and temperatures are fitted to opinions, which takes several passes over them. A few numbers a pixel are all that a fit
needs: those of the first images stay in memory as far as the budget allows, and the others are computed again at every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.predict import Ballots
from tedm.store import IGNORE

# From opinions of shape (voters, pixels, classes) and class indices of shape (pixels,) to what a fit needs of an image.
PerImage = Callable[[NDArray[np.floating], NDArray[np.uint8]], NDArray[np.float64]]


class HeldOutOpinions:
    """An array for each of some labelled images; iterating makes one pass.

    Parameters
    ----------
    ballots : Ballots
        Of one head: its features, and the timesteps that are asked.
    names : sequence of str
        Labelled images.
    per_image : callable (opinions, labels)
        From the opinions on an image's labelled pixels, shape (voters, pixels, classes), and their class indices, shape
        (pixels,), to the array that is wanted; it is small beside the opinions.
    """

    def __init__(self, ballots: Ballots, names: Sequence[str], per_image: PerImage) -> None:
        ((key, self._head),) = ballots.heads.items()
        self._ballots, self._timesteps = ballots, ballots.votes[key].timesteps
        self._names, self._per_image = list(names), per_image
        self._budget, self._working = Budget(ballots.memory), ballots.working_bytes
        self._kept: dict[str, NDArray[np.float64]] = {}

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        blocks = self._ballots.read([name for name in self._names if name not in self._kept])
        for name in self._names:
            array = self._kept.get(name)
            if array is None:
                mask = self._ballots.features.mask(name).ravel()
                labelled = mask != IGNORE
                opinions = self._head.opinions(next(blocks), self._timesteps)
                array = self._per_image(opinions[:, labelled], mask[labelled])
                if self._budget.left() >= self._working + array.nbytes and self._budget.keep(array.nbytes):
                    self._kept[name] = array
            yield array
