"""Images that can be painted on, with their features: those of a store, or files whose features a backbone computes.

A volume is one picture of three dimensions, whose planes are the images that the features know as its slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract import LiveFeatures, choose_arithmetic, load_backbone, read_manifest, settings_of, settled
from tedm.extract.images import VolumeOptions, from_square
from tedm.heads import METHODS, Segmenter, load_head
from tedm.show.colours import class_colours
from tedm.store import Features, FeatureStore, Labels, Location, Storage
from tedm.store.volumes.normalisation import Normalisation
from tedm.study.masks.colours import colours_of, names_of
from tedm.study.originals import Originals, eight_bits
from tedm.study.predict import Device, live_features
from tedm.study.strokes.painted import Classes
from tedm.study.strokes.remembered import Remembered
from tedm.text import called, listed

TIMESTEPS = METHODS["tedm"].timesteps
NEW = Classes((0, 1), ("background", "object"), class_colours(2))


@dataclass(frozen=True)
class Scene:
    """One picture or volume.

    Parameters
    ----------
    title : str
        Its name.
    names : tuple of str
        Its planes, as the features call them; of a picture its own name.
    picture : array of shape (height, width), (height, width, 3) or (planes, height, width), uint8
        What is seen.
    is_volume : bool
    remarks : tuple of str
        Sentences on how it is shown.
    """

    title: str
    names: tuple[str, ...]
    picture: NDArray[np.uint8]
    is_volume: bool
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is painted on: (height, width) or (planes, height, width)."""
        return self.picture.shape if self.is_volume else self.picture.shape[:2]


