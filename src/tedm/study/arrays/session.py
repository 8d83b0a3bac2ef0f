"""Masks of arrays: a head and its backbone, read and made ready once for however many images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tedm.errors import TedmError
from tedm.extract import Backbone, LiveArrays, Picture, load_backbone, pictures_of, require_intensities
from tedm.extract.images import pixels_of_a_cell
from tedm.heads import Cleaning, Prediction, Segmenter, VotingRule, load_head, predict
from tedm.keywords import plain_keywords
from tedm.store.settings import FeatureSettings
from tedm.study.arrays.result import Segmentation
from tedm.study.masks.colours import names_of
from tedm.study.masks.edges import mask_at_own_size
from tedm.study.predict import NO_CLEANING, Device, ready_backbone
from tedm.study.remarks import remarks_on_votes
from tedm.study.stages import Log


def warn(remark: str) -> None:
    """Give a remark as a warning, which notebooks show."""
    warnings.warn(remark, UserWarning, stacklevel=4)


class Session:
    """A head that is ready to segment arrays.

    Parameters
    ----------
    head : Segmenter or path
        Fitted on pictures or arrays; or the folder that it was saved to.
    backbone : Backbone, path or None
        The one that the head's features were computed with, or its checkpoint; None for a head that looks at images.
    device : {"auto", "cpu", "cuda"}
        Where the backbone computes; "auto" takes the head's own where it is there.
    log : callable (str)
        Takes remarks; by default they are warnings.

    Raises
    ------
    TedmError
        If the head or the checkpoint cannot be read, the backbone is missing, superfluous or another one, or the head is for
        volumes in files.

    Examples
    --------
    session = Session("head", "ddpm.safetensors")
    masks = [session.segment(image).mask for image in images]
    """

    def __init__(
        self,
        head: Segmenter | Path | str,
        backbone: Backbone | Path | str | None = None,
        *,
        device: Device = "auto",
        log: Log = warn,
    ) -> None:
        if isinstance(head, str | Path) and isinstance(backbone, str | Path) and (Path(backbone) / "head.json").is_file():
            raise TedmError(f"{backbone} is a head and stands where the backbone belongs; name the head before its backbone")
        self.head = head if isinstance(head, Segmenter) else load_head(Path(head))
        if self.head.settings.axis is not None:
            raise TedmError(
                f"the head {self.head.label} learned from volumes in files, which say how they lie and how large a voxel is; "
                "an array does not: segment the files with tedm-predict, or fit a head on arrays with fit_images(..., axis=0)"
            )
        name = "the backbone" if backbone is None or isinstance(backbone, Backbone) else str(backbone)
        loaded = load_backbone(Path(backbone)) if isinstance(backbone, str | Path) else backbone
        self._log = log
        self._ready = ready_backbone(self.head, loaded, device=device, backbone_name=name, log=log)

    def __repr__(self) -> str:
        return f"Session({self.head!r})"

    def segment(
        self,
        image: ArrayLike,
        *,
        axis: int | None = None,
        name: str = "image",
        intensity_range: tuple[float, float] | None = None,
        rule: VotingRule | None = None,
        timesteps: Sequence[int] | None = None,
        cleaning: Cleaning = NO_CLEANING,
        edges: bool = False,
    ) -> Segmentation:
        """Segment an array; see `tedm.segment`."""
        head, ready = self.head, self._ready
        vote, settings = head.vote(rule, timesteps), ready.settings
        if ready.backbone is not None:
            ready.backbone.schedule.require(vote.timesteps)
            settings = replace(settings, timesteps=vote.timesteps)
        channels = settings.image_channels
        black_white = settings.intensity_range if intensity_range is None else intensity_range
        pictures = pictures_of(image, name, axis=axis, channels=channels, intensity_range=black_white)
        for remark in (
            *require_intensities(pictures, channels=channels),
            *remarks_on_votes({head.label: head}, rule, timesteps),
        ):
            self._log(remark)
        features = LiveArrays(pictures, ready.backbone, settings, ready.arithmetic, head.storage)
        predictions = list(
            predict(
                features,
                {head.label: head},
                features.labels.names,
                rule=rule,
                timesteps=timesteps,
                what=f"image {name}",
                uncertainty=True,
            )
        )
        return Segmentation(
            name,
            _mask_of(pictures, predictions, head, settings, axis, cleaning, edges),
            head.classes,
            names_of(head),
            head.label,
            axis,
            pictures,
            predictions,
            settings.geometry,
        )


@plain_keywords
def segment(
    image: ArrayLike,
    head: Segmenter | Path | str,
    backbone: Backbone | Path | str | None = None,
    *,
    axis: int | None = None,
    name: str = "image",
    intensity_range: tuple[float, float] | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    cleaning: Cleaning = NO_CLEANING,
    edges: bool = False,
    device: Device = "auto",
    log: Log = warn,
) -> Segmentation:
    """Segment an image, or the slices of a volume, that lies in memory; no file is written.

    The mask is the one that `tedm-predict` makes of a file with the same numbers and the same name.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, channels); with `axis`, of a volume, one dimension more
        Unsigned integers of 8 or 16 bits have their type's black and white, booleans are black and white. Floats are
        intensities from 0 to 1, and other integers are refused, unless the head or `intensity_range` has a range.
    head : Segmenter or path
        Fitted on pictures or arrays; or the folder that it was saved to.
    backbone : Backbone, path or None
        The one that the head's features were computed with, or its checkpoint; None for a head that looks at images. For more
        than one image hand over what was read once (`load_backbone`), or use a `Session`.
    axis : int or None
        Which axis of a volume counts its slices, each of which is segmented alone; None for an image.
    name : str
        By which the image's noise is drawn, as it is by the name of a file.
    intensity_range : tuple of two floats or None
        Black and white in the array's numbers, where these have more than 8 bits; None takes the head's.
    rule, timesteps
        See `tedm.heads.predict`.
    cleaning : Cleaning
        What is done to the mask, of a volume in three dimensions; see `predict_folder`.
    edges : bool
        Whether the mask follows the edges of the image (`tedm.study.masks.edges`), before it is cleaned.
    device : {"auto", "cpu", "cuda"}
        Where the backbone computes.
    log : callable (str)
        Takes remarks; by default they are warnings.

    Returns
    -------
    Segmentation
        With `mask`, `probabilities` and `uncertainty` at the image's own size, `frame()` and `figure()`.

    Raises
    ------
    TedmError
        If the array is none that can be taken, or as `Session` does.

    Examples
    --------
    result = segment(image, "head", "ddpm.safetensors")
    result.mask, result.figure(), result.frame(spacing=0.25)
    """
    return Session(head, backbone, device=device, log=log).segment(
        image,
        axis=axis,
        name=name,
        intensity_range=intensity_range,
        rule=rule,
        timesteps=timesteps,
        cleaning=cleaning,
        edges=edges,
    )


def _mask_of(
    pictures: Sequence[Picture],
    predictions: Sequence[Prediction],
    head: Segmenter,
    settings: FeatureSettings,
    axis: int | None,
    cleaning: Cleaning,
    edges: bool,
) -> NDArray[Any]:
    """Return the values of the classes at the image's own size, as `tedm.extract.images.write_prediction` writes them."""
    size, geometry = pictures[0].size, settings.geometry
    planes = [
        mask_at_own_size(each.decisive, size, geometry, picture.intensities(settings.image_channels) if edges else None)
        for each, picture in zip(predictions, pictures, strict=True)
    ]
    mask = planes[0] if axis is None else np.stack(planes)
    if cleaning:
        mask = cleaning.enlarged(pixels_of_a_cell(size, settings.image_size, geometry))(mask)
    if axis is not None:
        mask = np.moveaxis(mask, 0, axis)
    low, high = min(head.classes), max(head.classes)
    dtype = np.int32 if low < 0 or high >= 2**16 else np.uint8 if high < 256 else np.uint16
    return np.array(head.classes, dtype)[mask]
