"""A volume and its slices: which axis of the file is cut, and how a slice is shown.

A file keeps voxels along three axes of its own; its affine says where these lead. Slices are cut along one of them and always
shown the same way, as radiologists look at them: towards the patient's left, back or feet is right or down, so that an axial
slice has the front at the top and the patient's right hand at its left. `to_slices` and `from_slices` go there and back; a
volume that is cut and put together again is the one of the file, voxel by voxel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tedm.jsons import JsonValue

FileKind = Literal["nifti", "nrrd", "dicom"]
Matrix = tuple[tuple[float, float, float, float], ...]
MOST_VOXELS = 2**33  # of a volume


@dataclass(frozen=True)
class Slice:
    """Where an image is in a volume.

    Parameters
    ----------
    volume : int
        Position of the volume among all; -1 for an image that is no slice.
    index : int
        The voxel index along the file's own axis that is cut.
    top, left, height, width : int
        The part of the slice that the image shows, in voxels; it may reach beyond the slice. A height of 0 is the whole slice.
    """

    volume: int
    index: int
    top: int = 0
    left: int = 0
    height: int = 0
    width: int = 0


NO_SLICE = Slice(-1, 0)


@dataclass(frozen=True)
class Volume:
    """A volume as its file has it, and how it is cut.

    Parameters
    ----------
    name : str
        Unique; its slices are called after it.
    shape : tuple of three int
        Voxels along each of the file's axes.
    affine : tuple of four tuples of four float
        From voxel indices to millimetres, towards the patient's right, front and head (RAS+).
    axes : tuple of three int
        The file's axes that are counted by slices, rows and columns.
    flips : tuple of three bool
        Whether slices, rows and columns are counted against the file's axis.
    kind : {"nifti", "nrrd", "dicom"}
        What kind of file it is.
    qform_code, sform_code : int
        NIfTI's codes for what the affine leads to; 0 where there is none.
    """

    name: str
    shape: tuple[int, int, int]
    affine: Matrix
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    kind: FileKind = "nifti"
    qform_code: int = 0
    sform_code: int = 0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as an array of shape (4, 4)."""
        return np.array(self.affine, np.float64)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from voxel to voxel along each of the file's axes."""
        steps = np.sqrt((self.matrix[:3, :3] ** 2).sum(axis=0))
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def slice_size(self) -> tuple[int, int]:
        """Height and width of a slice, in voxels."""
        return self.shape[self.axes[1]], self.shape[self.axes[2]]

    @property
    def indices(self) -> range:
        """Indices of the slices along the file's axis, in the order in which they are counted."""
        count = self.shape[self.axes[0]]
        return range(count - 1, -1, -1) if self.flips[0] else range(count)

    def slice_name(self, index: int) -> str:
        """Return what the slice at an index of the file's axis is called.

        Examples
        --------
        >>> eye = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0))
        >>> volume = Volume("sub-1", (4, 5, 120), eye, (2, 1, 0), (False, False, False))
        >>> volume.slice_name(7)
        'sub-1_007'
        """
        digits = max(3, len(str(self.shape[self.axes[0]] - 1)))
        return f"{self.name}_{index:0{digits}d}"

    def to_slices(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Return the file's voxels, of shape `shape`, as a view of shape (slices, height, width)."""
        turned = voxels.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def from_slices(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Return the inverse of `to_slices`: a view in the file's own axes; further axes stay behind these."""
        straight = slices[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return straight.transpose((*(int(axis) for axis in np.argsort(self.axes)), *range(3, slices.ndim)))

    def slice_of(self, voxels: NDArray[Any], index: int) -> NDArray[Any]:
        """Return one slice of the file's voxels, of shape (height, width), by its index along the file's axis."""
        turned: NDArray[Any] = voxels.transpose(self.axes)[index]
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips[1:])]

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`; a `ValueError` that says what cannot be so."""
        try:
            volume = msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        if problem := problem_of_volume(volume):
            raise ValueError(problem)
        return volume


def problem_of_volume(volume: Volume) -> str | None:
    """Return what cannot be so in a volume of the right types; None if it can."""
    if min(volume.shape) < 1 or math.prod(volume.shape) > MOST_VOXELS:
        return f"its shape is {volume.shape}, not 1 to {MOST_VOXELS} voxels"
    if sorted(volume.axes) != [0, 1, 2]:
        return f"its axes are {volume.axes}, not 0, 1 and 2 in some order"
    if [len(row) for row in volume.affine] != [4] * 4 or not np.isfinite(volume.matrix).all():
        return "its affine is no matrix of 4 x 4 numbers"
    return None
