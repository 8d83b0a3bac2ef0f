"""Between a manifest and a store: which images a run takes, how they enter, and what is replaced of those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone
from tedm.extract.images import Legend, Manifest, ManifestEntry, VolumeOptions, read_manifest
from tedm.extract.images.slices.ranges import with_statistics
from tedm.extract.live import square_mask
from tedm.store import FeatureSettings, FeatureStore, Labels, Location, Registration
from tedm.store.labelling import PackedMask
from tedm.store.splits import require_whole_groups
from tedm.store.volumes.normalisation import Brain, Normalisation
from tedm.store.volumes.volume import NO_SLICE
from tedm.text import listed


def whole_images(path: Location) -> Labels | None:
    """Return what the store at `path` knows of its whole images, which need not be opened again; None without a store.

    A slice is whole if all slices of its volume are: a volume is opened, or not.
    """
    if not FeatureStore.is_store(path):
        return None
    store = FeatureStore.open(path)
    missing, labels = set(store.missing()), store.labels
    partly = {labels.slice_of(name).volume for name in missing} - {NO_SLICE.volume}
    whole = [
        at
        for at, name in enumerate(labels.names)
        if name not in missing and (not labels.slices or labels.slices[at].volume not in partly)
    ]
    return Labels(
        names=tuple(labels.names[at] for at in whole),
        splits=tuple(labels.splits[at] for at in whole),
        groups=tuple(labels.groups[at] for at in whole),
        domains=tuple(labels.domains[at] for at in whole),
        original_sizes=tuple(labels.original_sizes[at] for at in whole),
        labelled=tuple(labels.labelled[at] for at in whole),
        classes=labels.classes,
        volumes=labels.volumes,
        slices=tuple(labels.slices[at] for at in whole) if labels.slices else (),
    )


def normalisation_of(path: Location) -> Normalisation | None:
    """Return the normalisation of the store at `path`; None without a store, and of a store that has none."""
    return FeatureStore.open(path).settings.normalisation if FeatureStore.is_store(path) else None


def settled(normalisation: Normalisation, manifest: Manifest, of_store: Normalisation | None) -> Normalisation:
    """Return a normalisation with all that it needs.

    Parameters
    ----------
    normalisation : Normalisation
        As it was asked for.
    manifest : Manifest
        Says where the brain is, and who is a training patient.
    of_store : Normalisation or None
        That of the store that is continued: its numbers stay, whoever is added.

    Raises
    ------
    TedmError
        If mean and deviation are to be computed, and no volume is of the split `train`, or one cannot be read.
    """
    of_masks: Brain | None = "mask" if normalisation.brain == "all" and any(entry.brain for entry in manifest.entries) else None
    brain = manifest.options.brain or of_masks or normalisation.brain
    asked = replace(normalisation, brain=brain)
    if asked.method != "zscore" or asked.means:
        return asked
    if of_store is not None:
        kept = replace(asked, means=of_store.means, deviations=of_store.deviations, patients=of_store.patients)
        return kept if kept == of_store else asked
    return with_statistics(asked, manifest.entries)


def name_classes(store: FeatureStore, manifest: Manifest) -> None:
    """Write what a manifest calls the store's classes, if it says something."""
    said = manifest.class_names, manifest.class_colours
    if manifest.class_names and manifest.classes == store.labels.classes and said != _legend(store):
        store.name_classes(*said)


def _legend(store: FeatureStore) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return store.labels.class_names, store.labels.class_colours


def share_of(manifest: Manifest, shard: tuple[int, int] | None) -> list[int]:
    """Return positions of the images that a run takes: all of them, or those of shard i of n; a volume's go to one shard.

    Raises
    ------
    TedmError
        If there is no such shard.
    """
    first, count = (0, 1) if shard is None else shard
    if count < 1 or not 0 <= first < count:
        raise TedmError(f"there is no shard {first}/{count}; write i/n with i from 0 to n - 1")
    units: dict[str, int] = {}
    of = [units.setdefault(entry.volume.name if entry.volume else f"/{entry.name}", len(units)) for entry in manifest.entries]
    return [at for at, unit in enumerate(of) if unit % count == first]


def relabel(
    store: FeatureStore,
    source: Path,
    *,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    threshold: int | None = None,
    strict: bool = False,
    legend: Legend | None = None,
) -> Manifest:
    """Replace masks, splits, groups and domains of images that a store has; activations stay as they are.

    Parameters
    ----------
    store : FeatureStore
        Its images that are not named keep what they have; those that are given no mask keep theirs.
    source, classes, ignore, threshold, strict, legend
        See `read_manifest`; `classes` where the new masks do not hold all of them. Images are not opened, only masks.

    Returns
    -------
    Manifest
        What was read.

    Raises
    ------
    TedmError
        For a manifest that cannot be used or says nothing, an image that is not in the store, masks that stay and have other
        classes, or a group that would be in two splits.
    """
    manifest = read_manifest(
        source,
        classes=classes,
        ignore=ignore,
        threshold=threshold,
        strict=strict,
        only_masks_of=store.labels,
        options=VolumeOptions.of(store.settings),
        legend=legend or Legend(),
    )
    if not manifest.class_names and not any(map(tells_something, manifest.entries)):
        nothing = (
            f"{source} says nothing of the images in {store.path}: no mask, split, group or domain, so nothing would change; "
            "name masks in the column mask of a manifest, or lay masks/ beside images/ under the same names"
        )
        raise TedmError("\n  ".join([nothing, *manifest.remarks]))
    require_whole_groups(store.labels, ((entry.name, entry.group, entry.split) for entry in manifest.entries))
    store.relabel(registrations(manifest, store.settings), manifest.classes or ())
    name_classes(store, manifest)
    return manifest


def tells_something(entry: ManifestEntry) -> bool:
    """Whether a manifest says something of an image that a store may know otherwise: its mask, or one of its labels."""
    said = {"split": entry.split, "group": entry.group, "domain": entry.domain}
    return entry.mask is not None or any(value for column, value in said.items() if column not in entry.unsaid)


def registrations(manifest: Manifest, settings: FeatureSettings, *, skip: set[str] | None = None) -> list[Registration]:
    """Return a manifest's images as a store takes them, their masks at feature resolution."""
    return [
        Registration(
            entry.name,
            entry.split,
            entry.group,
            entry.domain,
            entry.size,
            None if (mask := square_mask(manifest, entry, settings)) is None else PackedMask(mask),
            entry.source,
            entry.volume,
            entry.slice,
        )
        for entry in manifest.entries
        if entry.name not in (skip or ())
    ]


def require_images_as_trained(backbone: Backbone, channels: Sequence[str], normalisation: Normalisation | None) -> list[str]:
    """Refuse channels in another order than the backbone was trained on, and say if intensities are made otherwise.

    Parameters
    ----------
    backbone : Backbone
        Where it says nothing of its images, nothing is compared.
    channels : sequence of str
        The columns that are modalities; empty if none were named.
    normalisation : Normalisation or None

    Returns
    -------
    list of str

    Raises
    ------
    TedmError
        If the channels' names are not those of the backbone, in its order.
    """
    theirs = backbone.channel_names
    if theirs and tuple(channels) != theirs:
        given = f"--channels {','.join(channels)} are others" if channels else "no channels are named here"
        raise TedmError(
            f"the backbone was trained on the channels {listed(theirs)}, in this order, and {given}: "
            f"give --channels {','.join(theirs)}"
        )
    method = "none" if normalisation is None else normalisation.method
    if backbone.intensities and method != backbone.intensities:
        return [f"the backbone was trained with --normalise {backbone.intensities}, and these images have {method}"]
    return []
