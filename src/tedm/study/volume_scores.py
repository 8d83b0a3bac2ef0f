"""Heads scored on whole volumes, at the volumes' own resolution, against the masks' own files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract import Manifest, read_manifest
from tedm.extract.images import ManifestEntry, Rows, VolumeOptions
from tedm.heads import (
    HERE,
    Cleaning,
    Record,
    Segmenter,
    VolumeMasks,
    VotingRule,
    Workers,
    evaluate_volumes,
    predict,
    unseen_images,
)
from tedm.store import Features
from tedm.study.masks.edges import masks_along_edges
from tedm.study.originals import Originals
from tedm.study.stages import Log, mute
from tedm.study.volumes import WholeVolume, assembled, counted_by, whole_volumes
from tedm.text import counted


def score_volumes(
    features: Features,
    heads: Mapping[str, Segmenter],
    truth: Path,
    *,
    ignore: int | None = None,
    split: str | None,
    domain: str | None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
    cleaning: Cleaning | None = None,
    distances: bool = False,
    tolerance: float | None = None,
    edges: bool = False,
    log: Log = mute,
) -> list[Record]:
    """Score heads on the labelled volumes of a split and a domain; one volume is in memory at a time.

    Parameters
    ----------
    features, heads, split, domain, rule, timesteps, memory, workers, what, cleaning
        See `tedm.heads.evaluate`.
    truth : Path
        A manifest, a folder or a data set with the volumes' masks.
    ignore : int or None
        The masks' value for voxels without a label.
    progress : callable (done, all) or None
        Called after each slice and head.
    distances, tolerance
        See `tedm.heads.evaluate_volumes`.
    edges : bool
        Whether masks follow the edges of the volumes' own slices, which the manifest names beside their masks; methods are
        called `+edges` then.
    log : callable
        Takes a remark on pictures that are left out.

    Returns
    -------
    list of Record
        Of the resolution "volume".

    Raises
    ------
    TedmError
        As `tedm.heads.evaluate` does, or if slices of a volume are not in the store, its mask is not at hand, or the mask is
        that of another volume or has other classes.
    """
    names = unseen_images(features, heads, split=split, domain=domain)
    labels = features.labels
    of_volumes = {labels.slice_of(name).volume for name in names} - {-1}
    if not of_volumes:
        raise TedmError(f"{what} has no labelled volume of this split and domain; leave out --volumes to score pictures")
    if pictures := sum(labels.volume_of(name) is None for name in names):
        log(f"note: {counted(pictures, 'labelled picture')} of {what} left out: --volumes scores volumes")
    every = [labels.names[at] for position in sorted(of_volumes) for at in labels.positions_in(position)]
    volumes = whole_volumes(labels, every, what=what)
    manifest = read_manifest(
        truth,
        classes=labels.classes,
        ignore=ignore,
        only_masks_of=labels,
        options=VolumeOptions.of(features.settings),
    )
    masks = _masks_of(manifest, volumes, truth)
    mask_of = masks_along_edges(features.settings.geometry, _images_of(features, truth)) if edges else None

    def compared() -> Iterator[VolumeMasks]:
        slices = [name for whole in volumes for name in whole.names]
        predictions = predict(
            features, heads, slices, rule=rule, timesteps=timesteps, memory=memory, workers=workers, what=what
        )
        if progress is not None:
            predictions = counted_by(progress, len(slices) * len(heads), predictions)
        known: dict[str, NDArray[np.uint8]] = {}
        for volume in assembled(predictions, volumes, features, heads=len(heads), mask_of=mask_of):
            if volume.name not in known:
                known = {volume.name: _truth(manifest, masks[volume.name], volume.whole)}
            yield VolumeMasks(
                volume.name,
                volume.head,
                volume.whole.names[0],
                known[volume.name],
                volume.mask,
                volume.spacing,
                volume.cell,
            )
        for _ in predictions:  # none is left, and the last one is counted
            pass

    records = evaluate_volumes(
        labels,
        heads,
        compared(),
        rule=rule,
        timesteps=None if timesteps is None else tuple(timesteps),
        cleaning=cleaning,
        distances=distances,
        tolerance=tolerance,
    )
    return [replace(record, method=f"{record.method}+edges") for record in records] if edges else records


def _images_of(features: Features, truth: Path) -> Callable[[str], Rows]:
    """Return what reads a slice at its own size; whether it is the features' is looked at slice by slice."""
    images = read_manifest(truth, known=features.labels, options=VolumeOptions.of(features.settings))
    return Originals(images, features).whole


def _masks_of(manifest: Manifest, volumes: Sequence[WholeVolume], truth: Path) -> dict[str, dict[int, ManifestEntry]]:
    """Return the manifest's slices of each volume, by their indices; refuse volumes without a mask there."""
    found: dict[str, dict[int, ManifestEntry]] = {}
    for entry in manifest.entries:
        if entry.volume is not None and entry.mask is not None:
            found.setdefault(entry.volume.name, {})[entry.slice.index] = entry
    raise_listed(
        f"{truth} has no mask of volumes that are to be scored; name their masks there, or choose another --split or --domain",
        [whole.volume.name for whole in volumes if whole.volume.name not in found],
    )
    return found


def _truth(manifest: Manifest, slices: Mapping[int, ManifestEntry], whole: WholeVolume) -> NDArray[np.uint8]:
    """Return a volume's class indices of shape (slices, height, width), in the order of the slices; 255 without a label."""
    return np.stack([manifest.read_whole_mask(slices[index]) for index in whole.volume.indices])
