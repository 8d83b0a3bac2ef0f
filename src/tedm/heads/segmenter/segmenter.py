"""A head with all that it takes to turn features into masks.

An estimator knows rows; a segmenter knows which timesteps and which layout its rows came from, what the features were, what the
classes are called, how the opinions vote, and what it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.base.head import Head, PartedHead
from tedm.heads.base.predictor import PREDICTING_BYTES
from tedm.heads.data.rows import block_bytes
from tedm.heads.segmenter.methods import Method
from tedm.heads.segmenter.provenance import Provenance
from tedm.heads.segmenter.shapes import smoothed, without_specks
from tedm.heads.voting.ballot import Vote, merging_bytes
from tedm.heads.voting.temperature import Calibration
from tedm.heads.voting.vote import VotingRule
from tedm.heads.voting.weights import VoterWeights
from tedm.store import Arithmetic, Block, Features, FeatureSettings, Storage
from tedm.store.settings import require_same_features
from tedm.text import called, counted, listed, shown


@dataclass(frozen=True)
class Segmenter:
    """A fitted head and its circumstances.

    Parameters
    ----------
    method : Method
        Timesteps, row layout, vote.
    estimator : Head
        Fitted.
    settings, arithmetic, storage
        Those of the features that it was fitted on.
    classes : tuple of int
        Mask values; class k of the estimator is the k-th.
    provenance : Provenance
        What it was made from.
    weights : VoterWeights or None
        What each voter counts under the rule "learned"; None if that was not learned.
    calibration : Calibration or None
        The temperature of the committee's probabilities; None leaves them as they come out of the vote.
    name : str
        What the user calls the head in tables; empty if it is called as its method is.
    class_names, class_colours : tuple of str
        What the classes are called, and their colours as "#rrggbb"; empty where the features said nothing of them.
    smallest_parts : tuple of float
        By class, pixels of the smallest component in the training labels (`smallest_parts`); none if the method does not ask.
    """

    method: Method
    estimator: Head
    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: Provenance
    weights: VoterWeights | None = None
    calibration: Calibration | None = None
    name: str = ""
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    smallest_parts: tuple[float, ...] = ()

    def __repr__(self) -> str:
        method, learned = self.method, counted(len(self.provenance.images), "image")
        reads = "looks at images" if method.looks_at_images else f"timesteps {listed(method.timesteps)}, rows {method.rows}"
        classes = listed(called(value, self.named_classes.get(value, "")) for value in self.classes)
        return f"<Segmenter {shown(self.label)}: {method.head}, {reads}, learned from {learned}; {shown(classes)}>"

    @property
    def named_classes(self) -> dict[int, str]:
        """What people call the classes, by their values in masks; empty where nobody said so."""
        return dict(zip(self.classes, self.class_names, strict=True)) if self.class_names else {}

    @property
    def label(self) -> str:
        """The name that the user gave, or the method's."""
        return self.name or self.method.name

    @property
    def sees_images(self) -> bool:
        """Whether it is asked about blocks with their images: it looks at these, or a part of it does."""
        return self.method.looks_at_images or (
            self.estimator.capabilities.parts and cast(PartedHead, self.estimator).sees_images
        )

    def vote(self, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None) -> Vote:
        """Settle how this head votes: by its own rule and timesteps, or by those that are asked for.

        Parameters
        ----------
        rule : {"soft", "hard", "geometric", "entropy", "learned"} or None
            None votes as the method does.
        timesteps : sequence of int or None
            Some of the head's timesteps, if it shares one classifier; None takes all.

        Returns
        -------
        Vote
            With the head's weights if the rule is "learned", and with its temperature if that was fitted for this vote.

        Raises
        ------
        TedmError
            If the head cannot vote so: it reads its timesteps side by side, or has no weights for these.
        """
        rule, used = rule or self.method.vote, self.timesteps(timesteps)
        weights = None
        if rule == "learned":
            if self.weights is None:
                raise TedmError(
                    f"this {self.method.name} head has no learned weights; "
                    "fit one with tedm-fit --vote learned, or choose another --vote"
                )
            weights = self.weights.among(used)
        suits = self.calibration is not None and self.calibration.suits(rule, used)
        return Vote(rule, used, weights, self.calibration.temperature if suits and self.calibration is not None else None)

    def opinions(self, block: Block, timesteps: Sequence[int] | None = None) -> NDArray[np.floating]:
        """Return what every voter thinks of every pixel.

        Parameters
        ----------
        block : Block
            An image's activations at least at the timesteps that are used.
        timesteps : sequence of int or None
            Some of the head's timesteps, if it shares one classifier; None takes all.

        Returns
        -------
        array of shape (voters, pixels, classes)
            Voters are members x timesteps x draws, or members x draws if the timesteps are concatenated. A head made of
            parts has its parts for voters. Smoothed, if the method says so.
        """
        if not self.method.looks_at_images:
            block = block.at(self.timesteps(timesteps))
        probabilities = self.estimator.opinions(block, self.method.rows)
        opinions = probabilities.reshape(-1, block.size**2, len(self.classes))
        return smoothed(opinions, block.size, self.method.smoothing)

    def merge(self, vote: Vote, opinions: NDArray[np.floating]) -> NDArray[np.floating]:
        """Hold a vote on a whole image, and turn its specks into background if the method says so.

        Parameters
        ----------
        vote : Vote
            As `vote` settles it.
        opinions : array of shape (voters, pixels, classes)
            Of all pixels of an image, as `opinions` returns them.

        Returns
        -------
        array of shape (pixels, classes)
        """
        limits = [self.method.specks * each for each in self.smallest_parts]
        return without_specks(vote.merge(opinions), isqrt(opinions.shape[1]), limits)

    def probabilities(
        self, block: Block, *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
    ) -> NDArray[np.floating]:
        """Return the committee's probabilities of shape (size, size, classes); see `vote` for what can be asked."""
        vote = self.vote(rule, timesteps)
        return self.merge(vote, self.opinions(block, vote.timesteps)).reshape(block.size, block.size, len(self.classes))

    def timesteps(self, asked: Sequence[int] | None) -> tuple[int, ...]:
        """Return the timesteps that a prediction uses; a `TedmError` if the head cannot use those asked for."""
        if asked is None or tuple(asked) == self.method.timesteps:
            return self.method.timesteps
        if self.method.looks_at_images:
            raise TedmError(
                f"a {self.method.name} head looks at images and reads no timesteps; leave --timesteps out, or use a head of "
                "shared rows (tedm)"
            )
        if self.method.rows == "concatenate":
            raise TedmError(
                f"a {self.method.name} head reads its timesteps {listed(self.method.timesteps)} side by side "
                f"and cannot do with {listed(asked)}; leave --timesteps out, or use a head of shared rows (tedm)"
            )
        if not asked:
            raise TedmError("there is no timestep to vote; --timesteps takes one or more of the head's")
        # A shared classifier can be asked about any timestep that the features have: whether it should is the user's question.
        return tuple(asked)

    def temperature_not_applied(self, vote: Vote) -> str:
        """Say in a sentence why a vote's probabilities are not calibrated although the head is; nothing if they are."""
        fitted = self.calibration
        if fitted is None or vote.temperature is not None:
            return ""
        others, these = f"the {fitted.rule} vote", f"the {vote.rule} vote"
        if sorted(vote.timesteps) != sorted(fitted.timesteps):
            others = f"{others} of the timesteps {listed(fitted.timesteps)}"
            these = f"{these} of {listed(vote.timesteps)}"
        return f"the temperature {fitted.temperature:.3g} is not applied: it was fitted for {others}, and this is {these}"

    def timesteps_not_learned(self, vote: Vote) -> str:
        """Say in a sentence at which timesteps of a vote the head did not learn; nothing if there are none."""
        strange = [timestep for timestep in vote.timesteps if timestep not in self.method.timesteps]
        learned = listed(self.method.timesteps)
        return f"it learned at the timesteps {learned} and is asked at {listed(strange)}" if strange else ""

    def require(self, features: Features, timesteps: Sequence[int] | None = None, *, what: str) -> None:
        """Refuse features that this head was not made for, by the name `what` in the message."""
        used, images_only = self.timesteps(timesteps), self.method.looks_at_images
        require_same_features(self.settings, features.settings, used, what=what, images_only=images_only)

    def voting_bytes(self, features: Features, vote: Vote) -> int:
        """Return what the opinions on an image of such features take in memory, and merging them."""
        settings, able = features.settings, self.estimator.capabilities
        voters = self.method.members * able.voting_draws(settings.draws)
        if self.method.rows == "share":
            voters *= len(vote.timesteps)
        cells = block_bytes(features, len(vote.timesteps))[0] * 2  # as float32, or some of them again
        if able.takes_rows:
            cells += PREDICTING_BYTES
        if able.parts:
            cells += cast(PartedHead, self.estimator).part_bytes(features)
        return cells + merging_bytes(voters, settings.image_size**2, len(self.classes))
