"""Which of a file's axes is cut for a plane, and which way its slices are shown.

Slices are shown as radiologists look at them, see `tedm.store.volumes.volume`: what is towards the patient's left, back or feet
is at the right or at the bottom. They are counted towards the left, the back and the head.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tedm.packages import package
from tedm.store.volumes.volume import Matrix

Axis = Literal["axial", "coronal", "sagittal", "0", "1", "2"]
# Of slices, rows and columns: the axis of the patient (0 from left to right, 1 from back to front, 2 from feet to head, as in
# affines), and whether it is followed that way.
_LEFT, _BACK, _HEAD, _FEET = (0, False), (1, False), (2, True), (2, False)
_SHOWN = {"sagittal": (_LEFT, _FEET, _BACK), "coronal": (_BACK, _FEET, _LEFT), "axial": (_HEAD, _BACK, _LEFT)}


def oriented(affine: Matrix | NDArray[Any], axis: Axis) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return how a volume is cut along an axis, for `tedm.store.volumes.volume.Volume`.

    Parameters
    ----------
    affine : array of shape (4, 4)
        From voxel indices to millimetres in RAS+; of an oblique one, the patient's axis nearest to each file axis counts.
    axis : {"axial", "coronal", "sagittal", "0", "1", "2"}
        The plane, or an axis of the file: its slices are shown as those of the plane that is nearest.

    Returns
    -------
    axes : tuple of three int
        The file's axes that are counted by slices, rows and columns.
    flips : tuple of three bool
        Whether slices, rows and columns are counted against the file's axis.

    Raises
    ------
    ValueError
        If the affine is singular: no plane can be told.

    Examples
    --------
    >>> oriented(np.diag([-1.0, -1.0, 1.0, 1.0]), "axial")
    ((2, 1, 0), (False, False, False))
    """
    nearest = package("nibabel.orientations", "volumes", "a volume").io_orientation(np.asarray(affine, np.float64))
    if not np.isfinite(nearest).all():
        raise ValueError("the affine is singular: its axes do not span the space")
    of_patient = [int(each) for each in nearest[:, 0]]
    plane = axis if axis in _SHOWN else tuple(_SHOWN)[of_patient[int(axis)]]
    axes, flips = [], []
    for patient, rising in _SHOWN[plane]:
        axes.append(of_patient.index(patient))
        flips.append((nearest[axes[-1], 1] > 0) != rising)
    return (axes[0], axes[1], axes[2]), (bool(flips[0]), bool(flips[1]), bool(flips[2]))
