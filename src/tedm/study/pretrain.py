"""What a DDPM is pre-trained on, and the pictures of a run.

Images of the split `test` are left out, with their groups; those of `val` are held out, or a part of the others by group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract import labels_of, read_manifest, settled
from tedm.extract.images import NO_OPTIONS, Manifest, ManifestEntry, VolumeOptions, read_squares
from tedm.extract.pretrain import TrainingReport, choose_held_out, write_curve
from tedm.files import make_folder
from tedm.show import contact_sheet, loss_figure, save
from tedm.store.settings import Geometry
from tedm.store.splits import held_back
from tedm.store.volumes.normalisation import Normalisation
from tedm.study.stages import Log, mute
from tedm.text import counted

HELD_OUT = 64  # images for the validation loss where nobody says how many


@dataclass(frozen=True)
class TrainingImages:
    """Images as the backbone's squares, of shape (images, channels, side, side), in [0, 1].

    Parameters
    ----------
    learned_from : array
    held_out : array or None
        For the validation loss; None if no image is held out.
    """

    learned_from: NDArray[np.float32]
    held_out: NDArray[np.float32] | None


def read_training_images(
    images: Path,
    image_size: int,
    *,
    channels: int = 1,
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
    volumes: VolumeOptions = NO_OPTIONS,
    normalisation: Normalisation | None = None,
    held_out: int | None = None,
    seed: int = 0,
    log: Log = mute,
) -> TrainingImages:
    """Read what a DDPM is trained on.

    Parameters
    ----------
    images : Path
        A folder or a manifest; masks are not looked at.
    image_size : int
        Side of the squares, in pixels.
    channels : int
        1 for grey, 3 for RGB, the number of modalities.
    geometry : {"pad", "stretch"}
        How images become squares.
    intensity_range : tuple of two floats or None
        Black and white in the files; None takes the file type's.
    volumes : VolumeOptions
        How volumes become images.
    normalisation : Normalisation or None
        How their numbers become intensities; mean and deviation of `zscore` are over the images that are learned from.
    held_out, seed
        See `parts_of_manifest`.
    log : callable
        Takes a sentence on how many images are left out, learned from and held out.

    Raises
    ------
    TedmError
        If there are no images to learn from, or some cannot be read.
    """
    manifest = read_manifest(images, masks=volumes.drop_empty is not None, options=volumes)
    parts = parts_of_manifest(manifest, held_out=held_out, seed=seed, log=log)
    if normalisation is not None:
        learned_from = [replace(entry, split="train") for entry in parts[0]]
        normalisation = settled(normalisation, replace(manifest, entries=tuple(learned_from)), None)
    odd = manifest.require_intensity_range(intensity_range, channels=channels, normalisation=normalisation)
    for remark in (*manifest.remarks, *odd):
        log(f"note: {remark}")
    learned, validated = (
        read_squares(
            entries,
            image_size,
            channels=channels,
            geometry=geometry,
            intensity_range=intensity_range,
            normalisation=normalisation,
        )
        for entries in parts
    )
    return TrainingImages(learned, validated if len(validated) else None)


def parts_of_manifest(
    manifest: Manifest, *, held_out: int | None = None, seed: int = 0, log: Log = mute
) -> tuple[list[ManifestEntry], list[ManifestEntry]]:
    """Return the images to learn from and those that are held out.

    Parameters
    ----------
    manifest : Manifest
    held_out : int or None
        Images for the validation loss: those of the split `val` if there are any, which is said where a number was asked for,
        else as many at most, of whole groups and a tenth of all at most; None is 64. None are held out if it is 0.
    seed : int
        Which groups are held out where there is no split `val`.
    log : callable
        Takes a sentence on how many images are left out, learned from and held out.

    Raises
    ------
    TedmError
        If there are no images to learn from, or the number is negative.
    """
    if held_out is not None and held_out < 0:
        raise TedmError(f"{held_out} images cannot be held out; use 0 for none")
    labels = labels_of(manifest)
    for_tests, for_validation = held_back(labels, ["test"]), held_back(labels, ["val"])
    usable = [entry for entry in manifest.entries if entry.name not in for_tests]
    tested = len(manifest.entries) - len(usable)
    if not usable:
        raise TedmError(f"no images to train on: all {tested} are of the split test, which is for testing")
    if tested:
        log(f"{counted(tested, 'image')} of the split test left out")
    chosen = [entry for entry in usable if entry.name in for_validation] if held_out != 0 else []
    if chosen and held_out is not None:
        log(
            f"note: the split val is held out ({counted(len(chosen), 'image')}), whatever --held-out {held_out} says; 0 holds "
            "out none"
        )
    if held_out != 0 and not chosen:
        most = HELD_OUT if held_out is None else held_out
        indices = choose_held_out([entry.group for entry in usable], most, seed=seed)
        chosen = [usable[index] for index in indices]
    names = {entry.name for entry in chosen}
    learned = [entry for entry in usable if entry.name not in names]
    if not learned:
        raise TedmError(
            f"no images to train on: all {len(chosen)} are of the split val and held out; --held-out 0 learns from them"
        )
    log(f"learning from {counted(len(learned), 'image')}, {len(chosen)} held out")
    return learned, chosen


def write_pictures(report: TrainingReport, folder: Path) -> None:
    """Write the loss so far as a table and a picture, and what the DDPM makes of noise.

    Parameters
    ----------
    report : TrainingReport
        What `pretrain_diffusion` hands to its `report`.
    folder : Path
        Made if it is not there. It gets loss.csv, loss.png and, where there are samples, samples-ITERATION.png.

    Raises
    ------
    TedmError
        If they cannot be written.
    """
    make_folder(folder)
    write_curve(report.points, folder / "loss.csv")
    curves = {
        "training": [(point.iteration, point.training) for point in report.points if point.training is not None],
        "held out": [(point.iteration, point.validation) for point in report.points if point.validation is not None],
    }
    save(loss_figure(curves), folder / "loss.png")
    if len(report.samples):
        samples = [_picture(sample) for sample in report.samples]
        names = [f"sample {number}" for number in range(1, len(samples) + 1)]
        save(contact_sheet(samples, names, columns=4), folder / f"samples-{report.iteration}.png", dpi=100)


def _picture(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image of shape (channels, side, side) as people see it: grey, RGB, or its modalities side by side."""
    if len(sample) in (1, 3):
        return sample.transpose(1, 2, 0).squeeze()
    return np.concatenate(list(sample), axis=1)
