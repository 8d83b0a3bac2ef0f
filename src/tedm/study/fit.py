"""A head fitted and saved as a folder, going on where an earlier run was stopped, and what came of it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tedm.files import beside, discard, reserved
from tedm.heads import (
    HERE,
    JURIES,
    MANY,
    METHODS,
    VAL_IMAGES,
    HeadOptions,
    Method,
    Order,
    Progress,
    Sampling,
    Segmenter,
    Workers,
    by_number,
    fit,
    order_of,
    save_head,
    training_subset,
    views_of_each,
)
from tedm.jsons import JsonValue
from tedm.networks.pretrained import Pretrained
from tedm.store import Features, Labels
from tedm.store.splits import images_to_learn_from, labelled_images
from tedm.text import called, counted, listed

NO_OPTIONS = HeadOptions()
REMEDY = "name another folder"
GO_ON = "make room and run the same command again: what was learned is kept beside it"
MAKE_ROOM = "make room or name another folder, and run the command again"
MOST = 6  # groups that are named
FEW = 25  # training images up to which their views are made unasked: they cost eight times their extraction


def fit_folder(
    folder: Path,
    features: Features,
    method: Method,
    options: HeadOptions = NO_OPTIONS,
    *,
    name: str | None = None,
    split: str | None = "train",
    domain: str | None = None,
    images: int | None = None,
    groups: int | None = None,
    order: Order | None = None,
    pixels_per_image: int | None = None,
    sampling: Sampling | None = None,
    params: Mapping[str, JsonValue] | None = None,
    start: Pretrained | None = None,
    calibrate: bool = False,
    seed: int = 0,
    device: str = "cpu",
    memory: int | None = None,
    workers: Workers = HERE,
    progress: Progress | None = None,
) -> Segmenter:
    """Fit a head and save it; a fit that was stopped goes on when the same call is made again.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty. The state of a fit under way lies beside it, and is deleted in the end.
    features, method, name, split, domain, images, groups, order, pixels_per_image, sampling, params, start, calibrate, seed
    device, memory, workers
        See `tedm.heads.fit`.
    options : HeadOptions
        What is asked of the head.
    progress : callable (done, all, loss) or None

    Returns
    -------
    Segmenter

    Raises
    ------
    TedmError
        As `tedm.heads.fit` does, or if the folder is taken or cannot be written.
    """
    with reserved(folder, what="the head", remedy=REMEDY):
        checkpoint = beside(folder, ".fit")
        head = fit(
            features,
            method,
            name=name,
            split=split,
            domain=domain,
            images=images,
            groups=groups,
            order=order,
            pixels_per_image=pixels_per_image,
            sampling=sampling,
            iterations=options.iterations,
            learning_rate=options.learning_rate,
            batch=options.batch,
            pixels_per_batch=options.pixels_per_batch,
            images_per_batch=options.images_per_batch,
            ridge=options.ridge,
            select=options.select,
            patience=options.patience,
            class_weight=options.class_weight,
            precision=options.precision,
            params=params,
            start=start,
            calibrate=calibrate,
            seed=seed,
            device=device,
            memory=memory,
            workers=workers,
            checkpoint=checkpoint,
            progress=progress,
        )
        save_head(head, folder, remedy=GO_ON if checkpoint.exists() else MAKE_ROOM)
    discard(checkpoint)
    return head


def fit_summary(head: Segmenter) -> str:
    """Return in one line what a head is, what it learned from, and how the loss went."""
    method, report = head.method, head.provenance.report
    named = f"{method.name} as published" if method.published else method.name
    called = named if head.label == method.name else f"{head.label}, {named}"
    iterations = "" if report.iterations is None else f", {counted(report.iterations, 'iteration')}"
    loss = "" if report.fall is None else f", loss {report.loss_curve[-1]:.4f} ({course(report.fall)} in its last tenth)"
    groups = "" if head.provenance.groups is None else f" of {counted(head.provenance.groups, 'group')}"
    views = f" with {counted(method.views, 'view')} of each" if method.views else ""
    reads = f"rows {method.rows}, {counted(len(method.timesteps), 'timestep')}"
    return (
        f"{called} ({method.head}, {'looks at images' if method.looks_at_images else reads}) from "
        f"{counted(len(head.provenance.images), 'image')}{groups}{views}{iterations}{loss}"
    )


def with_views_there(features: Features, method: Method, *, split: str | None = "train", domain: str | None = None) -> Method:
    """Return the default method, or its fast variant, with the views that there are, at most as many as it would learn from.

    Parameters
    ----------
    features : Features
    method : Method
    split, domain : str or None
        Of the images that may be learned from: all of them must have the views.

    Returns
    -------
    Method
        The same, with fewer views where images have fewer; any other method keeps the number that it asks for.
    """
    if not method.views or method.name not in JURIES:
        return method
    there = views_of_each(features, images_to_learn_from(features.labels, split=split, domain=domain))
    return replace(method, views=min(method.views, there))


def method_remarks(
    method: Method, options: HeadOptions = NO_OPTIONS, params: Mapping[str, JsonValue] | None = None, *, named: bool
) -> list[str]:
    """Return what whoever fits one of `JURIES` should know before the fit: what it is, and whether views are missing.

    Parameters
    ----------
    method : Method
        As it is asked for.
    options, params
        What else is asked of its head.
    named : bool
        Whether the user named it.
    """
    if method.name not in JURIES:
        return []
    usual = METHODS[method.name].views
    learns = f" and {counted(method.views, 'view')} of each" if method.views else ""
    network = by_number(method, 1, options, params) != method
    kind = "a network" if JURIES[method.name] == "unet" else "the diffusion model itself, trained further,"
    also = f" (from {MANY} images on 3), and {kind} from the images alone; both" if network else " and"
    told = [
        f"{method.name}: {counted(method.members, 'classifier')}, {counted(len(method.timesteps), 'timestep')} side by side, "
        f"learn from the images{learns}{also} vote; specks are dropped" + ("" if named else "; --method chooses another")
    ]
    if not network:
        told.append(
            "note: no network votes, since what else was asked is of MLPs alone; a network has its vote where no more is asked "
            "than --iterations, --class-weight and --precision"
        )
    if method.views < usual:
        told.append(
            f"note: {counted(method.views, 'view') if method.views else 'no views'} of training images here; from few labels "
            f"{usual} give better masks: the same tedm-extract with --views {usual}, and fit again"
        )
    return told


def training_remarks(
    labels: Labels,
    *,
    split: str | None = "train",
    domain: str | None = None,
    images: int | None = None,
    groups: int | None = None,
    seed: int = 0,
    order: Order | None = None,
    method: Method | None = None,
) -> list[str]:
    """Return what whoever asks for a number of images should know before the fit: that they are of fewer groups than can be.

    Parameters
    ----------
    labels : Labels
    split, domain, images, groups, seed, order, method
        See `tedm.heads.fit`.

    Returns
    -------
    list of str
        Empty where groups were asked for, or as many groups as there are or as there are images give them.

    Raises
    ------
    TedmError
        As `tedm.heads.fit` does, if there are not so many images.
    """
    if images is None or groups is not None:
        return []
    candidates = images_to_learn_from(labels, split=split, domain=domain)
    order = order or ("seed" if method is None else order_of(method))
    taken = training_subset(labels, candidates, images=images, groups=None, seed=seed, order=order)
    of = dict(zip(candidates, labels.group_of(candidates), strict=True))
    there = {of[name] or name for name in candidates}
    mine = list(dict.fromkeys(of[name] or name for name in taken))
    if len(mine) >= min(images, len(there)):
        return []
    patients = f"{counted(len(mine), 'patient')} of {len(there)}: {listed(mine, most=MOST)}"
    return [f"note: {counted(images, 'image')} of {patients}; --groups counts patients"]


def published_remarks(features: Features, method: Method, *, domain: str | None = None) -> list[str]:
    """Return what whoever asks for a method as published should know before the fit: what a fit cannot set, and is not so.

    Parameters
    ----------
    features : Features
    method : Method
        What `tedm.heads.method_named` gave with `published`.
    domain : str or None
        Where the val images are from.

    Returns
    -------
    list of str
        A sentence for each setting of these features that is not as the published code has it, with the option of tedm-extract
        that would give it; one sentence where the method has nothing published that is to be set.
    """
    if not method.published:
        return [
            f"note: {method.name} is fitted as without --as-published: the published code computes a standardisation for it "
            "and does not apply it"
        ]
    settings, val = features.settings, labelled_images(features.labels, split="val", domain=domain)
    low, high = settings.input_range
    such, notes = "makes such features", []
    if settings.input_range != (0.0, 1.0):
        notes.append(f"reads images in [0, 1], and these are in [{low:g}, {high:g}]; tedm-extract --input-range=0,1 {such}")
    if settings.geometry != "stretch":
        notes.append(f"stretches images to squares, and these are padded; tedm-extract --geometry stretch {such}")
    if settings.draws == 1:
        notes.append("draws new noise at every pass, and here is one draw of each image; tedm-extract --draws K makes K")
    if val and len(val) != VAL_IMAGES:
        notes.append(f"chooses on {VAL_IMAGES} labelled val images, and here are {len(val)}; tedm-label moves images to val")
    return [f"note: the published code {note}" for note in notes]


def fit_remarks(head: Segmenter) -> list[str]:
    """Return what whoever fitted should know: what the head itself tells, and what weights and temperature were worth."""
    provenance, remarks = head.provenance, head.estimator.remarks()
    val = f"{counted(len(provenance.chosen_on), 'image')} of the val split"
    if provenance.learned_weights is not None:
        worth = provenance.learned_weights
        remarks.append(f"weights learned on {val}: cross-entropy {worth.after:.4f}, with equal weights {worth.before:.4f}")
    if head.calibration is not None and provenance.calibration is not None:
        worth = provenance.calibration
        remarks.append(
            f"temperature {head.calibration.temperature:.3f}, fitted on {val}: cross-entropy {worth.after:.4f}, "
            f"before {worth.before:.4f}"
        )
    return remarks


def absent_classes(features: Features, head: Segmenter) -> list[str]:
    """Return a remark on classes that no image shows which a head has learned from; masks are read until all have been seen."""
    unseen = set(range(len(head.classes)))
    for name in head.provenance.images:
        if not unseen:
            break
        if features.labels.has(name):
            unseen -= set(np.unique(features.mask(name)).tolist())
    if not unseen:
        return []
    values = [called(value, head.named_classes.get(value, "")) for index, value in enumerate(head.classes) if index in unseen]
    have = "has" if len(values) == 1 else "have"
    return [
        f"note: {listed(values)} {have} no labelled pixel in the images that were learned from, so the head cannot "
        "find them; add images that show them to the split train"
    ]


def course(fall: float) -> str:
    """Say in words how a loss went, from its relative fall, which is negative where it rose.

    Examples
    --------
    >>> course(0.031), course(-0.8), course(-0.0004)
    ('falling by 3.1 %', 'rising by 80.0 %', 'unchanged')
    """
    percent = f"{100 * abs(fall):.1f}"
    return "unchanged" if percent == "0.0" else f"{'falling' if fall > 0 else 'rising'} by {percent} %"
