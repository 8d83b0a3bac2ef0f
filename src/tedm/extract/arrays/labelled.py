"""Arrays with masks as images of a store: what is known of each is checked before anything is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.arithmetic import choose_arithmetic
from tedm.extract.arrays.pictures import Picture, pictures_of, require_intensities
from tedm.extract.backbones import Backbone
from tedm.extract.images.geometry import to_square_mask
from tedm.extract.images.masks import encoding_problems, indices_of, look, mask_problem, require_classes
from tedm.extract.reading import whole_numbers
from tedm.extract.rehearsal import require_room
from tedm.extract.run import fill
from tedm.store import FeatureSettings, FeatureStore, Registration, Storage
from tedm.store.labelling import PackedMask
from tedm.store.labels import SPLITS
from tedm.store.settings import Geometry
from tedm.text import counted, listed


@dataclass(frozen=True)
class LabelledPicture:
    """An image in memory with what is known of it.

    Parameters
    ----------
    picture : Picture
    mask : array of shape (height, width), or None
        Class indices; 255 where there is no label.
    split : {"train", "val", "test", ""}
    group : str
        The patient, say.
    """

    picture: Picture
    mask: NDArray[np.uint8] | None
    split: str
    group: str


@dataclass(frozen=True)
class LabelledPictures:
    """Images in memory, the values of their classes, and what is odd about them, in sentences."""

    pictures: tuple[LabelledPicture, ...]
    classes: tuple[int, ...]
    remarks: tuple[str, ...]


def labelled_pictures(
    images: Sequence[ArrayLike],
    masks: Sequence[ArrayLike | None],
    *,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    axis: int | None = None,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    channels: int = 1,
    intensity_range: tuple[float, float] | None = None,
) -> LabelledPictures:
    """Put images and masks together; see `tedm.fit_images` for what they are.

    Raises
    ------
    TedmError
        With all problems of masks at once: numbers of images, masks and names that differ, a mask of another size than its
        image or with values that are no classes, two images of one name, a group in two splits.
    """
    count = len(images)
    if not count:
        raise TedmError("there is no image to learn from")
    names = [f"image-{at:0{max(4, len(str(count)))}d}" for at in range(count)] if names is None else list(names)
    splits = ["train"] * count if splits is None else list(splits)
    groups = names if groups is None else list(groups)
    for what, given in (("masks", masks), ("names", names), ("splits", splits), ("groups", groups)):
        if len(given) != count:
            raise TedmError(f"{len(given)} {what} for {counted(count, 'image')}; give one for each")
    if strange := [split for split in splits if split not in ("", *SPLITS)]:
        raise TedmError(f"splits: {strange[0]!r} is none of {listed(SPLITS)}")
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise TedmError(f"names: {twice[0]!r} is there twice; images are told apart by their names")
    _require_whole_groups(groups, splits)
    wanted = require_classes(classes, ignore)
    found, values, problems = [], {}, []
    for image, mask, name in zip(images, masks, names, strict=True):
        pictures = pictures_of(image, name, axis=axis, channels=channels, intensity_range=intensity_range)
        labels = None if mask is None else _whole(mask, name)
        shape = tuple(np.shape(image))[: 2 if axis is None else 3]
        if labels is not None and labels.shape != shape:
            problems.append(f"mask of {name}: of shape {labels.shape}, its image of {shape}")
        elif labels is not None:
            flat = labels.reshape(-1, labels.shape[-1])
            if problem := mask_problem(flat, None, wanted, ignore):
                problems.append(f"mask of {name}: {problem}")
            values[f"mask of {name}"] = look(flat, ignore)
        found.append((pictures, labels))
    held = {value for mask in values.values() for value in mask.pixels}
    if not problems and not held:
        problems.append("no mask has a labelled pixel")
    if wanted is None and not problems:
        problems += encoding_problems(values)
    raise_listed("these masks cannot be used", problems)
    known = wanted or tuple(sorted(held))
    labelled = []
    for (pictures, labels), split, group in zip(found, splits, groups, strict=True):
        planes = [labels] if labels is None or axis is None else list(np.moveaxis(labels, axis, 0))
        for picture, plane in zip(pictures, planes * (len(pictures) if labels is None else 1), strict=True):
            indices = None if plane is None else indices_of(plane, known, ignore)
            labelled.append(LabelledPicture(picture, indices, split, group))
    remarks = require_intensities([each.picture for each in labelled], channels=channels)
    return LabelledPictures(tuple(labelled), known, tuple(remarks))


def store_of(
    path: Path,
    images: LabelledPictures,
    backbone: Backbone,
    *,
    timesteps: Sequence[int],
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
    noise_seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> FeatureStore:
    """Write the activations of images in memory to a new store, with the settings that `extract` has by default.

    Raises
    ------
    TedmError
        As `extract` does.
    """
    settings = settings_of(
        backbone, timesteps=timesteps, geometry=geometry, intensity_range=intensity_range, noise_seed=noise_seed
    )
    storage, arithmetic = Storage("native", "float16"), choose_arithmetic(device=device, image_size=settings.image_size)
    by_name = {each.picture.name: each.picture for each in images.pictures}
    require_room(path, None, settings, storage, by_name)
    store = FeatureStore.create(path, settings, arithmetic, storage, {})
    masks = [None if each.mask is None else PackedMask(_square(each.mask, settings)) for each in images.pictures]
    store.register(
        [
            Registration(each.picture.name, each.split, each.group, "", each.picture.size, mask)
            for each, mask in zip(images.pictures, masks, strict=True)
        ],
        images.classes,
    )
    fill(store, by_name, lambda name: by_name[name].square(settings), backbone, arithmetic, None)
    return store


def settings_of(
    backbone: Backbone,
    *,
    timesteps: Sequence[int],
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
    noise_seed: int = 0,
) -> FeatureSettings:
    """Return what features of a backbone are by default: all of its levels, in the range that it was trained on.

    Raises
    ------
    TedmError
        If the backbone has no such timestep.
    """
    backbone.schedule.require(tuple(timesteps))
    low, high = backbone.training_range
    return FeatureSettings(
        checkpoint_sha256=backbone.sha256,
        levels=backbone.levels,
        image_size=backbone.image_size,
        image_channels=backbone.image_channels,
        geometry=geometry,
        input_range=(float(low), float(high)),
        intensity_range=intensity_range,
        upsampling="nearest",
        noise="per-image",
        noise_seed=noise_seed,
        timesteps=tuple(timesteps),
        draws=1,
    )


def _square(mask: NDArray[np.uint8], settings: FeatureSettings) -> NDArray[np.uint8]:
    return to_square_mask(mask, settings.image_size, settings.geometry)


def _whole(mask: ArrayLike, name: str) -> NDArray[np.int32]:
    values = np.asarray(mask)
    if values.dtype.kind not in "biuf" or not values.size:
        raise TedmError(f"mask of {name}: an array of {values.dtype} and shape {values.shape}; expected class values")
    return whole_numbers(Path(f"mask of {name}"), values)


def _require_whole_groups(groups: Sequence[str], splits: Sequence[str]) -> None:
    of: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if of.setdefault(group, split) != split:
            raise TedmError(f"group {group} is in {of[group]!r} and in {split!r}; a group belongs into one split")
