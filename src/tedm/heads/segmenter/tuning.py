"""What is fitted to a head's votes after the fit: the weights of its voters, and a temperature.

Both are fitted to labelled images that the classifier did not learn from, which count as used labels from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tedm.heads.segmenter.held_out import HeldOutOpinions
from tedm.heads.segmenter.predict import Ballots
from tedm.heads.segmenter.provenance import CrossEntropies
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.temperature import FLOOR, Calibration, best_temperature, cross_entropy
from tedm.heads.voting.vote import VotingRule
from tedm.heads.voting.weights import VoterWeights, mixture_weights
from tedm.store import Features
from tedm.store.fingerprints import Fingerprint
from tedm.store.splits import images_to_choose_on


def learn_weights(
    head: Segmenter,
    features: Features,
    *,
    split: str | None = "val",
    domain: str | None = None,
    memory: int | None = None,
) -> Segmenter:
    """Learn the weights of a head's voters, for the rule "learned".

    Parameters
    ----------
    head : Segmenter
        Fitted, by whatever rule it votes; it votes by "learned" afterwards.
    features : Features
        With labelled images that it has not learned from, nor from their groups; the images that it has learned from need
        not be among them.
    split, domain : str or None
        Which of them; None takes all.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Returns
    -------
    Segmenter
        With `weights` that minimise the mean cross-entropy over all labelled pixels of these images. They count as used labels
        (`Provenance.labels_used`, `chosen_on`), and the cross-entropy by equal and by learned weights is recorded.

    Raises
    ------
    TedmError
        If there is no such image, the head learned from one, or the budget is too small.
    """
    learned_from = head.provenance.learned_from
    images = images_to_choose_on(features, learned_from, split=split, domain=domain, purpose="--vote learned")
    return with_weights(head, features, images, memory=memory)


def calibrate(
    head: Segmenter,
    features: Features,
    *,
    split: str | None = "val",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
) -> Segmenter:
    """Fit a head's temperature.

    Parameters
    ----------
    head : Segmenter
        Fitted.
    features : Features
        With labelled images that it has not learned from, nor from their groups; the images that it has learned from need
        not be among them.
    split, domain : str or None
        Which of them; None takes all.
    rule, timesteps
        The vote that the temperature is for; None takes the method's.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Returns
    -------
    Segmenter
        With a `calibration` in place of the one that it may have had. The images count as used labels
        (`Provenance.labels_used`, `chosen_on`), and the cross-entropy before and after is recorded.

    Raises
    ------
    TedmError
        If there is no such image, the head learned from one, or the budget is too small.
    """
    learned_from = head.provenance.learned_from
    images = images_to_choose_on(features, learned_from, split=split, domain=domain, purpose="--calibrate")
    return with_temperature(head, features, images, rule=rule, timesteps=timesteps, memory=memory)


def with_weights(head: Segmenter, features: Features, images: Sequence[Fingerprint], *, memory: int | None = None) -> Segmenter:
    """Learn the weights of a head's voters on images of which it has learned nothing; see `learn_weights`."""
    shared, members = head.method.rows == "share", head.method.members
    timesteps = head.method.timesteps if shared else ()
    draws = head.estimator.capabilities.voting_draws(features.settings.draws)

    def true_class(opinions: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return what each member gives the true class at each timestep, the mean of its draws: shape (pixels, voters)."""
        true = opinions[:, np.arange(len(labels)), labels].astype(np.float64)
        return np.ascontiguousarray(true.reshape(-1, draws, len(labels)).mean(axis=1).T)

    ballots = _ballots(head, features, "soft", None, memory)  # nobody votes here
    pixels = HeldOutOpinions(ballots, [image.name for image in images], true_class)
    values, equal, learned = mixture_weights(pixels, members * max(1, len(timesteps)))
    table = tuple(tuple(row) for row in values.reshape(members, -1).tolist())
    outdated = head.calibration is not None and head.calibration.rule == "learned"
    provenance = head.provenance.having_chosen_on(images)
    return replace(
        head,
        method=replace(head.method, vote="learned"),
        weights=VoterWeights(timesteps, table),
        calibration=None if outdated else head.calibration,
        provenance=replace(provenance, learned_weights=CrossEntropies(equal, learned)),
    )


def with_temperature(
    head: Segmenter,
    features: Features,
    images: Sequence[Fingerprint],
    *,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
) -> Segmenter:
    """Fit a head's temperature on images of which it has learned nothing; see `calibrate`."""
    ballots = _ballots(head, features, rule, timesteps, memory)
    vote = ballots.votes[""].uncalibrated()

    def logarithms(opinions: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return those of the committee's probabilities, shape (pixels, classes), the true class first."""
        logs = np.log(np.maximum(vote.merge(opinions).astype(np.float64), FLOOR))
        rows = np.arange(len(labels))
        logs[rows, labels], logs[:, 0] = logs[:, 0].copy(), logs[rows, labels]
        return logs

    pixels = HeldOutOpinions(ballots, [image.name for image in images], logarithms)
    temperature = best_temperature(pixels)
    before, after = (cross_entropy(pixels, each) for each in (1.0, temperature))
    provenance = head.provenance.having_chosen_on(images)
    return replace(
        head,
        calibration=Calibration(temperature, vote.rule, vote.timesteps),
        provenance=replace(provenance, calibration=CrossEntropies(before, after)),
    )


def _ballots(
    head: Segmenter, features: Features, rule: VotingRule | None, timesteps: Sequence[int] | None, memory: int | None
) -> Ballots:
    return Ballots.settled(
        features,
        {"": head},
        rule=rule,
        timesteps=timesteps,
        memory=memory,
        what="the features of the validation images",
        image="a validation image",
    )
