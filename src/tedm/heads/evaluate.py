"""Predicting and scoring: every block is read once, whatever the number of heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.records import Record
from tedm.heads.scores import score
from tedm.heads.segmenter import Segmenter
from tedm.heads.vote import VotingRule
from tedm.store import Features


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
    """

    name: str
    head: str
    probabilities: NDArray[np.floating]

    @property
    def mask(self) -> NDArray[np.uint8]:
        """Class indices of shape (size, size)."""
        return np.asarray(self.probabilities.argmax(axis=-1), dtype=np.uint8)


def predict(
    features: Features,
    heads: Mapping[str, Segmenter],
    names: Sequence[str],
    *,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    what: str = "the store",
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
    rule : {"soft", "hard", "geometric"} or None
        How to vote; None votes as each head's method does.
    timesteps : sequence of int or None
        Vote with some timesteps only (the paper's ablation); None takes each head's.
    what : str
        The features' name in messages.

    Yields
    ------
    Prediction
        For each image, one a head, in the order of `heads`.

    Raises
    ------
    TedmError
        If a head is for other features.
    """
    for head in heads.values():
        head.require(features, timesteps, what=what)
    used = {timestep for head in heads.values() for timestep in head.timesteps(timesteps)}
    wanted = [timestep for timestep in features.settings.timesteps if timestep in used]
    for block in features.blocks(names, wanted):
        for key, head in heads.items():
            yield Prediction(block.name, key, head.probabilities(block, rule=rule, timesteps=timesteps))


def evaluate(
    features: Features,
    heads: Mapping[str, Segmenter],
    *,
    split: str | None = "test",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
) -> list[Record]:
    """Score heads on labelled images, at feature resolution.

    Parameters
    ----------
    features, heads, rule, timesteps, what
        See `predict`.
    split, domain : str or None
        Which images; None takes all.
    progress : callable (done, all) or None
        Called after each image.

    Returns
    -------
    list of Record
        One for each head, image and class.

    Raises
    ------
    TedmError
        If there is no such labelled image, a head is for other features or classes, or was trained on an image that it is
        to be scored on.
    """
    names = features.labels.select(split=split, domain=domain, labelled=True)
    for key, head in heads.items():
        _require_fair(key, head, features, names)
    groups = dict(zip(features.labels.names, features.labels.groups, strict=True))
    domains = dict(zip(features.labels.names, features.labels.domains, strict=True))
    splits = dict(zip(features.labels.names, features.labels.splits, strict=True))
    records: list[Record] = []
    scored, truth = "", np.empty(0, np.uint8)
    voters = "" if timesteps is None else "@" + ",".join(map(str, timesteps))
    for number, prediction in enumerate(predict(features, heads, names, rule=rule, timesteps=timesteps, what=what), 1):
        head, name = heads[prediction.head], prediction.name
        if name != scored:  # the predictions of an image follow each other: its mask is read once
            scored, truth = name, features.mask(name)
        scores = score(truth, prediction.mask, len(head.classes))
        for index, value in enumerate(head.classes):
            records.append(
                Record(
                    method=head.method.name + voters,
                    n=len(head.provenance["images"]),
                    seed=head.provenance["seed"],
                    domain=domains[name],
                    split=splits[name],
                    image=name,
                    group=groups[name],
                    class_value=value,
                    dice=float(scores.dice[index]),
                    precision=float(scores.precision[index]),
                    recall=float(scores.recall[index]),
                    iou=float(scores.iou[index]),
                    labels_used=head.provenance["labels_used"],
                    resolution="feature",
                )
            )
        if progress is not None and number % len(heads) == 0:
            progress(number // len(heads), len(names))
    return records


def _require_fair(key: str, head: Segmenter, features: Features, names: Sequence[str]) -> None:
    """Refuse other classes, and images or groups that the head has learned from."""
    labels = features.labels
    if labels.classes != head.classes:
        raise TedmError(
            f"the head {key} knows the mask values {list(head.classes)}, the features have {list(labels.classes)}; "
            "relabel with tedm-label --classes, or fit a head on these labels"
        )
    # What decided when to stop was learned from, too.
    learned = {*head.provenance["images"], *head.provenance.get("validation_images", [])}
    known_groups = {group for name, group in zip(labels.names, labels.groups, strict=True) if name in learned and group}
    shared = [
        name for name, group in zip(names, labels.group_of(names), strict=True) if name in learned or group in known_groups
    ]
    if shared:
        raise TedmError(
            f"the head {key} was trained on {len(shared)} of these images or their groups (the first: {shared[0]}); "
            "a score on them would mean nothing: choose another --split"
        )
