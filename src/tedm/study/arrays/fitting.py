"""A head fitted on arrays: features are computed into a store that is gone when the head is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from numpy.typing import ArrayLike

from tedm.devices import choose_device
from tedm.extract import Backbone, extract_views, labelled_pictures, load_backbone, store_of
from tedm.heads import (
    ClassWeight,
    HeadOptions,
    Method,
    Progress,
    Sampling,
    Segmenter,
    default_method,
    fit,
    method_named,
    with_head,
)
from tedm.jsons import JsonValue
from tedm.keywords import plain_keywords
from tedm.store.settings import Geometry
from tedm.study.arrays.session import warn
from tedm.study.fit import FEW, with_views_there
from tedm.study.predict import Device
from tedm.study.stages import Log


@plain_keywords
def fit_images(
    images: Sequence[ArrayLike],
    masks: Sequence[ArrayLike | None],
    backbone: Backbone | Path | str,
    *,
    method: Method | str | None = None,
    head: object = None,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    axis: int | None = None,
    classes: Sequence[int] | None = None,
    ignore: int | None = None,
    intensity_range: tuple[float, float] | None = None,
    geometry: Geometry = "pad",
    noise_seed: int = 0,
    name: str | None = None,
    pixels_per_image: int | None = None,
    sampling: Sampling | None = None,
    iterations: int | None = None,
    learning_rate: float | None = None,
    batch: Literal["pixels", "images"] | None = None,
    pixels_per_batch: int | None = None,
    images_per_batch: int | None = None,
    ridge: float | Sequence[float] | Literal["auto"] | None = None,
    select: Literal["cv", "val"] | None = None,
    patience: int | None = None,
    class_weight: ClassWeight = None,
    precision: Literal["auto", "float32", "bfloat16"] | None = None,
    params: Mapping[str, JsonValue] | None = None,
    calibrate: bool = False,
    seed: int = 0,
    device: Device = "auto",
    memory: int | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
    log: Log = warn,
) -> Segmenter:
    """Fit a head on images and masks that lie in memory.

    The head is the one that extraction and a fit make of files with the same numbers and the same names.

    Parameters
    ----------
    images : sequence of arrays of shape (height, width) or (height, width, channels); with `axis` of volumes
        See `segment` for their black and white.
    masks : sequence of arrays of shape (height, width), or None
        Class values, of a volume of its shape; None for an image without labels.
    backbone : Backbone or path
        The pretrained denoiser, or its checkpoint.
    method : Method, str or None
        "tedm", say; see `tedm.heads.method_named`. None is the default of tedm-fit, with its views of few training images, or
        "tedm" where further arguments are for one kind of head.
    head : str, classifier or None
        Another head than the method's; see `tedm.heads.fit`.
    names : sequence of str or None
        By which noise and pixels are drawn, as they are by the names of files; None numbers the images.
    groups : sequence of str or None
        The patient of each image or volume; None takes each for one of its own.
    splits : sequence of {"train", "val", "test", ""} or None
        None learns from all. Images of "val" are for `patience`, `select` and `calibrate`.
    axis : int or None
        Which axis of volumes counts their slices.
    classes, ignore
        The values that masks may hold, and the one of pixels without a label; see `tedm.extract.read_manifest`.
    intensity_range : tuple of two floats or None
        Black and white in the arrays' numbers, where these have more than 8 bits.
    geometry, noise_seed
        See `tedm.extract.extract`.
    name, pixels_per_image, sampling, iterations, learning_rate, batch, pixels_per_batch, images_per_batch, ridge, select
    patience, class_weight, precision, params, calibrate, seed, memory, progress
        See `tedm.heads.fit`.
    device : {"auto", "cpu", "cuda"}
        Where backbone and head compute.
    scratch : Path or None
        The folder in which the features lie until the head is fitted; None takes the system's for temporary files.
    log : callable (str)
        Takes remarks; by default they are warnings.

    Returns
    -------
    Segmenter
        For `segment`, or `tedm.heads.save_head`.

    Raises
    ------
    TedmError
        If images or masks cannot be used, or as `tedm.heads.fit` does. No file is left behind.

    Examples
    --------
    head = fit_images(images, masks, "ddpm.safetensors", iterations=500)
    """
    if method is None:
        asked = HeadOptions(
            iterations,
            learning_rate,
            batch,
            pixels_per_batch,
            images_per_batch,
            ridge,
            select,
            patience,
            class_weight,
            precision,
        )
        method = default_method(asked, head is not None, params)
    method, params = with_head(method_named(method) if isinstance(method, str) else method, head, params)
    loaded = backbone if isinstance(backbone, Backbone) else load_backbone(Path(backbone))
    black_white = None if intensity_range is None else (float(intensity_range[0]), float(intensity_range[1]))
    labelled = labelled_pictures(
        images,
        masks,
        names=names,
        groups=groups,
        splits=splits,
        axis=axis,
        classes=classes,
        ignore=ignore,
        channels=loaded.image_channels,
        intensity_range=black_white,
    )
    for remark in labelled.remarks:
        log(remark)
    with TemporaryDirectory(prefix="tedm-", dir=scratch) as folder:
        store = store_of(
            Path(folder) / "features",
            labelled,
            loaded,
            timesteps=method.timesteps or (1,),  # a head that looks at images reads none, and a store has one
            geometry=geometry,
            intensity_range=black_white,
            noise_seed=noise_seed,
            device=device,
        )
        if method.views and sum(each.mask is not None and each.split == "train" for each in labelled.pictures) <= FEW:
            extract_views(store, loaded, method.views, device=device)
        method = with_views_there(store, method)
        return fit(
            store,
            method,
            name=name,
            pixels_per_image=pixels_per_image,
            sampling=sampling,
            iterations=iterations,
            learning_rate=learning_rate,
            batch=batch,
            pixels_per_batch=pixels_per_batch,
            images_per_batch=images_per_batch,
            ridge=ridge,
            select=select,
            patience=patience,
            class_weight=class_weight,
            precision=precision,
            params=params,
            calibrate=calibrate,
            seed=seed,
            device=choose_device(device),
            memory=memory,
            progress=progress,
        )
