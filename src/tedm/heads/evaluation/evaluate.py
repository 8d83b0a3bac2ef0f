"""Predicting and scoring: every block is read once, whatever the number of heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.rows import block_bytes
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.reliability import HeadReliability, Reliability
from tedm.heads.metrics.scores import Scores, score
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.identity import names_in_records, require_told_apart
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.uncertainty import disagreement, entropy
from tedm.heads.voting.vote import VotingRule
from tedm.store import Block, Features, FeatureStore
from tedm.store.splits import images_to_score_on
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
    task = _Task(features, dict(heads), rule, timesteps, memory)
    task.require(what)
    yield from workers.over(_predictions, task, names, uncertainty)


def evaluate(
    features: Features,
    heads: Mapping[str, Segmenter],
    *,
    split: str | None = "test",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
    cleaning: Cleaning | None = None,
) -> list[Record]:
    """Score heads on labelled images, at feature resolution.

    Parameters
    ----------
    features, heads, rule, timesteps, memory, workers, what
        See `predict`.
    split, domain : str or None
        Which images; None takes all.
    progress : callable (done, all) or None
        Called after each image.
    cleaning : Cleaning or None
        Also score each mask after it was cleaned so, as a method of its own: "tedm" and "tedm+largest=2".

    Returns
    -------
    list of Record
        One for each head, image and class; with `cleaning`, two. Their methods are named by
        `tedm.heads.segmenter.identity.names_in_records`.

    Raises
    ------
    TedmError
        If two heads could not be told apart, before anything is read; if there is no such labelled image, a head is for other
        features or classes, or has learned from or was chosen on an image that it is to be scored on, or another of its group
        (`tedm.store.splits`).
    """
    methods = names_in_records(heads, rule=rule, timesteps=timesteps)
    require_told_apart(heads, methods, cleaning)
    names = _fair_images(features, heads, split=split, domain=domain)
    task = _Task(features, dict(heads), rule, timesteps, memory)
    task.require(what)
    groups = dict(zip(features.labels.names, features.labels.groups, strict=True))
    domains = dict(zip(features.labels.names, features.labels.domains, strict=True))
    splits = dict(zip(features.labels.names, features.labels.splits, strict=True))
    records: list[Record] = []
    for done, (name, of_heads) in enumerate(workers.over(_scores, task, names, cleaning), 1):
        for key, cleaned, scores in of_heads:
            head = heads[key]
            for index, value in enumerate(head.classes):
                records.append(
                    Record(
                        method=methods[key] + cleaned,
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
        if progress is not None:
            progress(done, len(names))
    return records


def reliability(
    features: Features,
    heads: Mapping[str, Segmenter],
    *,
    split: str | None = "test",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
) -> list[HeadReliability]:
    """How sure heads are of labelled images, and how often they are right, before and after their temperature.

    Parameters
    ----------
    features, heads, split, domain, rule, timesteps, memory, workers, what, progress
        See `evaluate`. Reading is a pass of its own.

    Returns
    -------
    list of HeadReliability
        One for each head and domain, over all labelled pixels of the domain's images.

    Raises
    ------
    TedmError
        As `evaluate` does.
    """
    names = _fair_images(features, heads, split=split, domain=domain)
    task = _Task(features, dict(heads), rule, timesteps, memory)
    task.require(what)
    domains = dict(zip(features.labels.names, features.labels.domains, strict=True))
    methods = names_in_records(heads, rule=rule, timesteps=timesteps)
    found: dict[tuple[str, str], HeadReliability] = {}
    for done, (name, of_heads) in enumerate(workers.over(_counts, task, names), 1):
        for key, before, after in of_heads:
            head, at = heads[key], (key, domains[name])
            if at in found:
                sofar = found[at]
                both = after + sofar.after if after is not None and sofar.after is not None else None
                found[at] = replace(sofar, images=sofar.images + 1, before=sofar.before + before, after=both)
                continue
            found[at] = HeadReliability(
                head=key,
                method=methods[key],
                n=len(head.provenance["images"]),
                seed=head.provenance["seed"],
                labels_used=head.provenance["labels_used"],
                domain=domains[name],
                images=1,
                temperature=None if after is None or head.calibration is None else head.calibration.temperature,
                before=before,
                after=after,
            )
        if progress is not None:
            progress(done, len(names))
    return sorted(found.values(), key=lambda one: list(heads).index(one.head))


@dataclass(frozen=True)
class _Task:
    """What is computed for each image, here or on a worker."""

    features: Features
    heads: dict[str, Segmenter]
    rule: VotingRule | None
    timesteps: Sequence[int] | None
    memory: int | None

    @property
    def wanted(self) -> list[int]:
        """Timesteps that some head uses, as the features order them."""
        used = {timestep for head in self.heads.values() for timestep in head.timesteps(self.timesteps)}
        return [timestep for timestep in self.features.settings.timesteps if timestep in used]

    def require(self, what: str) -> None:
        """Refuse heads for other features, and a budget that does not hold an image."""
        for head in self.heads.values():
            head.require(self.features, self.timesteps, what=what, rule=self.rule)
        Budget(self.memory).require(
            sum(block_bytes(self.features, len(self.wanted))) + self.voting_bytes, "an image and the votes on its pixels"
        )

    @property
    def voting_bytes(self) -> int:
        """The opinions of the head with most voters, and what merging them takes."""
        return max((head.voting_bytes(self.features, self.timesteps) for head in self.heads.values()), default=0)

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """The blocks of some images; the next is read while this one is voted on, if the features are read and it fits."""
        held, reading = block_bytes(self.features, len(self.wanted))
        room = Budget(self.memory).left() >= 2 * held + reading + self.voting_bytes
        is_read = isinstance(self.features, FeatureStore)
        return read_ahead(self.features.blocks(names, self.wanted), ahead=1 if room and is_read and len(names) > 1 else 0)


def _predictions(task: _Task, names: Sequence[str], uncertainty: bool) -> Iterator[Prediction]:
    """A prediction for each image and head."""
    for block in task.blocks(names):
        square = (block.size, block.size)
        for key, head in task.heads.items():
            opinions = head.opinions(block, task.timesteps)
            merged, uncalibrated = head.merge(opinions, rule=task.rule, timesteps=task.timesteps), None
            if head.calibrated(task.rule, task.timesteps):
                bare = replace(head, calibration=None)
                uncalibrated = bare.merge(opinions, rule=task.rule, timesteps=task.timesteps).reshape(*square, -1)
            sure = (entropy(merged).reshape(square), disagreement(opinions).reshape(square)) if uncertainty else (None, None)
            yield Prediction(block.name, key, merged.reshape(*square, -1), sure[0], sure[1], uncalibrated)


def _scores(
    task: _Task, names: Sequence[str], cleaning: Cleaning | None
) -> Iterator[tuple[str, list[tuple[str, str, Scores]]]]:
    """For each image, the scores of each head, plain and cleaned; its mask is read once for all of them."""
    for block in task.blocks(names):
        truth, of_heads = task.features.mask(block.name), []
        for key, head in task.heads.items():
            prediction = Prediction(block.name, key, head.probabilities(block, rule=task.rule, timesteps=task.timesteps))
            of_heads.append((key, "", score(truth, prediction.mask, len(head.classes))))
            if cleaning:
                of_heads.append((key, f"+{cleaning}", score(truth, cleaning(prediction.mask), len(head.classes))))
        yield block.name, of_heads


def _counts(task: _Task, names: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, Reliability, Reliability | None]]]]:
    """For each image, the counts of each head before and after its temperature, if that is for this vote."""
    asked: dict[str, Any] = {"rule": task.rule, "timesteps": task.timesteps}
    for block in task.blocks(names):
        truth, of_heads = task.features.mask(block.name).ravel(), []
        for key, head in task.heads.items():
            opinions = head.opinions(block, task.timesteps)
            before = Reliability.count(truth, replace(head, calibration=None).merge(opinions, **asked))
            after = Reliability.count(truth, head.merge(opinions, **asked)) if head.calibrated(**asked) else None
            of_heads.append((key, before, after))
        yield block.name, of_heads


def _fair_images(features: Features, heads: Mapping[str, Segmenter], *, split: str | None, domain: str | None) -> list[str]:
    """Return the images to score on; refuse heads of other classes, and heads that have seen one of the images."""
    classes = features.labels.classes
    for key, head in heads.items():
        if classes != head.classes:
            raise TedmError(
                f"the head {key} knows the mask values {list(head.classes)}, the features have {list(classes)}; "
                "relabel with tedm-label --classes, or fit a head on these labels"
            )
    seen = {key: (*head.learned_from, *head.chosen_on) for key, head in heads.items()}
    return images_to_score_on(features, seen, split=split, domain=domain)
