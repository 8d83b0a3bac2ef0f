"""What the voters say of labelled pixels that they did not learn from, pass after pass, in bounded memory.

Weights and temperatures are fitted to opinions, which takes several passes over them. A few numbers a pixel are all that a fit
needs: those of the first images stay in memory as far as the budget allows, and the others are computed again at every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.rows import block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.ballot import Vote
from tedm.store import IGNORE, Features

# From opinions of shape (voters, pixels, classes) and class indices of shape (pixels,) to what a fit needs of an image.
PerImage = Callable[[NDArray[np.floating], NDArray[np.uint8]], NDArray[np.float64]]


class HeldOutOpinions:
    """An array for each of some labelled images; iterating makes one pass.

    Parameters
    ----------
    head : Segmenter
        Whose voters they are.
    features : Features
        Like those that it was fitted on.
    names : sequence of str
        Labelled images.
    vote : Vote
        Which timesteps are asked.
    per_image : callable (opinions, labels)
        From the opinions on an image's labelled pixels, shape (voters, pixels, classes), and their class indices, shape
        (pixels,), to the array that is wanted; it is small beside the opinions.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Raises
    ------
    TedmError
        If the head is for other features, or the budget does not hold an image and its votes.
    """

    def __init__(
        self,
        head: Segmenter,
        features: Features,
        names: Sequence[str],
        vote: Vote,
        per_image: PerImage,
        *,
        memory: int | None = None,
    ) -> None:
        head.require(features, vote.timesteps, what="the features of the validation images")
        self._head, self._features, self._names, self._per_image = head, features, list(names), per_image
        self._timesteps = vote.timesteps
        self._budget = Budget(memory)
        self._kept: dict[str, NDArray[np.float64]] = {}
        self._working = sum(block_bytes(features, len(self._timesteps))) + head.voting_bytes(features, vote)
        self._budget.require(self._working, "a validation image and the votes on its pixels")

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        blocks = self._features.blocks([name for name in self._names if name not in self._kept], self._timesteps)
        for name in self._names:
            array = self._kept.get(name)
            if array is None:
                mask = self._features.mask(name).ravel()
                labelled = mask != IGNORE
                opinions = self._head.opinions(next(blocks), self._timesteps)
                array = self._per_image(opinions[:, labelled], mask[labelled])
                if self._budget.left() >= self._working + array.nbytes and self._budget.keep(array.nbytes):
                    self._kept[name] = array
            yield array
