"""Which image to annotate next.

Two things make an unlabelled image worth annotating: that the head is unsure of it, and that it stands for others. The first is
told by the entropy of the vote and by the disagreement of the voters (query by committee, Seung et al. 1992,
doi:10.1145/130385.130417; with Jensen-Shannon it is the mutual information of BALD, Houlsby et al. 2011, arXiv:1112.5745), over
the whole image or where it matters. The second is told by descriptors, see `tedm.heads.active.coverage`: uncertainty alone
picks twins and oddities (Yang et al. 2017, arXiv:1706.04737).

Every block is read once, and of an image only numbers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tedm.errors import TedmError
from tedm.heads.active.coverage import Cover, described
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.predict import predict
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule
from tedm.store import Arithmetic, Block, Features, FeatureSettings, Labels, Storage
from tedm.store.fingerprints import Pictures
from tedm.store.splits import held_back, labelled_images

RankBy = Literal["entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"]

PEAK = 0.1  # of the pixels: the most uncertain tenth
NEAR = 2  # pixels from a predicted border, at feature resolution


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
        raise TedmError(f"there is no score {by!r} to rank by; choose one of {', '.join(get_args(RankBy))}")
    labels = features.labels
    pool = candidates(features, segmenter) if names is None else _unlearned(features, segmenter, names)
    if top is not None and not 0 < top <= len(pool):
        raise TedmError(f"cannot choose the first {top} of {len(pool)} images: ask for 1 to {len(pool)}")
    segmenter.require(features, timesteps, what=what)
    known = _known(features, segmenter)
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
    watched = _Watched(features, np.full((len(pool), channels), np.nan, np.float32))
    scores = np.zeros((len(pool), len(_OF_PIXELS)))
    predictions = predict(
        watched, {"head": segmenter}, pool, rule=rule, timesteps=timesteps, memory=memory, what=what, uncertainty=True
    )
    for done, prediction in enumerate(predictions, 1):
        assert prediction.entropy is not None  # both were asked for
        assert prediction.disagreement is not None
        scores[done - 1] = _scores(prediction.mask, prediction.entropy, prediction.disagreement)
        if progress is not None:
            progress(done, len(pool))
    of_known = [described(block) for block in features.blocks(known, used)]
    cover = Cover(watched.descriptors, np.array(of_known, np.float32).reshape(-1, channels))
    columns = dict(zip(_OF_PIXELS, scores.T, strict=True)) | {"distance": cover.distance, "cover": cover.gains}
    order = np.argsort(-columns[by], kind="stable")
    if diverse:
        weights = np.ones(len(pool)) if by == "cover" else columns[by]
        first = cover.chosen(weights, labels.group_of(pool), labels.group_of(known), top or len(pool))
        order = np.array([*first, *(index for index in order if index not in set(first))])
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


def candidates(
    features: Features, segmenter: Segmenter, *, split: str | None = None, domain: str | None = None, labelled: bool = False
) -> list[str]:
    """The images that could be annotated next.

    Parameters
    ----------
    features : Features
        A store, say; of its images those that are asked for are read, to compare them with what the head has seen.
    segmenter : Segmenter
        What it has learned from is left out, and what it was chosen on with its groups.
    split, domain : str or None
        Only images of these. A split of None leaves out val and test, which must not be learned from, and their groups.
    labelled : bool
        Images with a mask, too: for studies, which know what they would get.

    Raises
    ------
    TedmError
        If there are none.
    """
    labels = features.labels
    asked = labels.select(split=split, domain=domain)
    left_out = {
        "have masks (--all ranks them, too)": set() if labelled else set(labelled_images(labels, split=None, domain=None)),
        "or their groups are of val or test (--split ranks one)": held_back(labels, ("val", "test") if split is None else ()),
    }
    remaining = [name for name in asked if not any(name in names for names in left_out.values())]
    seen = _seen(features, segmenter, remaining or asked)
    remaining = [name for name in remaining if name not in seen]
    if not remaining:
        counts = {why: sum(name in names for name in asked) for why, names in ({"were learned from": seen} | left_out).items()}
        raise TedmError(
            f"there is no image to annotate next: of {len(asked)}, "
            + ", ".join(f"{count} {why}" for why, count in counts.items() if count)
        )
    return remaining


def _seen(features: Features, segmenter: Segmenter, names: Sequence[str]) -> set[str]:
    """Return which of the images must not be learned from next.

    Others of a group that was learned from may be (another slice of the same patient), others of a group that something was
    chosen on may not.
    """
    pictures = Pictures(features)
    learned_from = pictures.matches(names, segmenter.provenance.learned_from, groups=False)
    return {match.name for match in (*learned_from, *pictures.matches(names, segmenter.provenance.chosen_on))}


def _known(features: Features, segmenter: Segmenter) -> list[str]:
    """Return the images of the features that the head has learned from or was chosen on, under the names that it knows."""
    seen, there = (*segmenter.provenance.learned_from, *segmenter.provenance.chosen_on), set(features.labels.names)
    names = dict.fromkeys(one.name for one in seen if one.name in there)
    return [match.name for match in Pictures(features).matches(list(names), seen, groups=False)]


def _unlearned(features: Features, segmenter: Segmenter, names: Sequence[str]) -> list[str]:
    seen = _seen(features, segmenter, names)
    remaining = [name for name in names if name not in seen]
    if not remaining:
        raise TedmError(f"there is nothing to rank: the head has learned from all of the {len(names)} images")
    return remaining


_OF_PIXELS = ("entropy", "disagreement", "peak", "border", "elsewhere")


def _scores(mask: NDArray[np.uint8], entropy: NDArray[np.float64], disagreement: NDArray[np.float64]) -> list[float]:
    """What `_OF_PIXELS` names, from arrays of shape (size, size)."""
    most = max(1, round(PEAK * entropy.size))
    peak = np.partition(entropy.ravel(), -most)[-most:]
    near = _near_a_border(mask)
    border, elsewhere = (float(entropy[part].mean()) if part.any() else 0.0 for part in (near, ~near))
    return [float(entropy.mean()), float(disagreement.mean()), float(peak.mean()), border, elsewhere]


def _near_a_border(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels at most `NEAR` from one of another class: those on either side of a border are at 1."""
    near = np.zeros(mask.shape, bool)
    for axis in range(2):
        change = np.diff(mask, axis=axis) != 0
        one, other = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
        if axis == 1:
            one, other = one[::-1], other[::-1]
        near[one] |= change
        near[other] |= change
    return np.asarray(ndimage.binary_dilation(near, iterations=NEAR - 1))


class _Watched:
    """Features that describe each image whose block passes, so that no block is read for its descriptor alone."""

    def __init__(self, features: Features, descriptors: NDArray[np.float32]) -> None:
        self._features = features
        self.descriptors = descriptors

    @property
    def settings(self) -> FeatureSettings:
        return self._features.settings

    @property
    def arithmetic(self) -> Arithmetic:
        return self._features.arithmetic

    @property
    def storage(self) -> Storage:
        return self._features.storage

    @property
    def labels(self) -> Labels:
        return self._features.labels

    @property
    def reads_ahead(self) -> bool:
        return self._features.reads_ahead

    @property
    def chunk_channels(self) -> int:
        return self._features.chunk_channels

    def image(self, name: str) -> NDArray[np.float32]:
        return self._features.image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        return self._features.mask(name)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        for index, block in enumerate(self._features.blocks(names, timesteps, levels)):
            self.descriptors[index] = described(block)
            yield block
