"""What a run over a folder of images has to do: its images, its places, and all that is refused before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract import as_read, labels_of, read_manifest, whole_images
from tedm.extract.images import NO_OPTIONS, Manifest, VolumeOptions
from tedm.files import place_of
from tedm.heads import first_groups
from tedm.store import FeatureStore, Labels
from tedm.store.splits import labelled_images
from tedm.text import counted, listed

MOST = 3  # names in a message


@dataclass(frozen=True)
class Places:
    """Where things lie in the folder of a run.

    Parameters
    ----------
    out : Path
    """

    out: Path

    @property
    def features(self) -> Path:
        """The store."""
        return self.out / "features"

    @property
    def head(self) -> Path:
        """The head."""
        return self.out / "head"

    @property
    def scores(self) -> Path:
        """The head's scores on the test images, with examples."""
        return self.out / "scores"

    @property
    def volume_scores(self) -> Path:
        """The head's scores on the test volumes, whole and at their own resolution: a CSV."""
        return self.out / "volumes.csv"

    @property
    def masks(self) -> Path:
        """The masks that the head makes."""
        return self.out / "masks"

    @property
    def report(self) -> Path:
        """The scores as one page."""
        return self.out / "report.html"

    @property
    def record(self) -> Path:
        """Which head the scores and the masks are of."""
        return self.out / "run.json"

    def require_own(self) -> None:
        """Refuse a folder that has something else than what a run leaves there."""
        place = place_of(self.out)
        if place.exists() and not place.is_dir():
            raise TedmError(f"{self.out} is a file; name a folder for what is made of the images")
        made_here = (self.features, self.head, self.scores, self.volume_scores, self.masks, self.report, self.record)
        own = {path.name for path in made_here}
        others = sorted(each.name for each in place.iterdir() if each.name not in own) if place.is_dir() else []
        if others := [name for name in others if not name.startswith(".")]:
            raise TedmError(f"{self.out} has something else in it ({listed(others, most=MOST)}); name a folder of its own")
        made = [path.name for path in (self.scores, self.masks) if path.exists()]
        if made and not self.record.exists():
            what = f"{' and '.join(made)}, and no {self.record.name} that says of which head"
            raise TedmError(f"{self.out} has {what}; name a folder of its own")


def read_images(
    images: Path,
    places: Places,
    *,
    train: int | None = None,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    threshold: int | None = None,
    options: VolumeOptions = NO_OPTIONS,
) -> Manifest:
    """Read which images there are, and refuse those that no head can be learned from or that are others than the folder's.

    Parameters
    ----------
    images : Path
        A manifest or a folder.
    places : Places
    train : int or None
        Learn from the labelled images of so many groups (patients), drawn with seed 0, whatever their split: all other labelled
        images are for testing then. None takes the splits as they are.
    classes, ignore, threshold, options
        See `tedm.extract.read_manifest`.

    Returns
    -------
    Manifest

    Raises
    ------
    TedmError
        If there is no labelled image to learn from, or the folder is of other images or of other training images.
    """
    if not images.exists() and places.out.is_dir() and any(places.out.iterdir()) and not _is_run(places):
        raise TedmError(f"{images} does not exist; if {places.out} has the images, they come first: {places.out} {images}")
    places.require_own()
    manifest = read_manifest(
        images,
        classes=classes,
        ignore=ignore,
        threshold=threshold,
        known=whole_images(places.features),
        as_read=as_read(places.features),
        options=options,
    )
    labels = labels_of(manifest)
    if train is not None:
        manifest = _with_training_groups(manifest, labels, train, images)
        labels = labels_of(manifest)
    if not labelled_images(labels, split="train", domain=None):
        raise TedmError(_nothing_to_learn_from(labels, images))
    if manifest.classes is not None and len(manifest.classes) < 2:
        only = f" (mask value {manifest.classes[0]})" if manifest.classes else ""
        raise TedmError(
            f"all labelled pixels of the masks in {images} are of one class{only}; a head needs two at least: add masks that "
            "show another"
        )
    if FeatureStore.is_store(places.features):
        _require_same_images(FeatureStore.open(places.features).labels, labels, images, places)
    return manifest


def _is_run(places: Places) -> bool:
    return places.features.exists() or places.record.exists()


def rest_of(labels: Labels) -> list[str]:
    """Return the images whose masks are to be made: those without one, and those for testing; volumes whole."""
    keys = [volume.name if (volume := labels.volume_of(name)) else name for name in labels.names]
    rows = list(zip(keys, labels.names, labels.splits, labels.labelled, strict=True))
    labelled = {key for key, _, split, pixels in rows if pixels and split != "test"}
    return [name for key, name, _, _ in rows if key not in labelled]


def _with_training_groups(manifest: Manifest, labels: Labels, train: int, images: Path) -> Manifest:
    """Move the labelled images of so many groups to the split train, and all others that are labelled to test."""
    labelled = labelled_images(labels, split=None, domain=None)
    groups = [group or name for name, group in zip(labelled, labels.group_of(labelled), strict=True)]
    there = len(set(groups))
    if not 1 <= train <= there:
        what = f"there are {there} with labelled images" if there else "no image has a mask"
        raise TedmError(
            f"--train {train}: of the patients in {images}, {what}; give 1 to {there}"
            if there
            else f"--train {train}: {what} in {images}, so there is nothing to learn from"
        )
    chosen = set(first_groups(labelled, groups, train, 0))
    learned = {group for name, group in zip(labelled, groups, strict=True) if name in chosen}
    split = {name: "train" if group in learned else "test" for name, group in zip(labelled, groups, strict=True)}
    entries = [
        replace(entry, split=split.get(entry.name, "train" if (entry.group or entry.name) in learned else ""))
        for entry in manifest.entries
    ]
    return replace(manifest, entries=tuple(entries))


def _nothing_to_learn_from(labels: Labels, images: Path) -> str:
    labelled = labelled_images(labels, split=None, domain=None)
    if not labelled:
        return (
            f"no image in {images} has a mask, so there is nothing to learn from; name masks in the column mask of a manifest, "
            "or lay them in masks/ beside images/ under the same names"
        )
    splits = sorted({split or "no split" for name, split in zip(labels.names, labels.splits, strict=True) if name in labelled})
    there = f"{counted(len(labelled), 'labelled image')} {'is' if len(labelled) == 1 else 'are'} of {' and '.join(splits)}"
    return (
        f"no labelled image in {images} is of the split train, so there is nothing to learn from: {there}; --train N learns "
        "from the images of N patients and tests on all others"
    )


def _require_same_images(there: Labels, asked: Labels, images: Path, places: Places) -> None:
    strange = [name for name in there.names if name not in set(asked.names)]
    if strange:
        raise TedmError(
            f"{places.out} is of other images: {counted(len(strange), 'image')} in it are not in {images} "
            f"({listed(strange, most=MOST)}); name another folder"
        )
    known = set(there.names)
    before = set(labelled_images(there, split="train", domain=None))
    now = set(labelled_images(asked, split="train", domain=None)) & known
    if before != now:
        raise TedmError(
            f"{places.out} learns from other images than are asked for now ({listed(sorted(before ^ now), most=MOST)} differ); "
            f"tedm-label {places.features} {images} takes masks and splits that came since, and the same command goes on "
            "then; or repeat --train as it was, or name another folder"
        )
