"""Heads are scored on whole volumes, each at its own resolution: a volume of a patient is one measurement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tedm.heads.evaluation.evaluate import records_of
from tedm.heads.evaluation.records import Record
from tedm.heads.metrics.measures import measure
from tedm.heads.metrics.surface import SURFACE_TOLERANCE
from tedm.heads.segmenter.identity import names_in_records, require_told_apart
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule
from tedm.store import Labels


@dataclass(frozen=True)
class VolumeMasks:
    """What a head makes of a volume, and the truth.

    Parameters
    ----------
    name : str
        The volume.
    head : str
        Key of the head.
    image : str
        One of the volume's slices: what is known of it holds for the volume.
    truth, prediction : array of shape (z, y, x)
        Class indices; 255 in the truth where there is no label.
    spacing : tuple of three float
        Millimetres from voxel to voxel along these axes.
    cell : float
        Voxels of a slice that a pixel at feature resolution stands for.
    """

    name: str
    head: str
    image: str
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    spacing: tuple[float, float, float]
    cell: float


def evaluate_volumes(
    labels: Labels,
    heads: Mapping[str, Segmenter],
    masks: Iterable[VolumeMasks],
    *,
    rule: VotingRule | None = None,
    timesteps: tuple[int, ...] | None = None,
    cleaning: Cleaning | None = None,
    distances: bool = False,
    tolerance: float | None = None,
) -> list[Record]:
    """Score masks of whole volumes.

    Parameters
    ----------
    labels : Labels
        Of the slices.
    heads : mapping of str to Segmenter
        They have not seen the volumes' patients; see `unseen_images`.
    masks : iterable of VolumeMasks
        One for each volume and head; taken one at a time.
    rule, timesteps
        How the heads vote; they are part of what the records call them.
    cleaning : Cleaning or None
        Also score each mask after it was cleaned so in three dimensions, as a method of its own; a pixel of its smallest area
        is one at feature resolution.
    distances : bool
        Whether distances between surfaces are measured, which takes seconds for each volume.
    tolerance : float or None
        Millimetres; see `tedm.heads.metrics.surface.surface_scores`.

    Returns
    -------
    list of Record
        One for each head, volume and class, of the resolution "volume"; their image is the volume's name.

    Raises
    ------
    TedmError
        If two heads could not be told apart, the tolerance is none, or distances cannot be measured here, before any mask is
        asked for.
    """
    mm = SURFACE_TOLERANCE if tolerance is None else tolerance
    methods = names_in_records(heads, rule=rule, timesteps=timesteps)
    require_told_apart(heads, methods, cleaning)
    if distances:  # of a voxel: what would fail does so now
        measure(voxel := np.zeros((1, 1, 1), np.uint8), voxel, 1, spacing=(1.0, 1.0, 1.0), tolerance=mm)
    records: list[Record] = []
    for each in masks:
        head = heads[each.head]
        variants = {methods[each.head]: each.prediction}
        if cleaning:
            variants[f"{methods[each.head]}+{cleaning}"] = cleaning.enlarged(each.cell)(each.prediction)
        for method, mask in variants.items():
            measures = measure(
                each.truth,
                mask,
                len(head.classes),
                spacing=each.spacing if distances else None,
                tolerance=mm,
            )
            scored = records_of(head, method, measures, labels, labels.index(each.image), image=each.name, resolution="volume")
            records += [replace(record, tolerance=mm) if distances else record for record in scored]
    return records
