"""The features of a study: a store that is there, or one that is extracted into the study's folder, as tedm-extract does it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError
from tedm.extract import (
    Backbone,
    Manifest,
    as_read,
    estimate_costs,
    extract,
    extract_views,
    labels_of,
    load_backbone,
    normalisation_of,
    read_manifest,
    settled,
    whole_images,
)
from tedm.extract.backbones import read_config
from tedm.extract.images import VolumeOptions
from tedm.heads import views_of_each
from tedm.store import FeatureStore, Labels, Location
from tedm.store.splits import images_to_learn_from
from tedm.store.volumes.normalisation import Normalisation
from tedm.store.volumes.volume import NO_SLICE, Slice
from tedm.study.stages import Log, Stages, mute, silent
from tedm.study.trial.spec import FeaturesAsked, Study
from tedm.study.trial.units import FEATURES
from tedm.text import counted, shown
from tedm.views import ViewKind


def place_of_features(study: Study, out: Path) -> Location:
    """Return where a study's store is, or is to be."""
    named = study.features.store
    if named is None:
        return out / FEATURES
    return named if "://" in named else study.path(named)


@dataclass(frozen=True)
class Source:
    """Images of a study: what its file calls them, and what they are."""

    said: str
    manifest: Manifest


def sources_of(study: Study, out: Path, log: Log = mute) -> list[Source]:
    """Return the images that a study's store is extracted from, checked; none where the store is named.

    Raises
    ------
    TedmError
        If they cannot be read, or two places have an image of one name.
    """
    asked, place, sources = study.features, place_of_features(study, out), []
    options = VolumeOptions(
        axis=asked.axis,
        channels=asked.channels,
        channels_in_file=asked.channels_in_file,
        brain=asked.brain,
        crop=asked.crop,
        drop_empty=asked.drop_empty,
    )
    owners: dict[str, str] = {}
    for said in asked.sources:
        manifest = read_manifest(
            study.path(said),
            classes=asked.classes,
            ignore=asked.ignore,
            threshold=asked.threshold,
            known=whole_images(place),
            as_read=as_read(place),
            options=options,
        )
        for line in manifest.sentences():
            log(f"{said}: {line}")
        for entry in manifest.entries:
            if (first := owners.setdefault(entry.name, said)) != said:
                raise TedmError(
                    f"an image {shown(entry.name)} is in {first} and in {said}; give one of them another name (column "
                    "`name` of a manifest), or leave it out"
                )
        sources.append(Source(said, manifest))
    return sources


def labels_of_study(study: Study, out: Path, sources: Sequence[Source]) -> Labels:
    """Return what is known of a study's images before anything is extracted: by the store that is whole, else by the files."""
    place = place_of_features(study, out)
    if study.features.store is not None or all(_is_whole(place, source) for source in sources):
        return FeatureStore.open(place).labels
    each = [labels_of(source.manifest) for source in sources]
    volumes = tuple(volume for labels in each for volume in labels.volumes)
    slices: list[Slice] = []
    before = 0
    for labels in each:
        own = labels.slices or (NO_SLICE,) * len(labels)
        slices += [one if one.volume < 0 else replace(one, volume=one.volume + before) for one in own]
        before += len(labels.volumes)
    return Labels(
        names=tuple(name for labels in each for name in labels.names),
        splits=tuple(split for labels in each for split in labels.splits),
        groups=tuple(group for labels in each for group in labels.groups),
        domains=tuple(domain for labels in each for domain in labels.domains),
        original_sizes=tuple(size for labels in each for size in labels.original_sizes),
        labelled=tuple(pixels for labels in each for pixels in labels.labelled),
        volumes=volumes,
        slices=tuple(slices) if volumes else (),
    )


def timesteps_of_study(study: Study, out: Path) -> tuple[int, ...]:
    """Return the timesteps that a study's store has, or is to have."""
    if study.features.store is None:
        return study.features.timesteps
    return FeatureStore.open(place_of_features(study, out)).settings.timesteps


def views_of_study(study: Study, out: Path) -> int:
    """Return how many views each image that may be learned from has, or is to have."""
    if study.features.store is None:
        return study.features.views
    store = FeatureStore.open(place_of_features(study, out))
    if store.view_store() is None:
        return 0
    learn = study.learn
    return views_of_each(store, images_to_learn_from(store.labels, split=learn.split, domain=learn.domain))


def images_of_study(study: Study, out: Path) -> tuple[int, int]:
    """Return the channels, and the pixels a side, of the images that a study's store has, or is to have."""
    if study.features.store is None:
        backbone = backbone_of(study, mute)
        return backbone.image_channels, backbone.image_size
    settings = FeatureStore.open(place_of_features(study, out)).settings
    return settings.image_channels, settings.image_size


