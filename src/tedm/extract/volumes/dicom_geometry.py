"""The order of a series' slices, and the affine that follows from it.

Slices are ordered by their place along their common normal, (row x column) . ImagePositionPatient, and by nothing else. Voxel
indices are those of column, row and slice, as other tools convert DICOM to NIfTI. Slices need to be evenly spaced: each
distance may differ from the usual one by 1 %, or by 0.02 mm since places are often rounded, and no slice may be off the
straight line from the first to the last by more than a tenth of a distance. A slanted line is allowed, since a tilted gantry
makes one: the affine has the shear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store.volumes.volume import Matrix
from tedm.text import counted, listed

from .dicom_file import Picture

EVEN, ROUNDED, STRAIGHT = 0.01, 0.02, 0.1  # of a distance, mm, of a distance
TURNED = 1e-3  # of a unit vector: directions that differ by less are one
ONE_PLACE, SMALLEST = 1e-3, 1e-6  # mm
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TO_RAS = np.diag([-1.0, -1.0, 1.0])  # DICOM counts towards left, back and head
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Arrangement:
    """Slices in their order, and where they are.

    Parameters
    ----------
    pictures : tuple of Picture
    affine : tuple of four tuples of four float
        From indices of column, row and slice to millimetres, RAS+.
    remarks : tuple of str
    """

    pictures: tuple[Picture, ...]
    affine: Matrix
    remarks: tuple[str, ...]


def arrange(where: Path, pictures: Sequence[Picture], same: Callable[[Picture, Picture], bool]) -> Arrangement:
    """Put slices in their order.

    Parameters
    ----------
    where : Path
        The series, for messages.
    pictures : sequence of Picture
        In any order.
    same : callable
        Whether two pictures have the same pixels; asked for those at one place, of which one is enough then.

    Raises
    ------
    TedmError
        If they are no evenly spaced slices of one volume.
    """
    remarks: list[str] = []
    rows, columns = _spacing(where, pictures, remarks)
    row, column = _directions(where, pictures, remarks)
    normal = np.cross(row, column)
    if pictures[0].position is None:
        places = np.zeros((1, 3))
        ordered = list(pictures)
    else:
        unordered = np.array([picture.position for picture in pictures])
        order = np.argsort(unordered @ normal, kind="stable")
        ordered, places = [pictures[at] for at in order], unordered[order]
        kept = _without_repeats(where, ordered, places @ normal, same, remarks)
        ordered, places = [ordered[at] for at in kept], places[kept]
    if len(ordered) > 1:
        _require_even(where, ordered, places @ normal)
        step = (places[-1] - places[0]) / (len(places) - 1)
        _require_straight(where, ordered, places, step)
        slant = np.degrees(np.arccos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
        if slant > 0.1:
            remarks.append(
                f"{where.name}: slices are slanted by {slant:.1f} degrees (a tilted gantry); the affine has the shear"
            )
    else:
        thickness = ordered[0].thickness
        if thickness is None:
            remarks.append(f"{where.name}: one slice that does not say how thick it is; 1 mm is assumed")
        step = normal * (thickness or 1.0)
    affine: NDArray[np.float64] = np.eye(4)
    affine[:3] = TO_RAS @ np.stack([row * columns, column * rows, step, places[0]], axis=1) + 0.0
    return Arrangement(tuple(ordered), tuple((a, b, c, d) for a, b, c, d in affine.tolist()), tuple(remarks))


def _spacing(where: Path, pictures: Sequence[Picture], remarks: list[str]) -> tuple[float, float]:
    """Return millimetres from row to row and from column to column."""
    first = pictures[0].spacing
    for picture in pictures:
        if picture.spacing is not None and min(picture.spacing) < SMALLEST:
            raise TedmError(f"{where}: PixelSpacing of {picture} is {_mm(picture.spacing)}, too small; save it anew")
        differ = (picture.spacing is None) != (first is None)
        if differ or (first and picture.spacing and not np.allclose(picture.spacing, first, rtol=EVEN, atol=0)):
            raise TedmError(
                f"{where}: slices with different pixel spacings ({_mm(first)} in {pictures[0]}, {_mm(picture.spacing)} in "
                f"{picture}); move those of one size elsewhere"
            )
    if first is None:
        remarks.append(f"{where.name}: no PixelSpacing; 1 mm is assumed")
        return 1.0, 1.0
    return first[0], first[1]


def _mm(spacing: Sequence[float] | None) -> str:
    return "none" if spacing is None else " x ".join(f"{each:.5g}" for each in spacing) + " mm"


def _directions(where: Path, pictures: Sequence[Picture], remarks: list[str]) -> tuple[Vector, Vector]:
    """Return unit vectors along a row and along a column."""
    lacking = [picture for picture in pictures if picture.position is None or picture.orientation is None]
    if lacking and len(pictures) > 1:
        raise TedmError(
            f"{where}: {len(lacking)} of {len(pictures)} slices do not say where they are (no ImagePositionPatient and "
            f"ImageOrientationPatient, {lacking[0]} say), so that their order is not known; save the volume as NIfTI, or "
            "put each file in a folder of its own"
        )
    first = pictures[0].orientation
    if lacking:
        remarks.append(f"{where.name}: does not say where it is in the patient; taken as an axial slice")
    if first is None:
        first = AXIAL
    for picture in pictures:
        mine = picture.orientation or first
        row, column = np.array(mine[:3]), np.array(mine[3:])
        lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
        if max(abs(float(row @ column)), abs(lengths[0] - 1), abs(lengths[1] - 1)) > TURNED:
            raise TedmError(f"{where}: ImageOrientationPatient of {picture} is {listed(mine)}, no two directions; save it anew")
        if np.abs(np.array(mine) - np.array(first)).max() > TURNED:
            raise TedmError(
                f"{where}: slices of different orientations ({pictures[0]} and {picture}); move those of one elsewhere"
            )
    row = np.array(first[:3]) / np.linalg.norm(first[:3])
    column = np.array(first[3:]) / np.linalg.norm(first[3:])
    return row, column


def _without_repeats(
    where: Path,
    ordered: Sequence[Picture],
    along: Vector,
    same: Callable[[Picture, Picture], bool],
    remarks: list[str],
) -> list[int]:
    """Return which slices are at places of their own; a second one with the same pixels is left out, another one refused."""
    kept, repeats = [0], 0
    for at in range(1, len(ordered)):
        if along[at] - along[kept[-1]] > ONE_PLACE:
            kept.append(at)
        elif same(ordered[kept[-1]], ordered[at]):
            repeats += 1
        else:
            one, other = ordered[kept[-1]], ordered[at]
            marks = dict(one.marks)
            differ = [f"{name} {marks[name]} and {value}" for name, value in other.marks if marks.get(name, value) != value]
            places = 1 + int((np.diff(along) > ONE_PLACE).sum())
            raise TedmError(
                f"{where}: two slices at one place with other pixels ({one} and {other}{'; ' if differ else ''}"
                f"{listed(differ, most=2)}): {counted(len(ordered), 'slice')} at {counted(places, 'place')}; "
                "keep the files of one volume in this folder, and move the others elsewhere"
            )
    if repeats:
        remarks.append(f"{where.name}: {counted(repeats, 'slice')} there twice with the same pixels, read once")
    return kept


def _require_even(where: Path, ordered: Sequence[Picture], along: Vector) -> None:
    """Refuse slices that are missing or unevenly spaced."""
    steps = np.diff(along)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    uneven = np.flatnonzero(np.abs(steps - usual) > max(EVEN * usual, min(ROUNDED, usual / 4)))
    if not len(uneven):
        return
    at = int(uneven[0])
    between = f"between {ordered[at]} and {ordered[at + 1]}, {steps[at]:.4g} mm apart where {usual:.4g} mm is usual"
    missing = round(steps[at] / usual) - 1
    if missing >= 1 and abs(steps[at] / usual - 1 - missing) < 0.1:
        more = f", and {len(uneven) - 1} more gaps" if len(uneven) > 1 else ""
        raise TedmError(f"{where}: {counted(missing, 'slice')} missing {between}{more}; copy the whole series again")
    raise TedmError(f"{where}: slices are unevenly spaced, first {between}; resample the volume, and save it as NIfTI")


def _require_straight(where: Path, ordered: Sequence[Picture], places: Vector, step: Vector) -> None:
    """Refuse slices that are shifted against each other in other ways than along a line."""
    off = np.linalg.norm(places - (places[0] + np.arange(len(places))[:, None] * step), axis=1)
    worst = int(off.argmax())
    if off[worst] > max(STRAIGHT * float(np.linalg.norm(step)), ROUNDED):
        raise TedmError(
            f"{where}: slices do not lie along one line ({ordered[worst]} is {off[worst]:.3g} mm off); resample the volume, "
            "and save it as NIfTI"
        )
