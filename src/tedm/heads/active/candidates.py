"""Which images could be annotated next: those that a head has not seen and that are not held back for a score."""

from __future__ import annotations

from collections.abc import Sequence

from tedm.errors import TedmError
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.store import Features
from tedm.store.fingerprints import Pictures
from tedm.store.splits import held_back, labelled_images


def candidates(
    features: Features, segmenter: Segmenter, *, split: str | None = None, domain: str | None = None, labelled: bool = False
) -> list[str]:
    """Return the images that could be annotated next.

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


def unseen_among(features: Features, segmenter: Segmenter, names: Sequence[str]) -> list[str]:
    """Return those of some images that the head has not seen; refuse if there are none."""
    seen = _seen(features, segmenter, names)
    remaining = [name for name in names if name not in seen]
    if not remaining:
        raise TedmError(f"there is nothing to rank: the head has learned from all of the {len(names)} images")
    return remaining


def known_images(features: Features, segmenter: Segmenter) -> list[str]:
    """Return the images of the features that the head has learned from or was chosen on, under the names that it knows."""
    seen, there = segmenter.provenance.seen, set(features.labels.names)
    names = dict.fromkeys(image.name for image in seen if image.name in there)
    return [match.name for match in Pictures(features).matches(list(names), seen, groups=False)]


def _seen(features: Features, segmenter: Segmenter, names: Sequence[str]) -> set[str]:
    """Return which of the images must not be learned from next.

    Others of a group that was learned from may be (another slice of the same patient), others of a group that something was
    chosen on may not.
    """
    pictures = Pictures(features)
    learned_from = pictures.matches(names, segmenter.provenance.learned_from, groups=False)
    return {match.name for match in (*learned_from, *pictures.matches(names, segmenter.provenance.chosen_on))}
