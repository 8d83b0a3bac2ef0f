"""What a file of a volume says about itself before its voxels are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tedm.store.volumes.volume import FileKind, Matrix


@dataclass(frozen=True)
class VolumeHeader:
    """A volume's file, or the files of a series, before decoding.

    Parameters
    ----------
    kind : {"nifti", "nrrd", "dicom"}
        What kind of file it is.
    shape : tuple of three int
        Voxels along each of the file's axes.
    channels : int
        Volumes in the file: more than 1 for 4D files.
    affine : tuple of four tuples of four float
        From voxel indices to millimetres, towards the patient's right, front and head (RAS+).
    qform_code, sform_code : int
        NIfTI's codes for what the affine leads to; 0 where there is none.
    mode : str
        The type of the numbers after slope and intercept, as NumPy calls it.
    bits : int
        Bits of a stored number; fewer than its type has where the file says so.
    white : float or None
        The largest number that the type can hold, where it is an unsigned integer without slope and intercept; its black is 0.
    files : tuple of Path
        What is read: one file, or those of a series in their order along its normal.
    remarks : tuple of str
        What was assumed, for people: an orientation that the file does not say, say.
    """

    kind: FileKind
    shape: tuple[int, int, int]
    channels: int
    affine: Matrix
    qform_code: int
    sform_code: int
    mode: str
    bits: int
    white: float | None
    files: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
