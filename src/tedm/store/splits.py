"""Who may be learned from, chosen on and scored on: the one place that decides it.

A score tells something about new patients only if neither the picture nor its patient has taken part in the fit, and a choice
is worth something only on images that were not learned from. `tedm.store.fingerprints` tells whether an image has been seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tedm.errors import TedmError, raise_listed
from tedm.store.features import Features
from tedm.store.fingerprints import Fingerprint, Match, Pictures
from tedm.store.labels import SPLITS, Labels
from tedm.text import shown


def images_to_learn_from(labels: Labels, *, split: str | None, domain: str | None) -> list[str]:
    """Return the labelled images of a split and a domain; None takes all.

    Raises
    ------
    TedmError
        If there is none; the message says what there is.
    """
    return labels.select(split=split, domain=domain, labelled=True)


@dataclass(frozen=True)
class ImagesOfFit:
    """What a head is fitted with: images to learn from, and images that something is chosen on; nobody is in both."""

    learned_from: tuple[Fingerprint, ...]
    chosen_on: tuple[Fingerprint, ...]


def images_of_fit(features: Features, names: Sequence[str], *, domain: str | None, purpose: str | None) -> ImagesOfFit:
    """Return the images of a fit; each is read once.

    Parameters
    ----------
    features : Features
    names : sequence of str
        What the head learns from.
    domain : str or None
        Where images of the split "val" are taken from; None takes all.
    purpose : str or None
        What these are for, as the beginning of "... needs labelled images"; None takes none.

    Raises
    ------
    TedmError
        As `images_to_choose_on` does.
    """
    pictures = Pictures(features)
    learned_from = pictures.fingerprints(names)
    chosen_on = [] if purpose is None else _chosen(pictures, features, learned_from, "val", domain, purpose)
    return ImagesOfFit(tuple(learned_from), tuple(chosen_on))


def images_to_choose_on(
    features: Features, learned: Sequence[Fingerprint], *, split: str | None, domain: str | None, purpose: str
) -> list[Fingerprint]:
    """Return labelled images to stop by, to choose by, or to fit a vote or a temperature on.

    Parameters
    ----------
    features : Features
    learned : sequence of Fingerprint
        What the classifier learns from.
    split, domain : str or None
        Where the images are taken from; None takes all.
    purpose : str
        What they are for, as the beginning of "... needs labelled images".

    Raises
    ------
    TedmError
        If there is none, or one of them counts as seen; see `Pictures.matches`.
    """
    return _chosen(Pictures(features), features, learned, split, domain, purpose)


def _chosen(
    pictures: Pictures,
    features: Features,
    learned: Sequence[Fingerprint],
    split: str | None,
    domain: str | None,
    purpose: str,
) -> list[Fingerprint]:
    place = f" of split {split!r}" * (split is not None) + f" of domain {domain!r}" * (domain is not None)
    names = labelled_images(features.labels, split=split, domain=domain)
    if not names:
        raise TedmError(
            f"{purpose} needs labelled images{place}, and there are none; add some with tedm-label, or leave it out"
        )
    matches = pictures.matches(names, learned)
    if matches:
        raise TedmError(
            f"{purpose} needs images{place} that the head does not learn from; it learns from {_counted(matches)}; "
            "learn from another split, or move images or whole groups to one split with tedm-label"
        )
    return pictures.fingerprints(names)


def images_to_score_on(
    features: Features, seen: Mapping[str, Sequence[Fingerprint]], *, split: str | None, domain: str | None
) -> list[str]:
    """Return the labelled images of a split and a domain, of which no head may have seen one.

    Parameters
    ----------
    features : Features
    seen : mapping of str to sequence of Fingerprint
        For each head, by its name in messages, what it has learned from or was chosen on. Each image is read once for all.
    split, domain : str or None
        None takes all.

    Raises
    ------
    TedmError
        If there is none, or one of them counts as seen; see `Pictures.matches`.
    """
    names = features.labels.select(split=split, domain=domain, labelled=True)
    pictures = Pictures(features)
    for head, fingerprints_seen in seen.items():
        matches = pictures.matches(names, fingerprints_seen)
        if matches:
            raise TedmError(
                f"the head {head} has learned from, or was chosen on, {_counted(matches)}; "
                f"a score on them would mean nothing: choose another --split{_remedy_for_names(matches)}"
            )
    return names


def labelled_images(labels: Labels, *, split: str | None, domain: str | None) -> list[str]:
    """Return the labelled images of a split and a domain, or an empty list; None takes all."""
    rows = zip(labels.names, labels.splits, labels.domains, labels.labelled, strict=True)
    return [
        name
        for name, its_split, its_domain, pixels in rows
        if pixels and split in (None, its_split) and domain in (None, its_domain)
    ]


def require_apart(features: Features, parts: Mapping[str, Sequence[str]]) -> None:
    """Refuse parts of some features that share an image, a picture or a group.

    Parameters
    ----------
    features : Features
    parts : mapping of str to sequence of str
        For each use of images ("learned from", say) their names. Each image is read once.

    Raises
    ------
    TedmError
        If an image of a part counts as seen by an earlier part; see `Pictures.matches`.
    """
    pictures = Pictures(features)
    for (use, names), (other_use, others) in combinations(parts.items(), 2):
        matches = pictures.matches(others, pictures.fingerprints(names)) if names and others else []
        if matches:
            raise TedmError(
                f"{_counted(matches, f' are to be {use} and {other_use}')}; "
                "use another split for one of the two, or put each group into one split with tedm-label"
            )


def seen_by_label(labels: Labels, learned_from: Sequence[str], others: Sequence[str]) -> str | None:
    """Say which of other images is learned from by its name or its group, where there are no pictures to compare yet.

    Parameters
    ----------
    labels : Labels
    learned_from, others : sequence of str
        Names.

    Returns
    -------
    str or None
        A clause on the first; None if there is none. Pictures under other names are for `require_apart`, which reads them.
    """
    names, groups = set(learned_from), set(labels.group_of(learned_from)) - {""}
    for name, group in zip(others, labels.group_of(others), strict=True):
        if name in names:
            return f"{shown(name)} is learned from"
        if group in groups:
            return f"{shown(name)} is of the group {shown(group)}, which is learned from"
    return None


def held_back(labels: Labels, splits: Collection[str]) -> set[str]:
    """Return the names of the images of some splits, and of the other images of their groups.

    A patient of the test split is of the test split, whatever is said of another image of theirs.
    """
    rows = list(zip(labels.names, labels.splits, labels.groups, strict=True))
    groups = {group for _, split, group in rows if split in splits and group}
    return {name for name, split, group in rows if split in splits or group in groups}


def require_whole_groups(labels: Labels, changes: Iterable[tuple[str, str, str]]) -> None:
    """Refuse a split for an image of a group whose other images, which are not changed, are in another.

    Parameters
    ----------
    labels : Labels
        As they are.
    changes : iterable of (name, group, split)
        What some images are to have.

    Raises
    ------
    TedmError
        With a line for each group that would be torn apart.
    """
    new = {name: (group, split) for name, group, split in changes}
    old = zip(labels.names, labels.groups, labels.splits, strict=True)
    stays = {(group, split): name for name, group, split in old if name not in new and group and split}
    problems = [
        f"{name}: group {group} would be in {split}, and {stays[group, other]}, of the same group, is in {other}"
        for name, (group, split) in new.items()
        for other in SPLITS
        if split and other != split and (group, other) in stays
    ]
    raise_listed("a group belongs into one split; name its other images too, or give these the split that they have", problems)


def _counted(matches: Sequence[Match], what: str = "") -> str:
    """Say how many images count as seen, which is the first and why."""
    return f"{len(matches)} of these images or their groups{what} (the first: {matches[0].name}): {matches[0].reason}"


def _remedy_for_names(matches: Sequence[Match]) -> str:
    """Say what helps where an older head knows nothing but names."""
    if matches[0].by != "name" or matches[0].seen.group:
        return ""
    return ". The head has recorded names only: if these are other pictures, fit it again, and pictures will be compared"
