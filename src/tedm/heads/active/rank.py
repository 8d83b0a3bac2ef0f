"""Which image to annotate next.

Two things make an unlabelled image worth annotating: that the head is unsure of it, and that it stands for others. The first is
told by the entropy of the vote and by the disagreement of the voters (query by committee, Seung et al. 1992,
doi:10.1145/130385.130417; with Jensen-Shannon it is the mutual information of BALD, Houlsby et al. 2011, arXiv:1112.5745), over
the whole image or where it matters. The second is told by descriptors, see `tedm.heads.active.coverage`: uncertainty alone
picks twins and oddities (Yang et al. 2017, arXiv:1706.04737).

Every block is read once, and of an image only numbers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from tedm.errors import TedmError
from tedm.heads.active.candidates import candidates, known_images, unseen_among
from tedm.heads.active.coverage import Cover
from tedm.heads.active.descriptors import DescribingFeatures, descriptor
from tedm.heads.active.pixel_scores import PIXEL_SCORES, pixel_scores
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.predict import predict
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule
from tedm.store import Features
from tedm.text import listed

RankBy = Literal["entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"]


@dataclass(frozen=True)
class Ranked:
    """An image with all that may speak for annotating it.

    Parameters
    ----------
    name, group, domain, split : str
        The image.
    score : float
        What the ranking is by: one of the following.
    entropy, disagreement : float
        Mean over the pixels, in [0, 1]; see `tedm.heads.voting.uncertainty`.
    peak : float
        Mean entropy of the most uncertain tenth of the pixels.
    border : float
        Mean entropy of the pixels within 2 of a predicted border; 0 where the prediction has none.
    elsewhere : float
        Mean entropy of the other pixels: borders are never quite sure, doubt far from them means a part too many or too few.
    distance : float
        From its descriptor to the nearest of the images that the head has learned from; NaN if these are not in the features.
    cover : float
        By how much the mean distance of the ranked images to their nearest labelled one falls if this one is labelled.
    """

    name: str
    group: str
    domain: str
    split: str
    score: float
    entropy: float
    disagreement: float
    peak: float
    border: float
    elsewhere: float
    distance: float
    cover: float


def rank(
    features: Features,
    segmenter: Segmenter,
    names: Sequence[str] | None = None,
    *,
    by: RankBy = "cover",
    diverse: bool = True,
    top: int | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
) -> list[Ranked]:
    """Order images by what would teach a head most, best first.

    Parameters
    ----------
    features : Features
        A store, say.
    segmenter : Segmenter
        The head as it is.
    names : sequence of str or None
        Images to rank; None takes `candidates(features, segmenter)`: those without a mask. What the head has learned from or
        was chosen on is left out in any case.
    by : {"entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"}
        The score; see `Ranked`.
    diverse : bool
        Choose the first `top` one after the other, each so that the images, weighted by their score, come nearest to one that
        is labelled or chosen (`tedm.heads.active.coverage`); groups take turns. Otherwise the highest score is first.
    top : int or None
        How many are chosen in that way; those after them follow by score. None: all.
    rule, timesteps, memory, what
        See `predict`.
    progress : callable (done, all) or None
        Called after each image.

    Returns
    -------
    list of Ranked
        One for each image.

    Raises
    ------
    TedmError
        If the head is for other features, there is nothing to rank, `top` is above what there is, or the budget is too small.
    """
    if by not in get_args(RankBy):
        raise TedmError(f"there is no score {by!r} to rank by; choose one of {listed(get_args(RankBy))}")
    if segmenter.method.looks_at_images:
        raise TedmError(
            f"a {segmenter.method.name} head looks at images: it has no activations to compare them by, nor voters that could "
            "disagree; rank with a head of activations (tedm)"
        )
    labels = features.labels
    pool = candidates(features, segmenter) if names is None else unseen_among(features, segmenter, names)
    pool = sorted(pool, key=labels.index)  # sums over them have the same bits in whatever order they were named
    if top is not None and not 0 < top <= len(pool):
        raise TedmError(f"cannot choose the first {top} of {len(pool)} images: ask for 1 to {len(pool)}")
    segmenter.require(features, timesteps, what=what)
    known = known_images(features, segmenter)
    if by == "distance" and not known:
        raise TedmError(
            f"the images that the head has learned from are not in {what}, so nothing is known of the distance to them; "
            "rank by another score"
        )
    used = segmenter.timesteps(timesteps)
    channels = sum(level.channels for level in features.settings.levels)
    Budget(memory).require(
        Cover.needed(len(pool) + len(known), channels), f"the descriptors of {len(pool) + len(known)} images"
    )
    # Filled now, so that what predicts finds this memory taken.
    describing = DescribingFeatures(features, np.full((len(pool), channels), np.nan, np.float32))
    scores = np.zeros((len(pool), len(PIXEL_SCORES)))
    predictions = predict(
        describing, {"head": segmenter}, pool, rule=rule, timesteps=timesteps, memory=memory, what=what, uncertainty=True
    )
    for done, prediction in enumerate(predictions, 1):
        assert prediction.entropy is not None  # both were asked for
        assert prediction.disagreement is not None
        scores[done - 1] = pixel_scores(prediction.mask, prediction.entropy, prediction.disagreement)
        if progress is not None:
            progress(done, len(pool))
    labelled = [descriptor(block) for block in features.blocks(known, used)]
    cover = Cover(describing.descriptors, np.array(labelled, np.float32).reshape(-1, channels))
    columns = dict(zip(PIXEL_SCORES, scores.T, strict=True)) | {"distance": cover.distance, "cover": cover.gains}
    order = np.argsort(-columns[by], kind="stable")
    if diverse:
        weights = np.ones(len(pool)) if by == "cover" else columns[by]
        first = cover.chosen(weights, labels.group_of(pool), labels.group_of(known), top or len(pool))
        chosen = set(first)
        order = np.array([*first, *(index for index in order if index not in chosen)])
    places = [labels.index(pool[index]) for index in order]
    return [
        Ranked(
            labels.names[place],
            labels.groups[place],
            labels.domains[place],
            labels.splits[place],
            float(columns[by][index]),
            **{field.name: float(columns[field.name][index]) for field in fields(Ranked)[5:]},
        )
        for index, place in zip(order, places, strict=True)
    ]