def whole_features(
    study: Study,
    out: Path,
    sources: Sequence[Source],
    *,
    shard: tuple[int, int] | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    progress: Stages = silent,
    log: Log = mute,
) -> FeatureStore:
    """Return a study's store, after extracting what is missing of it.

    Parameters
    ----------
    study : Study
    out : Path
        The study's folder.
    sources : sequence of Source
        Of `sources_of`.
    shard : tuple of (i, n), or None
        Extract this part of the images first, then what the others have not extracted by then.
    device, threads
        See `tedm.extract.extract`.
    progress, log
        See `tedm.study.stages`.

    Raises
    ------
    TedmError
        As `tedm.extract.extract` does, or if a store that is named is not there or lacks images.
    """
    place = place_of_features(study, out)
    if study.features.store is not None:
        return _whole(FeatureStore.open(place))
    backbone = backbone_of(study, log)
    for source in sources:
        whole = _is_whole(place, source)
        for part in [None] if whole or shard is None else [shard, None]:
            with progress("extracting") as show:
                _extraction(study, backbone)(
                    source.manifest,
                    place,
                    shard=part,
                    device=device,
                    threads=threads,
                    allow_other_arithmetic=whole,  # nothing is computed then
                    provenance={"checkpoint": Path(str(study.features.checkpoint)).name},
                    progress=show,
                    log=mute if shard is not None and part is None else log,
                )
    if study.features.views:
        for part in [None] if shard is None else [shard, None]:
            with progress("extracting views") as show:
                extract_views(
                    FeatureStore.open(place),
                    backbone,
                    study.features.views,
                    kind=ViewKind(study.features.view_changes, study.features.noise_seed),
                    shard=part,
                    device=device,
                    threads=threads,
                    progress=show,
                )
    return _whole(FeatureStore.open(place))


def extraction_costs(study: Study, out: Path, sources: Sequence[Source]) -> list[str]:
    """Return what the extraction of what is missing will take, in lines; none where nothing is missing.

    Raises
    ------
    TedmError
        Whatever the extraction would refuse, too little space included.
    """
    place, asked, lines = place_of_features(study, out), study.features, []
    missing = [source for source in sources if not _is_whole(place, source)]
    extraction = _extraction(study, backbone_of(study, mute)) if missing else None
    for source in missing:
        assert extraction is not None  # there is something missing
        if asked.normalise is not None:
            chosen = settled(_normalisation(asked), source.manifest, normalisation_of(place))
            extraction = functools.partial(extraction, normalisation=chosen)
        costs = estimate_costs(source.manifest, place, extraction, entries=len(asked.timesteps) * asked.draws)
        entries = source.manifest.entries
        costs = costs.with_more(asked.views * sum(entry.split == "train" and entry.mask is not None for entry in entries))
        costs.require_space(place)
        lines += [f"{source.said}: {costs.lines[0]}", *(f"  {line}" for line in costs.lines[1:])]
    return lines


def _is_whole(place: Location, source: Source) -> bool:
    """Tell whether a store has every image of a source."""
    known = whole_images(place)
    return known is not None and {entry.name for entry in source.manifest.entries} <= set(known.names)


def _whole(store: FeatureStore) -> FeatureStore:
    """Refuse a store that lacks images."""
    if missing := store.missing():
        raise TedmError(
            f"{store.path} lacks {counted(len(missing), 'image')} ({shown(missing[0])} say); run what extracted it again"
        )
    return store


def backbone_of(study: Study, log: Log) -> Backbone:
    """Return the backbone that features are extracted with.

    Raises
    ------
    TedmError
        If it cannot be read, or lacks the levels or timesteps.
    """
    asked = study.features
    config = None if asked.backbone_config is None else read_config(study.path(asked.backbone_config))
    backbone = load_backbone(study.path(str(asked.checkpoint)), config)
    for remark in backbone.remarks:
        log(f"note: {remark}")
    backbone.schedule.require(asked.timesteps)
    return backbone.choose(asked.levels)


def _extraction(study: Study, backbone: Backbone) -> functools.partial:  # type: ignore[type-arg]
    asked = study.features
    return functools.partial(
        extract,
        backbone=backbone,
        timesteps=asked.timesteps,
        layout=asked.layout,
        upsampling=asked.upsampling,
        dtype=asked.dtype,
        noise=asked.noise,
        noise_seed=asked.noise_seed,
        draws=asked.draws,
        geometry=asked.geometry,
        input_range=asked.input_range,
        intensity_range=asked.intensity_range,
        normalisation=None if asked.normalise is None else _normalisation(asked),
        batch_size=asked.batch_size,
        precision=asked.precision,
    )


def _normalisation(asked: FeaturesAsked) -> Normalisation:
    low, high = asked.percentiles or (1.0, 99.0)
    method = asked.normalise or "quantile"
    return Normalisation(method, asked.brain or "all", round(low / 100, 9), round(high / 100, 9), asked.deviations or 3.0)
