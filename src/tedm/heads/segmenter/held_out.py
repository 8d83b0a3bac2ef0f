"""What the voters say of labelled pixels that they did not learn from, pass after pass, in bounded memory.

Weights and temperatures are fitted to opinions, which takes several passes over them. A few numbers a pixel are all that a fit
needs: those of the first images stay in memory as far as the budget allows, and the others are computed again at every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.rows import block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.store import IGNORE, Features

if TYPE_CHECKING:
    from tedm.heads.segmenter.segmenter import Segmenter

# Less than this beside one is nothing in float32; a class that a voter excludes gets it, so that every logarithm is finite.
FLOOR = float(np.finfo(np.float32).eps)

OfImage = Callable[[NDArray[np.floating], NDArray[np.uint8]], NDArray[np.float64]]


class Answers:
    """An array for each of some labelled images; iterating makes one pass.

    Parameters
    ----------
    head : Segmenter
        Who votes.
    features : Features
        Like those that it was fitted on.
    names : sequence of str
        Labelled images.
    of_image : callable (opinions, labels)
        From the opinions on an image's labelled pixels, shape (voters, pixels, classes), and their class indices, shape
        (pixels,), to the array that is wanted; it is small beside the opinions.
    timesteps : sequence of int or None
        Those that vote; None takes the head's.
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
        of_image: OfImage,
        *,
        timesteps: Sequence[int] | None = None,
        memory: int | None = None,
    ) -> None:
        head.require(features, timesteps, what="the features of the validation images", rule="soft")  # nobody votes here
        self._head, self._features, self._names, self._of_image = head, features, list(names), of_image
        self._timesteps = head.timesteps(timesteps)
        self._budget = Budget(memory)
        self._kept: dict[str, NDArray[np.float64]] = {}
        self._working = sum(block_bytes(features, len(self._timesteps))) + head.voting_bytes(features, timesteps)
        self._budget.require(self._working, "a validation image and the votes on its pixels")

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        blocks = self._features.blocks([name for name in self._names if name not in self._kept], self._timesteps)
        for name in self._names:
            found = self._kept.get(name)
            if found is None:
                mask = self._features.mask(name).ravel()
                labelled = mask != IGNORE
                opinions = self._head.opinions(next(blocks), self._timesteps)
                found = self._of_image(opinions[:, labelled], mask[labelled])
                if self._budget.left() >= self._working + found.nbytes and self._budget.keep(found.nbytes):
                    self._kept[name] = found
            yield found
