"""Heads are scored on labelled images that they have not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import Metric, measure
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.identity import names_in_records, require_told_apart
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.heads.segmenter.predict import Ballots
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule
from tedm.store import Features, Labels
from tedm.store.splits import images_to_score_on

Measures = dict[Metric, NDArray[np.float64]]  # by name, a number for each class


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
    names = unseen_images(features, heads, split=split, domain=domain)
    ballots = Ballots.settled(features, heads, rule=rule, timesteps=timesteps, memory=memory, what=what)
    labels = features.labels
    records: list[Record] = []
    for done, (name, scored) in enumerate(workers.over(_measured, ballots, names, cleaning), 1):
        at = labels.index(name)
        for key, cleaned, measures in scored:
            records += records_of(heads[key], methods[key] + cleaned, measures, labels, at, image=name, resolution="feature")
        if progress is not None:
            progress(done, len(names))
    return records


def records_of(
    head: Segmenter, method: str, measures: Measures, labels: Labels, at: int, *, image: str, resolution: str
) -> list[Record]:
    """Return the measures of a mask as records, one for each class; `labels` know the image at position `at`."""
    class_names = labels.class_names or ("",) * len(labels.classes)
    return [
        Record(
            method=method,
            n=head.provenance.n,
            seed=head.provenance.seed,
            domain=labels.domains[at],
            split=labels.splits[at],
            image=image,
            group=labels.groups[at],
            class_value=value,
            labels_used=head.provenance.labels_used,
            resolution=resolution,
            class_name=class_names[index],
            n_counts=head.provenance.n_counts,
            **{metric: float(values[index]) for metric, values in measures.items()},
        )
        for index, value in enumerate(head.classes)
    ]


def unseen_images(features: Features, heads: Mapping[str, Segmenter], *, split: str | None, domain: str | None) -> list[str]:
    """Return the images to score on; refuse heads of other classes, and heads that have seen one of the images."""
    classes = features.labels.classes
    for key, head in heads.items():
        if classes != head.classes:
            raise TedmError(
                f"the head {key} knows the mask values {list(head.classes)}, the features have {list(classes)}; "
                "relabel with tedm-label --classes, or fit a head on these labels"
            )
    seen = {key: head.provenance.seen for key, head in heads.items()}
    return images_to_score_on(features, seen, split=split, domain=domain)


def _measured(
    ballots: Ballots, names: Sequence[str], cleaning: Cleaning | None
) -> Iterator[tuple[str, list[tuple[str, str, Measures]]]]:
    """Yield for each image the measures of each head, plain and cleaned; its mask is read once for all of them."""
    for block in ballots.blocks(names):
        truth, scored = ballots.features.mask(block.name), []
        for key, head in ballots.heads.items():
            vote, classes = ballots.votes[key], len(head.classes)
            mask = head.merge(vote, head.opinions(block, vote.timesteps)).argmax(axis=-1).astype("uint8").reshape(truth.shape)
            scored.append((key, "", measure(truth, mask, classes)))
            if cleaning:
                scored.append((key, f"+{cleaning}", measure(truth, cleaning(mask), classes)))
        yield block.name, scored
