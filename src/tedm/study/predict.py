"""Masks of a store's images, or of image files, in a folder.

From image files the backbone runs for the head's timesteps only, with the settings that the head has recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError
from tedm.extract import Backbone, LiveFeatures, arithmetic_differences, on_this_machine, read_manifest
from tedm.extract.images import VolumeOptions, files_written, write_prediction, write_uncertainty
from tedm.files import filled_folder, require_new, require_there, write_table
from tedm.heads import HERE, Cleaning, Prediction, Segmenter, VotingRule, Workers, predict
from tedm.names import require_files
from tedm.store import Arithmetic, Features, FeatureSettings, FeatureStore, Location
from tedm.store.volumes.normalisation import Brain
from tedm.study.remarks import differences_from_store, temperatures_not_applied
from tedm.study.stages import Log, Stages, mute, silent
from tedm.study.volume_output import MAPS, VolumeFormat, VolumeOutput
from tedm.study.volumes import assembled, counted_by, whole_volumes

Device = Literal["auto", "cpu", "cuda"]
REMEDY = "make room; what was written before is whole"
NO_CLEANING = Cleaning()


def predict_folder(
    folder: Path,
    head: Segmenter,
    source: Location,
    *,
    backbone: Backbone | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    split: str | None = None,
    domain: str | None = None,
    names: Sequence[str] | None = None,
    cleaning: Cleaning = NO_CLEANING,
    probabilities: bool = False,
    uncertainty: bool = False,
    volume_format: VolumeFormat = "auto",
    brain: Brain | None = None,
    device: Device = "auto",
    workers: Workers = HERE,
    head_name: str = "the head",
    backbone_name: str = "the backbone",
    progress: Stages = silent,
    log: Log = mute,
) -> list[str]:
    """Segment images with a head and write their masks to a folder, at the images' own sizes.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty. It gets NAME.png for each picture, and a file in its own geometry for each volume, with the
        values of the masks that the head was trained on.
    head : Segmenter
    source : str or Path
        A feature store, or a manifest or folder of images.
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
    probabilities : bool
        Also write NAME.npy, the probabilities of the classes, or of a volume NAME-probabilities.nii.gz of four dimensions, the
        classes last; these are never cleaned.
    uncertainty : bool
        Also write NAME-entropy.png (black: sure, white: a guess), NAME-disagreement.png, the Jensen-Shannon divergence of the
        voters (black: alike), of a volume NAME-entropy.nii.gz and so on with the numbers from 0 to 1, and uncertainty.csv with
        the mean of both over each image or volume.
    volume_format : {"auto", "nifti", "nrrd", "dicom-seg"}
        What masks of volumes are written as: "auto" writes NRRD for NRRD and NIfTI for all else. See `VolumeOutput`.
    brain : {"mask", "nonzero", "all"} or None
        See `live_features`.
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
        The volumes and pictures whose masks were written.

    Raises
    ------
    TedmError
        If the folder is taken, the head is for other features, or the backbone is missing, superfluous or another one.
    """
    require_new(folder)
    features: Features
    live: LiveFeatures | None = None
    if FeatureStore.is_store(source):
        if backbone is not None:
            raise TedmError(f"{source} is a feature store: --checkpoint and --backbone are for images; leave them out")
        if brain is not None:
            raise TedmError(f"{source} is a feature store, whose images are read already: leave out --brain")
        features = FeatureStore.open(source)
        for remark in differences_from_store(features, [head]):
            log(remark)
    else:
        if workers.cluster is not None:
            raise TedmError("--scheduler is for a feature store; images are computed here, by the backbone")
        if backbone is None and not head.method.looks_at_images:
            raise TedmError(f"{source} is no feature store; to predict from images, name the backbone with --checkpoint FILE")
        features = live = live_features(
            head, Path(source), backbone, timesteps=timesteps, brain=brain, device=device, backbone_name=backbone_name, log=log
        )
    if split is None and "test" in features.labels.splits:
        split = "test"
    names = features.labels.select(split=split, domain=domain) if names is None else list(names)
    head.require(features, head.vote(rule, timesteps).timesteps, what=str(source))
    for remark in temperatures_not_applied({head_name: head}, rule, timesteps):
        log(remark)
    volumes = whole_volumes(features.labels, names, what=str(source))
    in_volumes = [name for volume in volumes for name in volume.names]
    pictures = [name for name in names if features.labels.volume_of(name) is None]
    output = VolumeOutput(volume_format, head, cleaning, probabilities, uncertainty)
    output.require(volumes, live, str(source))
    _require_outputs(pictures, output.files_of(volumes), head, probabilities, uncertainty, str(source))
    means: list[list[object]] = [["image", "entropy", "disagreement"]]
    written: list[Path] = []
    with filled_folder(folder, remedy=REMEDY) as place:
        with progress("predicting") as show:
            predictions = counted_by(
                show,
                len(names),
                predict(
                    features,
                    {"head": head},
                    [*in_volumes, *pictures],
                    rule=rule,
                    timesteps=timesteps,
                    workers=workers,
                    what=str(source),
                    uncertainty=uncertainty,
                ),
            )
            for volume in assembled(predictions, volumes, features, probabilities=probabilities):
                written.append(output.write(place, volume, live))
                if volume.means:
                    means.append([volume.name, *(f"{volume.means[kind]:.6f}" for kind in MAPS)])
                del volume  # the next one is made first
            for prediction in predictions:
                _write(place, prediction, features, head, cleaning=cleaning, probabilities=probabilities)
                written.append(place / f"{prediction.name}.png")
                if prediction.entropy is not None and prediction.disagreement is not None:
                    both = (prediction.entropy, prediction.disagreement)
                    means.append([prediction.name, *(f"{values.mean():.6f}" for values in both)])
        if uncertainty:
            write_table(place / "uncertainty.csv", means, remedy=REMEDY)
        require_there(written, folder)
    return [*(volume.volume.name for volume in volumes), *pictures]


def _require_outputs(
    names: Sequence[str],
    of_volumes: Mapping[str, list[str]],
    head: Segmenter,
    probabilities: bool,
    uncertainty: bool,
    source: str,
) -> None:
    """Refuse, before the work, masks that no PNG can hold, and names that cannot be files or of which two would be one file."""
    odd = [value for value in head.classes if names and not 0 <= value < 2**16]
    if odd:
        raise TedmError(f"a PNG cannot hold the mask value {odd[0]}, a class of this head; fit one on values from 0 to 65535")
    maps = MAPS if uncertainty else ()
    asked = [*["--probabilities"] * (probabilities and bool(of_volumes)), *["--uncertainty"] * uncertainty]
    together = f", or leave out {' and '.join(asked)}" if asked else ""
    require_files(
        {**of_volumes, **{name: files_written(name, probabilities=probabilities, maps=maps) for name in names}},
        what=f"cannot write the masks of {source} under its images' names",
        remedy=f"extract one of them under another name (a column `name`){together}",
    )


def live_features(
    head: Segmenter,
    images: Path,
    backbone: Backbone | None,
    *,
    timesteps: Sequence[int] | None = None,
    brain: Brain | None = None,
    device: Device = "auto",
    backbone_name: str = "the backbone",
    log: Log = mute,
) -> LiveFeatures:
    """Compute features of images on the fly, with a head's settings and in its arithmetic as far as this machine has it.

    Parameters
    ----------
    head : Segmenter
    images : Path
        A manifest or a folder of images.
    backbone : Backbone or None
        The one that the head's store was made with; None for a head that looks at images.
    timesteps : sequence of int or None
        Those that are used; None takes the head's.
    brain : {"mask", "nonzero", "all"} or None
        Which voxels of volumes are brain; None takes the head's word for it.
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
    odd = manifest.require_intensity_range(
        settings.intensity_range, channels=settings.image_channels, normalisation=normalisation
    )
    for remark in (*manifest.remarks, *odd):
        log(f"note: {remark}")
    ready = ready_backbone(head, backbone, timesteps=timesteps, device=device, backbone_name=backbone_name, log=log)
    return LiveFeatures(manifest, ready.backbone, ready.settings, ready.arithmetic, head.storage, brain)


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
    return Ready(backbone, replace(head.settings, timesteps=wanted), arithmetic)


def _write(
    folder: Path, prediction: Prediction, features: Features, head: Segmenter, *, cleaning: Cleaning, probabilities: bool
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
        keep_probabilities=probabilities,
        cleaning=cleaning,
        uncalibrated=prediction.uncalibrated,
    )
    if prediction.entropy is not None and prediction.disagreement is not None:
        maps = dict(zip(MAPS, (prediction.entropy, prediction.disagreement), strict=True))
        write_uncertainty(folder, prediction.name, maps, original_size=size, geometry=geometry)
