"""Slices that were predicted, put together to volumes at the volumes' own resolution.

Predictions come slice after slice; one volume is in memory at a time, with what is kept of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tedm.errors import raise_listed
from tedm.extract.images import from_square, from_square_probabilities, native_mask, pixels_of_a_cell, uncropped
from tedm.heads import Prediction
from tedm.store import Features, Labels, Slice, Volume
from tedm.store.settings import FeatureSettings
from tedm.text import counted, listed

# Makes class indices of shape (height, width) of a prediction.
MaskOf = Callable[[Prediction, tuple[int, int]], NDArray[np.uint8]]
BACKGROUND = 0  # the class index of what a cropped slice does not show


@dataclass(frozen=True)
class WholeVolume:
    """A volume of which every slice is there.

    Parameters
    ----------
    volume : Volume
    names : tuple of str
        Its slices, in the order in which they are counted.
    """

    volume: Volume
    names: tuple[str, ...]


def whole_volumes(labels: Labels, names: Sequence[str], *, what: str) -> list[WholeVolume]:
    """Return the volumes of which some images are slices, in the order of their first slices; pictures are left out.

    Parameters
    ----------
    labels : Labels
    names : sequence of str
        Images.
    what : str
        What the features are called in messages.

    Raises
    ------
    TedmError
        If slices of a volume are not among the images: a volume with holes has no mask and no score.
    """
    chosen: dict[int, dict[int, str]] = {}
    for name in names:
        at = labels.slice_of(name)
        if at.volume >= 0:
            chosen.setdefault(at.volume, {})[at.index] = name
    found, problems = [], []
    for position, slices in chosen.items():
        volume = labels.volumes[position]
        if absent := sorted(set(volume.indices) - set(slices)):
            known = {labels.slices[at].index for at in labels.positions_in(position)}
            where = f"not in {what}" if known.isdisjoint(absent) else "of another split or domain, or not there"
            problems.append(
                f"volume {volume.name}: {len(absent)} of its {counted(len(volume.indices), 'slice')} "
                f"{'is' if len(absent) == 1 else 'are'} {where} ({listed(absent, most=5)})"
            )
        else:
            found.append(WholeVolume(volume, tuple(slices[index] for index in volume.indices)))
    raise_listed(
        "a mask or a score of a volume takes all of its slices; choose another --split (--drop-empty leaves slices out of "
        "train), or predict from the volumes' files",
        problems,
    )
    return found


def counted_by(show: Callable[[int, int], None], count: int, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Yield predictions, and tell how many there were after each."""
    for number, prediction in enumerate(predictions, 1):
        yield prediction
        show(number, count)


@dataclass
class AssembledVolume:
    """What a head makes of a volume, at the volume's own resolution; arrays have the shape (slices, height, width, ...).

    Parameters
    ----------
    whole : WholeVolume
    head : str
        Key of the head.
    mask : array of shape (slices, height, width)
        Class indices.
    cell : float
        Voxels of a slice that a pixel at feature resolution stands for.
    maps : dict of str to array
        What else was kept, float32: "probabilities" of shape (slices, height, width, classes), "entropy", "disagreement".
    means : dict of str to float
        The mean of "entropy" and "disagreement" over the pixels at feature resolution.
    """

    whole: WholeVolume
    head: str
    mask: NDArray[np.uint8]
    cell: float
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The volume's name."""
        return self.whole.volume.name

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, rows and columns."""
        slices, rows, columns = (self.whole.volume.spacing[axis] for axis in self.whole.volume.axes)
        return slices, rows, columns

    def values(self, classes: Sequence[int]) -> NDArray[np.int32]:
        """Return the mask in the file's own axes, with the classes' values in masks."""
        return self.whole.volume.from_slices(np.array(classes, np.int32)[self.mask])

    def map(self, name: str) -> NDArray[np.float32]:
        """Return one of the maps in the file's own axes; of probabilities the classes come last."""
        return self.whole.volume.from_slices(self.maps[name])


