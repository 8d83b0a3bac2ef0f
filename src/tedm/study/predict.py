"""Masks of a store's images, or of image files, in a folder.

From image files the backbone runs for the head's timesteps only, with the settings that the head has recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError
from tedm.extract import Backbone, LiveFeatures, arithmetic_differences, on_this_machine, prepared, read_manifest
from tedm.extract.images import (
    UNCERTAINTY,
    VolumeOptions,
    files_written,
    native_mask,
    shown_sources,
    write_prediction,
    write_uncertainty,
)
from tedm.files import filled_folder, place_of, require_new, require_there
from tedm.heads import HERE, Cleaning, Prediction, Segmenter, VotingRule, Workers, fingerprint_of, predict
from tedm.jsons import JsonValue
from tedm.store import Arithmetic, Features, FeatureSettings, FeatureStore, Location
from tedm.store.sources import Source
from tedm.store.volumes.normalisation import Brain
from tedm.study.masks.colours import colours_of, legend_rows
from tedm.study.masks.edges import masks_along_edges
from tedm.study.masks.folder import ABOUT, REMEDY, MaskFolder, Means, require_outputs
from tedm.study.masks.inputs import Inputs, digest_of
from tedm.study.masks.overlays import FOLDER as OVERLAYS
from tedm.study.masks.overlays import Overlays, sheet_file, with_overlays
from tedm.study.originals import Originals
from tedm.study.remarks import differences_from_store, remarks_on_votes
from tedm.study.stages import Log, Stages, mute, silent
from tedm.study.volume_output import MAPS, VolumeFormat, VolumeOutput
from tedm.study.volumes import MaskOf, assembled, counted_by, whole_volumes
from tedm.text import counted

Device = Literal["auto", "cpu", "cuda"]
NO_CLEANING = Cleaning()


def predict_folder(
    folder: Path,
    head: Segmenter,
    source: Location | Sequence[Path],
    *,
    backbone: Backbone | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    split: str | None = None,
    domain: str | None = None,
    names: Sequence[str] | None = None,
    cleaning: Cleaning = NO_CLEANING,
    edges: bool = False,
    probabilities: bool = False,
    uncertainty: bool = False,
    overlay: bool = False,
    volume_format: VolumeFormat = "auto",
    brain: Brain | None = None,
    intensity_range: tuple[float, float] | None = None,
    originals: Originals | None = None,
    device: Device = "auto",
    workers: Workers = HERE,
    head_name: str = "the head",
    backbone_name: str = "the backbone",
    progress: Stages = silent,
    log: Log = mute,
) -> list[str]:
    """Segment images with a head and write their masks to a folder, at the images' own sizes.

    What was stopped goes on when the same call is made again: files that are there stay, and are not computed again.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty, or of an earlier call with the same head, images and options. It gets NAME.png for each
        picture, and a file in its own geometry for each volume, with the values of the masks that the head was trained on;
        classes.csv with the value, name and colour of each class, and prediction.json that says what the masks are of.
    head : Segmenter
    source : str, Path or sequence of Path
        A feature store; or images: a manifest, a folder, a picture, a volume's file or folder, or several of these.
    backbone : Backbone or None
        The head's, where images and not a store are given; of no use to a head that looks at images.
    rule, timesteps
        See `tedm.heads.predict`.
    split, domain : str or None
        Which images. A split of None takes "test" if there are any, else all.
    names : sequence of str or None
        Which images, by name, in place of these two.
    cleaning : Cleaning
        What is done to masks, at the images' own size; a pixel of its smallest area is one at feature resolution.
    edges : bool
        Whether masks follow the edges of the images' own files (`tedm.study.masks.edges`), before they are cleaned.
    probabilities : bool
        Also write NAME.npy, the probabilities of the classes, or of a volume NAME-probabilities.nii.gz of four dimensions, the
        classes last; these are never cleaned, and follow no edges.
    uncertainty : bool
        Also write, to a folder `uncertainty` in it, NAME-entropy.png (black: sure, white: a guess), NAME-disagreement.png, the
        Jensen-Shannon divergence of the voters (black: alike), of a volume NAME-entropy.nii.gz and so on with the numbers from
        0 to 1; and uncertainty.csv with the mean of both over each image or volume.
    overlay : bool
        Also write, to a folder `overlays` in it, NAME.png, each picture at its own size with its mask drawn over it and the
        classes' names, of a volume up to twelve slices; and contact-sheet.png with all of them, small.
    volume_format : {"auto", "nifti", "nrrd", "dicom-seg"}
        What masks of volumes are written as: "auto" writes NRRD for NRRD and NIfTI for all else. See `VolumeOutput`.
    brain, intensity_range
        See `live_features`.
    originals : Originals or None
        The files of a store's images, which overlays are drawn on and edges are taken from; None draws them on the images as
        the backbone had them, and there are no edges.
    device : {"auto", "cpu", "cuda"}
        Where the backbone computes.
    workers : Workers
        A cluster is for stores.
    head_name, backbone_name : str
        What they are called in messages.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    list of str
        The volumes and pictures whose masks are there.

    Raises
    ------
    TedmError
        If the folder is taken or holds masks of something else, the head is for other features, or the backbone is missing,
        superfluous or another one, or the images' files, whose edges are asked for, are not known.
    """
    if not (place_of(folder) / ABOUT).is_file():
        require_new(folder)
    features: Features
    live: LiveFeatures | None = None
    sources: Mapping[str, Source] = {}
    if not isinstance(source, str | Path):
        source = _images_only(source)
    what = source if isinstance(source, str) else shown_sources(source)
    if isinstance(source, str | Path) and FeatureStore.is_store(source):
        if backbone is not None:
            raise TedmError(f"{what} is a feature store: --checkpoint and --backbone are for images; leave them out")
        if brain is not None or intensity_range is not None:
            option = "--brain" if brain is not None else "--intensity-range"
            raise TedmError(f"{what} is a feature store, whose images are read already: leave out {option}")
        if edges and originals is None:
            raise TedmError(
                f"{what} is a feature store, and --edges is of images at their own size: name the images, or leave it out"
            )
        features = store = FeatureStore.open(source)
        sources = store.sources()
        for remark in differences_from_store(features, [head]):
            log(remark)
    else:
        if workers.cluster is not None:
            raise TedmError("--scheduler is for a feature store; images are computed here, by the backbone")
        if backbone is None and not head.method.looks_at_images:
            raise TedmError(f"{what} is no feature store; to predict from images, name the backbone with --checkpoint FILE")
        features = live = live_features(
            head,
            Path(source) if isinstance(source, str) else source,
            backbone,
            timesteps=timesteps,
            brain=brain,
            intensity_range=intensity_range,
            device=device,
            backbone_name=backbone_name,
            log=log,
        )
    if split is None and "test" in features.labels.splits:
        split = "test"
    names = features.labels.select(split=split, domain=domain) if names is None else list(names)
    image_of = live.rows if live is not None else None if originals is None else originals.whole
    along = masks_along_edges(features.settings.geometry, image_of) if edges and image_of is not None else None
    vote = head.vote(rule, timesteps)
    head.require(features, vote.timesteps, what=what)
    for remark in remarks_on_votes({head_name: head}, rule, timesteps):
        log(remark)
    volumes = whole_volumes(features.labels, names, what=what)
    pictures = [name for name in names if features.labels.volume_of(name) is None]
    overlays = Overlays(features, head, live, originals) if overlay else None
    output = VolumeOutput(volume_format, head, cleaning, probabilities, uncertainty, overlays)
    output.require(volumes, live, what)
    maps = MAPS if uncertainty else ()
    files = output.files_of(volumes)
    files |= {name: files_written(name, probabilities=probabilities, maps=maps) for name in pictures}
    files = with_overlays(files) if overlay else files
    require_outputs(files, pictures, head, probabilities and bool(volumes), what)

    made_of: dict[str, JsonValue] = {
        "head": digest_of(fingerprint_of(head)),
        "vote": vote.rule,
        "timesteps": list(vote.timesteps),
        "cleaning": str(cleaning) if cleaning else "none",
        "probabilities": probabilities,
        "uncertainty": uncertainty,
        "overlay": overlay,
        "format of volumes": volume_format,
        "brain": brain or "the head's",
        "arithmetic": "the store's" if live is None else asdict(live.arithmetic),
        # folders of before have no word on these
        **({"edges": "followed"} if edges else {}),
        **({"intensity range": list(intensity_range)} if intensity_range is not None else {}),
    }
    masks = MaskFolder(folder, made_of, Inputs(features, names, sources, None if live is None else live.files_of))
    subfolders = [*[UNCERTAINTY] * uncertainty, *[OVERLAYS] * overlay]
    with filled_folder(folder, remedy=REMEDY, require=masks.require) as place:
        means = Means(place, maps)
        done = {name for name, its in files.items() if masks.has(its) and (not maps or name in means)}
        if done:
            log(f"{len(done)} of {counted(len(files), 'mask')} are in {folder} already")
        volumes_left = [whole for whole in volumes if whole.volume.name not in done]
        pictures_left = [name for name in pictures if name not in done]
        left = [*(name for whole in volumes_left for name in whole.names), *pictures_left]
        reused = len(names) - len(left)
        with progress("predicting") as show:
            predictions = counted_by(
                lambda number, count: show(reused + number, reused + count),
                len(left),
                predict(
                    features,
                    {"head": head},
                    left,
                    rule=rule,
                    timesteps=timesteps,
                    workers=workers,
                    what=what,
                    uncertainty=uncertainty,
                ),
            )
            for volume in assembled(predictions, volumes_left, features, probabilities=probabilities, mask_of=along):
                masks.begin(legend_rows(head), subfolders)
                output.write(place, volume, live)
                if maps:
                    means.note(volume.name, volume.means)
                del volume  # the next one is made first
            for prediction in predictions:
                masks.begin(legend_rows(head), subfolders)
                _write(place, prediction, features, head, cleaning=cleaning, probabilities=probabilities, mask_of=along)
                if overlays is not None:
                    overlays.write(place, prediction.name)
                if prediction.entropy is not None and prediction.disagreement is not None:
                    both = zip(MAPS, (prediction.entropy, prediction.disagreement), strict=True)
                    means.note(prediction.name, {kind: float(values.mean()) for kind, values in both})
        require_there((place / file for its in files.values() for file in its), folder)
        if maps:
            means.finish(list(files))
        if overlays is not None and (left or not masks.has([sheet_file()])):
            overlays.finish(place, list(files))
    return list(files)


def _images_only(sources: Sequence[Path]) -> Path | list[Path]:
    """Return one source by itself; refuse a store among several."""
    if len(sources) == 1:
        return sources[0]
    store = next((each for each in sources if FeatureStore.is_store(each)), None)
    if store is not None:
        raise TedmError(f"{store} is a feature store, one of {len(sources)} places; name it alone, or images alone")
    return list(sources)


def live_features(
    head: Segmenter,
    images: Path | Sequence[Path],
    backbone: Backbone | None,
    *,
    timesteps: Sequence[int] | None = None,
    brain: Brain | None = None,
    intensity_range: tuple[float, float] | None = None,
    device: Device = "auto",
    backbone_name: str = "the backbone",
    log: Log = mute,
) -> LiveFeatures:
    """Compute features of images on the fly, with a head's settings and in its arithmetic as far as this machine has it.

    Parameters
    ----------
    head : Segmenter
    images : Path or sequence of Path
        A manifest, a folder or an image, or several of them.
    backbone : Backbone or None
        The one that the head's store was made with; None for a head that looks at images.
    timesteps : sequence of int or None
        Those that are used; None takes the head's.
    brain : {"mask", "nonzero", "all"} or None
        Which voxels of volumes are brain; None takes the head's word for it.
    intensity_range : tuple of two floats or None
        Black and white in files of more than 8 bits; None takes the head's.
    device : {"auto", "cpu", "cuda"}
    backbone_name : str
        What it is called in messages.
    log : callable
        Takes a remark on each part of the arithmetic that is another one here.

    Raises
    ------
    TedmError
        If the backbone is another one, the images cannot be read, are pictures where the head's were volumes with a
        normalisation of their own, or the head cannot use these timesteps.
    """
    settings = head.settings
    options, normalisation = VolumeOptions.of(settings), settings.normalisation
    if brain is not None:
        if normalisation is None and settings.crop not in ("brain", "nonzero"):
            raise TedmError("--brain is for heads whose volumes were normalised by the brain, or cropped to it; leave it out")
        if normalisation is not None and brain != normalisation.brain:
            log(f"note: brain is {brain} here, and was {normalisation.brain} where the head was made")
            normalisation = replace(normalisation, brain=brain)
        options = replace(options, brain=brain)
    manifest = read_manifest(images, masks=False, options=options)
    picture = next((entry.image for entry in manifest.entries if entry.volume is None), None)
    if normalisation is not None and picture is not None:
        raise TedmError(f"{picture} is a picture, and the head is for volumes with {normalisation}; give it volumes")
    if normalisation is not None and intensity_range is not None:
        raise TedmError(f"the head is for volumes with {normalisation}, which says what black and white are: leave out a range")
    black_white = settings.intensity_range if intensity_range is None else intensity_range
    odd = manifest.require_intensity_range(black_white, channels=settings.image_channels, normalisation=normalisation)
    for remark in (*manifest.remarks, *odd):
        log(f"note: {remark}")
    ready = ready_backbone(head, backbone, timesteps=timesteps, device=device, backbone_name=backbone_name, log=log)
    reading = replace(ready.settings, intensity_range=black_white, normalisation=normalisation)
    return LiveFeatures(manifest, ready.backbone, ready.settings, ready.arithmetic, head.storage, reading)


@dataclass(frozen=True)
class Ready:
    """What computes a head's features, with the settings and the arithmetic of what it computes."""

    backbone: Backbone | None
    settings: FeatureSettings
    arithmetic: Arithmetic


