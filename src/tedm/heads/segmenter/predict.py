"""Predicting: every block is read once, whatever the number of heads that vote on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.blocks import blocks_with_images
from tedm.heads.data.rows import block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.ballot import Vote
from tedm.heads.voting.uncertainty import disagreement, entropy
from tedm.heads.voting.vote import VotingRule
from tedm.store import Block, Features
from tedm.threads import read_ahead


@dataclass(frozen=True)
class Prediction:
    """What a head makes of an image.

    Parameters
    ----------
    name : str
        The image.
    head : str
        Key of the head.
    probabilities : array of shape (size, size, classes)
        The committee's, at feature resolution.
    entropy, disagreement : array of shape (size, size), or None
        See `tedm.heads.voting.uncertainty`; None if they were not asked for.
    uncalibrated : array of shape (size, size, classes), or None
        What the probabilities were before the head's temperature, if one was applied. Masks at another resolution are to be
        taken from these: edges between interpolated probabilities would move with the temperature.
    """

    name: str
    head: str
    probabilities: NDArray[np.floating]
    entropy: NDArray[np.float64] | None = None
    disagreement: NDArray[np.float64] | None = None
    uncalibrated: NDArray[np.floating] | None = None

    @property
    def decisive(self) -> NDArray[np.floating]:
        """The probabilities that masks at another resolution are taken from."""
        return self.probabilities if self.uncalibrated is None else self.uncalibrated

    @property
    def mask(self) -> NDArray[np.uint8]:
        """Class indices of shape (size, size)."""
        return np.asarray(self.probabilities.argmax(axis=-1), dtype=np.uint8)


@dataclass(frozen=True)
class Ballots:
    """Heads and how each of them votes on the images of some features: what a worker needs to compute image by image.

    Parameters
    ----------
    features : Features
    heads : mapping of str to Segmenter
    votes : mapping of str to Vote
        By the same keys.
    memory : int or None
        Bytes that the process may have resident; None takes half of what is free.
    """

    features: Features
    heads: Mapping[str, Segmenter]
    votes: Mapping[str, Vote]
    memory: int | None

    @classmethod
    def settled(
        cls,
        features: Features,
        heads: Mapping[str, Segmenter],
        *,
        rule: VotingRule | None,
        timesteps: Sequence[int] | None,
        memory: int | None,
        what: str,
        image: str = "an image",
    ) -> Ballots:
        """Settle every head's vote, and refuse what cannot be done before anything is read.

        `what` and `image` are what messages call the features and an image of them.

        Raises
        ------
        TedmError
            If a head is for other features or cannot vote so, or the budget does not hold an image and its votes.
        """
        votes = {key: head.vote(rule, timesteps) for key, head in heads.items()}
        for key, head in heads.items():
            head.require(features, votes[key].timesteps, what=what)
        ballots = cls(features, dict(heads), votes, memory)
        Budget(memory).require(ballots.working_bytes, f"{image} and the votes on its pixels")
        return ballots

    @property
    def timesteps(self) -> list[int]:
        """Timesteps that some head uses, as the features order them."""
        used = {timestep for vote in self.votes.values() for timestep in vote.timesteps}
        return [timestep for timestep in self.features.settings.timesteps if timestep in used]

    @property
    def look_at_images(self) -> bool:
        """Whether a head, or a part of one, looks at the images themselves."""
        return any(head.sees_images for head in self.heads.values())

    @property
    def voting_bytes(self) -> int:
        """What the opinions of the head with most voters take in memory, and merging them."""
        return max((head.voting_bytes(self.features, self.votes[key]) for key, head in self.heads.items()), default=0)

    @property
    def working_bytes(self) -> int:
        """What an image's activations take in memory, reading them, and the votes on it."""
        return sum(block_bytes(self.features, len(self.timesteps))) + self.voting_bytes

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """Yield the blocks of some images; the next is read while this one is voted on, where that pays and fits."""
        held, reading = block_bytes(self.features, len(self.timesteps))
        room = Budget(self.memory).left() >= 2 * held + reading + self.voting_bytes
        pays = self.features.reads_ahead and len(names) > 1
        return read_ahead(self.read(names), ahead=1 if room and pays else 0)

    def read(self, names: Sequence[str]) -> Iterator[Block]:
        """Yield the blocks of some images, each when it is asked for."""
        if self.look_at_images:
            return blocks_with_images(self.features, names, self.timesteps)
        return self.features.blocks(names, self.timesteps)


def predict(
    features: Features,
    heads: Mapping[str, Segmenter],
    names: Sequence[str],
    *,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    uncertainty: bool = False,
) -> Iterator[Prediction]:
    """Predict images with one or more heads.

    Parameters
    ----------
    features : Features
        A store, or a backbone that computes as it goes: it is asked only for timesteps that a head uses.
    heads : mapping of str to Segmenter
        The heads, by whatever name the caller knows them.
    names : sequence of str
        Images, in the order in which predictions come.
    rule : {"soft", "hard", "geometric", "entropy", "learned"} or None
        How to vote; None votes as each head's method does.
    timesteps : sequence of int or None
        Vote with some timesteps only (the paper's ablation); None takes each head's.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        Who computes; a cluster's workers must be able to open the store.
    what : str
        The features' name in messages.
    uncertainty : bool
        Also tell how sure the committee is and how far its voters are apart.

    Yields
    ------
    Prediction
        For each image, one a head, in the order of `heads`.

    Raises
    ------
    TedmError
        If a head is for other features, or the budget does not hold an image and its votes.
    """
    ballots = Ballots.settled(features, heads, rule=rule, timesteps=timesteps, memory=memory, what=what)
    yield from workers.over(_predictions, ballots, names, uncertainty)


def _predictions(ballots: Ballots, names: Sequence[str], uncertainty: bool) -> Iterator[Prediction]:
    """Yield a prediction for each image and head."""
    for block in ballots.blocks(names):
        square = (block.size, block.size)
        for key, head in ballots.heads.items():
            vote = ballots.votes[key]
            opinions = head.opinions(block, vote.timesteps)
            merged, uncalibrated = head.merge(vote, opinions), None
            if vote.temperature is not None:
                uncalibrated = head.merge(vote.uncalibrated(), opinions).reshape(*square, -1)
            sure = (entropy(merged).reshape(square), disagreement(opinions).reshape(square)) if uncertainty else (None, None)
            yield Prediction(block.name, key, merged.reshape(*square, -1), sure[0], sure[1], uncalibrated)