def assembled(
    predictions: Iterable[Prediction],
    volumes: Sequence[WholeVolume],
    features: Features,
    *,
    heads: int = 1,
    probabilities: bool = False,
    mask_of: MaskOf | None = None,
) -> Iterator[AssembledVolume]:
    """Put predictions of slices together; whoever takes a volume has it alone.

    Parameters
    ----------
    predictions : iterable of Prediction
        Of the slices of these volumes one after the other, one for each head. What comes after them is not taken.
    volumes : sequence of WholeVolume
        In the order of the predictions.
    features : Features
        What they were predicted from.
    heads : int
        How many heads predict.
    probabilities : bool
        Whether these are kept, 4 bytes for each voxel and class.
    mask_of : callable (prediction, size) or None
        Makes the mask of a slice, the part that is shown, at its own size; None takes the most probable classes.

    Yields
    ------
    AssembledVolume
        For each volume, one a head.
    """
    coming = iter(predictions)
    settings, labels = features.settings, features.labels
    for whole in volumes:
        made: dict[str, AssembledVolume] = {}
        for number, name in enumerate(whole.names):
            at = labels.slice_of(name)
            for _ in range(heads):
                prediction = next(coming, None)
                if prediction is None or prediction.name != name:
                    came = "none" if prediction is None else f"that of {prediction.name}"
                    raise ValueError(f"the prediction of {name} was expected, and {came} came")
                if prediction.head not in made:
                    made[prediction.head] = _empty(whole, prediction, at, settings, probabilities)
                _put(made[prediction.head], number, prediction, at, settings, mask_of)
        while made:  # not kept here: the next volume is made while nothing of this one is in memory
            yield made.pop(next(iter(made)))


def _shown(volume: Volume, at: Slice) -> tuple[int, int]:
    """Return the size of the part of a slice that an image shows."""
    return (at.height, at.width) if at.height else volume.slice_size


def _empty(
    whole: WholeVolume, prediction: Prediction, at: Slice, settings: FeatureSettings, probabilities: bool
) -> AssembledVolume:
    shape = (len(whole.names), *whole.volume.slice_size)
    maps: dict[str, NDArray[np.float32]] = {}
    if probabilities:
        maps["probabilities"] = np.zeros((*shape, prediction.probabilities.shape[-1]), np.float32)
    for kind in ("entropy", "disagreement"):
        if getattr(prediction, kind) is not None:
            maps[kind] = np.zeros(shape, np.float32)
    cell = pixels_of_a_cell(_shown(whole.volume, at), settings.image_size, settings.geometry)
    return AssembledVolume(whole, prediction.head, np.empty(shape, np.uint8), cell, maps)


def _put(
    volume: AssembledVolume,
    number: int,
    prediction: Prediction,
    at: Slice,
    settings: FeatureSettings,
    mask_of: MaskOf | None,
) -> None:
    """Bring a slice's prediction to the volume's own resolution; beyond a crop is background, of which all are sure."""
    whole, size, geometry = volume.whole.volume.slice_size, _shown(volume.whole.volume, at), settings.geometry
    shown = native_mask(prediction.decisive, size, geometry) if mask_of is None else mask_of(prediction, size)
    volume.mask[number] = uncropped(shown, at, whole, np.uint8(BACKGROUND))
    if (kept := volume.maps.get("probabilities")) is not None:
        part = from_square_probabilities(np.asarray(prediction.probabilities, np.float32), size, geometry)
        beyond = np.zeros(part.shape[-1], np.float32)
        beyond[BACKGROUND] = 1
        kept[number] = uncropped(part, at, whole, beyond)
    for kind in ("entropy", "disagreement"):
        values = getattr(prediction, kind)
        if values is not None:
            part = from_square(values[..., np.newaxis].astype(np.float32), size, geometry)[..., 0]
            volume.maps[kind][number] = uncropped(part.clip(0, 1), at, whole, np.float32(0))
            volume.means[kind] = volume.means.get(kind, 0.0) + float(values.mean()) / len(volume.mask)
