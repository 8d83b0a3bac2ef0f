"""What a head was made from: images, settings of the fit, what came of it, and the labels that all this took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import msgspec

from tedm.heads.base.head import FitReport
from tedm.heads.data.sampling import Sampling
from tedm.heads.data.subsets import NCounts, Order
from tedm.jsons import JsonValue
from tedm.store.fingerprints import Fingerprint


@dataclass(frozen=True)
class CrossEntropies:
    """What a change of the vote was worth on the images that it was fitted to: mean cross-entropies in nats."""

    before: float
    after: float


@dataclass(frozen=True)
class Provenance:
    """What a head was made from.

    Parameters
    ----------
    tedm : str
        The version that fitted it.
    learned_from, chosen_on : tuple of Fingerprint
        Training images, and the images by which something was chosen (when to stop, a penalty, weights, a temperature).
    split, domain : str
        Where the training images were taken from; empty for all.
    seed : int
        Of the subset, the weights and the batches.
    pixels_per_image : int or None
        Labelled pixels used of each image; None is all.
    sampling : {"uniform", "balanced", "root", "boundary"}
        How pixels were drawn.
    labels_used : int
        Every labelled image that was looked at to make the head, those that it was chosen on included.
    report : FitReport
        What came of the fit.
    learned_weights, calibration : CrossEntropies or None
        What learned voter weights and a temperature were worth, if they were fitted.
    groups : int or None
        Number of groups (patients) that was asked for; None if none was.
    n_counts : {"images", "groups"}
        What the training size `n` is a number of.
    order : {"seed", "manifest"}
        Whose first images or groups the training images are: a permutation's by `seed`, or the store's own.
    """

    tedm: str
    learned_from: tuple[Fingerprint, ...]
    split: str = ""
    domain: str = ""
    seed: int = 0
    pixels_per_image: int | None = None
    sampling: Sampling = "uniform"
    labels_used: int = 0
    chosen_on: tuple[Fingerprint, ...] = ()
    report: FitReport = field(default_factory=FitReport)
    learned_weights: CrossEntropies | None = None
    calibration: CrossEntropies | None = None
    groups: int | None = None
    n_counts: NCounts = "images"
    order: Order = "seed"

    @property
    def n(self) -> int:
        """The training size: the number of images, or of groups where these were asked for."""
        return self.groups if self.n_counts == "groups" and self.groups is not None else len(self.learned_from)

    @property
    def images(self) -> list[str]:
        """Names of the training images."""
        return [image.name for image in self.learned_from]

    @property
    def validation_images(self) -> list[str]:
        """Names of the images that something was chosen on."""
        return [image.name for image in self.chosen_on]

    @property
    def seen(self) -> tuple[Fingerprint, ...]:
        """Every image that took part, which nothing may be scored on."""
        return (*self.learned_from, *self.chosen_on)

    def __getitem__(self, name: str) -> JsonValue:
        """Return a value by the name that it had while a provenance was a dictionary."""
        return self.to_json()[name]

    def having_chosen_on(self, images: Sequence[Fingerprint]) -> Self:
        """Return the provenance of a head that was chosen on these images as well; labels that were used before count once."""
        new = [image for image in images if not any(image.same_image(other) for other in self.chosen_on)]
        return replace(self, labels_used=self.labels_used + len(new), chosen_on=(*self.chosen_on, *new))

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values; `from_json` is the inverse.

        The names of images stand beside their fingerprints, where versions before fingerprints look for them.
        """
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        roles = {"images": values.pop("learned_from"), "validation_images": values.pop("chosen_on")}
        values |= {role: [image.name for image in images] for role, images in roles.items()}
        values["fingerprints"] = {role: [asdict(image) for image in images] for role, images in roles.items()}
        for name, usual in (("n_counts", "images"), ("order", "seed")):
            if values[name] == usual:  # so that a head says what it said before there was another
                del values[name]
        report: FitReport = values.pop("report")
        values["fit"] = {
            **asdict(report),
            "loss_curve": list(report.loss_curve),
            "validation_curve": list(report.validation_curve),
        }
        return {
            name: asdict(value) if isinstance(value, CrossEntropies) else value
            for name, value in values.items()
            if value is not None or name == "pixels_per_image"
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave, or what an earlier version wrote.

        Raises
        ------
        ValueError
            If a value is missing or of another type; the message says which.
        """
        given = dict(values)
        given["report"] = given.pop("fit") if "fit" in given else _report_of_before(given)
        images = msgspec.convert({each.name: given.pop(each.name) for each in fields(_Images) if each.name in given}, _Images)
        domain = given.get("domain", "")
        given["learned_from"] = _fingerprints(images.images, images.fingerprints.images, domain)
        given["chosen_on"] = _fingerprints(images.validation_images, images.fingerprints.validation_images, "")
        for what, names in _CROSS_ENTROPIES_OF_BEFORE.items():
            earlier = given.get(what)
            if isinstance(earlier, Mapping) and set(names) <= set(earlier):
                given[what] = {"before": earlier[names[0]], "after": earlier[names[1]]}
        return msgspec.convert(given, cls)


# The names under which earlier versions kept them.
_CROSS_ENTROPIES_OF_BEFORE = {
    "learned_weights": ("cross_entropy_of_equal_weights", "cross_entropy"),
    "calibration": ("cross_entropy_before", "cross_entropy_after"),
}


@dataclass(frozen=True)
class _Recorded:
    """A fingerprint as it is written: with all of its parts."""

    name: str
    group: str
    domain: str
    digest: str


@dataclass(frozen=True)
class _Roles:
    """Fingerprints by what the images were for."""

    images: tuple[_Recorded, ...] = ()
    validation_images: tuple[_Recorded, ...] = ()


@dataclass(frozen=True)
class _Images:
    """What is written of images: their names, and fingerprints of those that have one."""

    images: tuple[str, ...] = ()
    validation_images: tuple[str, ...] = ()
    fingerprints: _Roles = field(default_factory=_Roles)


def _fingerprints(names: Sequence[str], recorded: Sequence[_Recorded], domain: str) -> list[dict[str, str]]:
    """Return a fingerprint for each name: heads of before know names, and the domain if they were fitted on one alone."""
    known = {image.name for image in recorded}
    return [
        *(asdict(image) for image in recorded if image.name in names),
        *({"name": name, "domain": domain} for name in names if name not in known),
    ]


def _report_of_before(given: dict[str, object]) -> dict[str, object]:
    """Take what came of the fit out of a provenance of before, where it lay among everything else."""
    own = {each.name for each in fields(Provenance)} | {"images", "validation_images", "fingerprints"}
    rest = {name: given.pop(name) for name in [name for name in given if name not in own]}
    told = [name for name in ("iterations", "loss_curve", "validation_curve", "converged") if name in rest]
    report: dict[str, object] = {name: rest.pop(name) for name in told}
    return report | {"details": rest}