class Gallery:
    """Some images with their features; see `open_gallery`.

    Attributes
    ----------
    source : path or URL
        What was opened.
    store : path, URL or None
        The same if it is a feature store.
    features : Remembered
    head : Segmenter or None
    classes : Classes
        Those of the head, of the store's masks, or a background and an object.
    remarks : tuple of str
        Sentences on what was opened.
    titles : tuple of str
        Names of pictures and volumes, in their order.
    """

    def __init__(
        self,
        source: Location,
        features: Features,
        head: Segmenter | None,
        originals: Originals | None = None,
        live: LiveFeatures | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.source, self.head, self.remarks = source, head, tuple(remarks)
        self.store = source if live is None else None
        self.features = Remembered(features)
        self.classes = classes_of(head, features.labels)
        self._originals, self._live = originals, live
        labels = features.labels
        volumes = (labels.volume_of(name) for name in labels.names)
        shown = (name if volume is None else volume.name for name, volume in zip(labels.names, volumes, strict=True))
        self.titles = tuple(dict.fromkeys(shown))

    def scene(self, title: str) -> Scene:
        """Return a picture or volume as it is seen.

        Raises
        ------
        TedmError
            If there is none of this name, or it cannot be read.
        """
        labels = self.features.labels
        at = labels.volume_named(title)
        if at is None:
            labels.index(title)
            picture, remarks = self._picture(title)
            return Scene(title, (title,), picture, is_volume=False, remarks=tuple(remarks))
        numbers = {index: number for number, index in enumerate(labels.volumes[at].indices)}
        slices = sorted(labels.positions_in(at), key=lambda position: numbers[labels.slices[position].index])
        names = tuple(labels.names[position] for position in slices)
        sizes = {labels.original_sizes[position] for position in slices}
        if len(sizes) > 1:
            raise TedmError(f"volume {title}: its slices have {len(sizes)} sizes, and a volume is painted on in one")
        planes = [self._picture(name)[0] for name in names]
        grey = [plane if plane.ndim == 2 else plane.mean(axis=-1).astype(np.uint8) for plane in planes]
        return Scene(title, names, np.stack(grey), is_volume=True)

    def files(self) -> Mapping[str, Path]:
        """Return where the files of pictures and volumes are that are in no store, by their names."""
        if self._live is None:
            return {}
        labels = self.features.labels
        found: dict[str, Path] = {}
        for name in labels.names:
            volume = labels.volume_of(name)
            found.setdefault(name if volume is None else volume.name, self._live.files_of(name)[0].absolute())
        return found

    def _picture(self, name: str) -> tuple[NDArray[np.uint8], list[str]]:
        if self._live is not None:
            return eight_bits(self._live.rows(name)), []
        rows = None if self._originals is None else self._originals.rows(name)
        if rows is not None:
            return eight_bits(rows), []
        labels, settings = self.features.labels, self.features.settings
        size = labels.original_sizes[labels.index(name)]
        picture = eight_bits(from_square(self.features.image(name), size, settings.geometry).clip(0, 1))
        side = settings.image_size
        coarse = f"{name} is shown as the store keeps it, of {side} x {side} pixels"
        if self._originals is not None:
            return picture, [f"{coarse}: its file was not found, or shows something else by now"]
        return picture, [f"{coarse}; choose the folder of its images to see it sharply"] if max(size) > side else []


def open_gallery(
    source: Location,
    *,
    head: Path | None = None,
    checkpoint: Path | None = None,
    images: Path | None = None,
    device: Device = "auto",
) -> Gallery:
    """Open a feature store, or images whose features a backbone computes when they are painted on.

    Parameters
    ----------
    source : path or URL
        A store; or a picture, a volume, a folder or a manifest of these.
    head : Path or None
        A saved head, whose mask is seen before there is a stroke, and whose classes are painted with.
    checkpoint : Path or None
        Of the backbone, where the source is no store.
    images : Path or None
        The folder or manifest of the store's images, to see them sharply.
    device : {"auto", "cpu", "cuda"}
        Where the backbone computes.

    Raises
    ------
    TedmError
        If something cannot be read, the backbone is missing, superfluous or another one, or the head is for other features.
    """
    if isinstance(source, Path) and not source.exists():
        raise TedmError(f"{source} does not exist; choose a feature store, a picture, a volume or a folder of these")
    loaded = None if head is None else load_head(head)
    if loaded is not None and loaded.method.looks_at_images:
        raise TedmError(
            f"the head {head} looks at images ({loaded.method.name}), and has no features to learn from strokes with"
        )
    if FeatureStore.is_store(source):
        if checkpoint is not None:
            raise TedmError(f"{source} is a feature store, whose features are computed already: leave the checkpoint out")
        store = FeatureStore.open(source)
        if loaded is not None:
            loaded.require(store, what=str(source))
        manifest = None if images is None else read_manifest(images, masks=False, options=VolumeOptions.of(store.settings))
        originals = None if manifest is None else Originals(manifest, store)
        return Gallery(source, store, loaded, originals, remarks=_missing(store))
    if isinstance(source, str):
        raise TedmError(f"there is no feature store at {source}")
    if images is not None:
        raise TedmError(f"{source} is no feature store, and is seen sharply anyway: leave the folder of images out")
    if checkpoint is None:
        raise TedmError(_wanted(source, loaded, head))
    remarks: list[str] = []
    backbone = load_backbone(checkpoint)
    if loaded is not None:
        live = live_features(loaded, source, backbone, device=device, backbone_name=str(checkpoint), log=remarks.append)
        return Gallery(source, live, loaded, live=live, remarks=remarks)
    manifest = read_manifest(source, masks=False)
    remarks += manifest.remarks
    settings = settings_of(backbone, timesteps=[each for each in TIMESTEPS if each < backbone.schedule.timesteps_total])
    if manifest.axis is not None:
        black_white = settled(Normalisation("quantile", brain="nonzero"), manifest, None)
        settings = replace(settings, axis=manifest.axis, normalisation=black_white)
        remarks.append(f"black and white of volumes are {black_white}")
    remarks += manifest.require_intensity_range(None, channels=settings.image_channels, normalisation=settings.normalisation)
    arithmetic = choose_arithmetic(device=device, image_size=settings.image_size)
    live = LiveFeatures(manifest, backbone, settings, arithmetic, Storage("native", "float16"))
    return Gallery(source, live, None, live=live, remarks=remarks)


def classes_of(head: Segmenter | None, labels: Labels) -> Classes:
    """Return the classes of a head, else those of masks, else a background and an object."""
    if head is not None:
        return Classes(head.classes, names_of(head), colours_of(head))
    if not labels.classes:
        return NEW
    names = labels.class_names or ("",) * len(labels.classes)
    shown = tuple(called(value, name) for value, name in zip(labels.classes, names, strict=True))
    return Classes(labels.classes, shown, class_colours(len(labels.classes), labels.class_colours))


def _missing(store: FeatureStore) -> list[str]:
    missing = store.missing()
    return [f"{len(missing)} images have no features yet ({listed(missing, most=3)})"] if missing else []


def _wanted(source: Path, head: Segmenter | None, place: Path | None) -> str:
    """Say which backbone is missing and where it goes."""
    if head is None:
        return (
            f"{source} is no feature store: its features are computed, and that takes the checkpoint of a diffusion model for "
            "such images; choose its file as checkpoint"
        )
    return (
        f"{source} is no feature store: its features are computed by the backbone of the head {place}, whose checkpoint is the "
        f"file with the SHA-256 {head.settings.checkpoint_sha256}; keep it anywhere, and choose it as checkpoint"
    )
