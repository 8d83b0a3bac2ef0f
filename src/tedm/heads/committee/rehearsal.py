"""A fit as far as its first look at an image: whatever a head refuses before its work is refused before the work of others.

Heads check what they were asked for, their budget and the weights that they start from before they read anything. The parts of
a committee are fitted one after the other: without this, the last would refuse when the first have learned for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tedm.heads.base.head import Head
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.workers import HERE
from tedm.store import Block, Features


def rehearse(head: Head, data: TrainingData, validation: TrainingData | None) -> None:
    """Fit a head until it reads.

    Parameters
    ----------
    head : Head
        Unfitted, and of no use afterwards.
    data : TrainingData
        Its budget is as it was afterwards.
    validation : TrainingData or None

    Raises
    ------
    Exception
        What the head refuses with.
    """
    unread = _Unread(data.features)
    try:
        head.fit_blocks(_unread(data, unread), None if validation is None else _unread(validation, unread))
    except Exception:
        if not unread.reached:
            raise


def _unread(data: TrainingData, features: _Unread) -> TrainingData:
    """Return data of which nothing can be read, with a budget of its own."""
    other = data.as_rows(data.rows, data.timesteps)
    other.features, other.budget, other.workers = cast(Features, features), copy(data.budget), HERE
    return other


class _Reached(Exception):
    """Somebody reads."""


class _Unread:
    """Features of which everything is known but what an image shows."""

    def __init__(self, features: Features) -> None:
        self.settings, self.arithmetic, self.storage = features.settings, features.arithmetic, features.storage
        self.labels, self.reads_ahead, self.chunk_channels = features.labels, features.reads_ahead, features.chunk_channels
        self.reached = False

    def image(self, name: str) -> NDArray[np.float32]:
        """Say that somebody reads."""
        self.reached = True
        raise _Reached

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Say that somebody reads: the masks of training data are in memory."""
        self.reached = True
        raise _Reached

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Say that somebody reads."""
        self.reached = True
        raise _Reached
