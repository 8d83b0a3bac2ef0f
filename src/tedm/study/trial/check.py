"""Whether a study can be done, all that can be told before any fit: images, val images, timesteps, settings, weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tedm.errors import TedmError, raise_listed
from tedm.heads import require_pixels, require_timesteps, training_subset, weights_by_index
from tedm.store import Features, Labels
from tedm.store.splits import images_to_learn_from, labelled_images, require_apart, seen_by_label
from tedm.study.trial.spec import MethodAsked, Study
from tedm.study.trial.weights import require_weights
from tedm.text import counted, shown


def require_possible(
    study: Study, labels: Labels, timesteps: Sequence[int], views: int, images: tuple[int, int] | None = None
) -> None:
    """Refuse a study that some unit could not be done of, before any is.

    Parameters
    ----------
    study : Study
    labels : Labels
        Of its images.
    timesteps : sequence of int
        Of its features.
    views : int
        How many its features have, or are to have, of each training image.
    images : tuple of (channels, pixels a side), or None
        What its images are; None compares no weights with them.

    Raises
    ------
    TedmError
        One that lists all that is wrong.
    """
    problems: list[str] = []
    try:
        candidates = images_to_learn_from(labels, split=study.learn.split, domain=study.learn.domain)
    except TedmError as error:
        candidates = []
        problems.append(f"learn: {error}")
    scored: set[str] = set()
    for number, each in enumerate(study.score, 1):
        try:
            names = labels.select(split=each.split, domain=each.domain, labelled=True)
        except TedmError as error:
            problems.append(f"score {number}: {error}")
            continue
        if twice := scored.intersection(names):
            problems.append(
                f"score {number}: {shown(min(twice))} is scored by another [[score]] too; each image is scored once"
            )
        scored.update(names)
        seen = seen_by_label(labels, candidates, names)
        if seen is not None:
            problems.append(f"score {number}: {seen}; a score on it says nothing of others: choose another split or domain")
        if each.volumes is not None and all(labels.volume_of(name) is None for name in names):
            problems.append(f"score {number}: volumes is for slices of volumes, and these are pictures; leave it out")
        if each.volumes is not None and not study.path(each.volumes).exists():
            problems.append(f"score {number}: {study.path(each.volumes)} does not exist; name the volumes' masks with volumes")
    for method in study.methods:
        problems += [f"{method.label}: {problem}" for problem in _problems_of(study, method, labels, timesteps, views, images)]
    if candidates:
        problems += _sizes(study, labels, candidates)
    raise_listed(f"{study.source} cannot be done with these features", problems)


def require_unseen(study: Study, features: Features) -> None:
    """Refuse a study that would score on pictures or patients that it learns from; each image is read once.

    Raises
    ------
    TedmError
        See `tedm.store.splits.require_apart`.
    """
    labels, learn = features.labels, study.learn
    chooses = any(needs_val(method) for method in study.methods)
    scored = {name: None for each in study.score for name in labelled_images(labels, split=each.split, domain=each.domain)}
    parts = {
        "learned from": images_to_learn_from(labels, split=learn.split, domain=learn.domain),
        "chosen on": labelled_images(labels, split="val", domain=learn.domain) if chooses else [],
        "scored on": list(scored),
    }
    require_apart(features, parts)


def _problems_of(
    study: Study, method: MethodAsked, labels: Labels, timesteps: Sequence[int], views: int, images: tuple[int, int] | None
) -> Iterator[str]:
    """Yield what keeps a method's units from being done."""
    try:
        require_timesteps(method.settled(), timesteps)
        require_weights(study, method, images)
        require_pixels(method.pixels_per_image)
        if labels.classes:
            weights_by_index(method.class_weight, labels.classes)
    except (TedmError, TypeError) as error:
        yield str(error)
        return
    if method.settled().views > views:
        wanted = method.settled().views
        yield (
            f"it learns from {counted(wanted, 'view')} of each image, and the features have {views or 'none'}: write "
            f"views = {wanted} under [features], or views = {views} for the method"
        )
    domain = study.learn.domain
    if needs_val(method) and not labelled_images(labels, split="val", domain=domain):
        where = "" if domain is None else f" of domain {domain!r}"
        yield f"it needs labelled images of split 'val'{where}, and there are none; add some with tedm-label"


def needs_val(method: MethodAsked) -> bool:
    """Tell whether val images decide something in a method's fits."""
    return method.unfitted().needs_validation() or method.settled().vote == "learned" or method.calibrate


def _sizes(study: Study, labels: Labels, candidates: list[str]) -> Iterator[str]:
    """Yield what is wrong with the largest size of the study, and of each method that has its own."""
    for where, sizes in {
        "sizes": study.sizes,
        **{f"{method.label}: sizes": method.sizes for method in study.methods if method.sizes is not None},
    }.items():
        n = max(sizes or (1,))
        asked = {"images": None, "groups": n} if study.counts == "groups" else {"images": n, "groups": None}
        try:
            training_subset(labels, candidates, images=asked["images"], groups=asked["groups"], seed=0)
        except TedmError as error:
            yield f"{where}: {error}"