def ready_backbone(
    head: Segmenter,
    backbone: Backbone | None,
    *,
    timesteps: Sequence[int] | None = None,
    device: Device = "auto",
    backbone_name: str = "the backbone",
    log: Log = mute,
) -> Ready:
    """Return a head's backbone at its levels, in its arithmetic as far as this machine has it; see `live_features`."""
    wanted = head.timesteps(timesteps)
    if head.method.looks_at_images:
        if backbone is not None:
            raise TedmError(f"a {head.method.name} head looks at images and needs no backbone: leave out --checkpoint")
        return Ready(None, head.settings, head.arithmetic)
    if backbone is None:
        raise TedmError("activations are computed by a backbone: give the one that the head's store was made with")
    expected = head.settings.checkpoint_sha256
    if backbone.sha256 != expected:
        raise TedmError(
            f"{backbone_name} is not the backbone of this head\n"
            f"  SHA-256: the head's {expected[:12]}..., this one's {backbone.sha256[:12]}...\n"
            "Name the checkpoint that its store was extracted with, and the same --backbone-config if there was one."
        )
    backbone = backbone.with_levels([level.name for level in head.settings.levels])
    arithmetic = on_this_machine(head.arithmetic, device)
    for line in arithmetic_differences(head.arithmetic, arithmetic, us="the head's store"):
        log(f"the last bits may differ: {line}")
    backbone.schedule.require(wanted)
    return Ready(prepared(backbone, arithmetic), replace(head.settings, timesteps=wanted), arithmetic)


def _write(
    folder: Path,
    prediction: Prediction,
    features: Features,
    head: Segmenter,
    *,
    cleaning: Cleaning,
    probabilities: bool,
    mask_of: MaskOf | None,
) -> None:
    """Write a mask, and the maps of its uncertainty if they were asked for."""
    size = features.labels.original_sizes[features.labels.index(prediction.name)]
    geometry = features.settings.geometry
    write_prediction(
        folder,
        prediction.name,
        prediction.probabilities,
        original_size=size,
        geometry=geometry,
        classes=head.classes,
        colours=colours_of(head),
        keep_probabilities=probabilities,
        cleaning=cleaning,
        mask=native_mask(prediction.decisive, size, geometry) if mask_of is None else mask_of(prediction, size),
    )
    if prediction.entropy is not None and prediction.disagreement is not None:
        maps = dict(zip(MAPS, (prediction.entropy, prediction.disagreement), strict=True))
        write_uncertainty(folder / UNCERTAINTY, prediction.name, maps, original_size=size, geometry=geometry)
