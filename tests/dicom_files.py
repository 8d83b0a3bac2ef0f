"""Small DICOM files for tests, made with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from tedm.errors import TedmError
from tedm.extract.volumes.dicom import read_header, read_voxels
from tedm.extract.volumes.header import VolumeHeader

SERIES = "1.2.826.0.1.3680043.8.498.1"


def dataset(numbers: NDArray[Any], **changes: Any) -> FileDataset:
    """One slice with the place (-20, -10, 5), 2 mm between rows and 1.5 mm between columns; None deletes an attribute."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(changes.pop("TransferSyntaxUID", ExplicitVRLittleEndian))
    meta.MediaStorageSOPClassUID = changes.get("SOPClassUID", MRImageStorage)
    meta.MediaStorageSOPInstanceUID = changes.get("SOPInstanceUID", "1.2.3.4")
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    frames = numbers.shape[0] if numbers.ndim == 3 else None
    bits = 8 * numbers.dtype.itemsize
    values: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": SERIES,
        "FrameOfReferenceUID": "1.2.3.9",
        "Modality": "MR",
        "PatientID": "anonymous",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "NumberOfFrames": frames,
        "Rows": numbers.shape[-2],
        "Columns": numbers.shape[-1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": changes.get("BitsStored", bits) - 1,
        "PixelRepresentation": int(numbers.dtype.kind == "i"),
        "ImagePositionPatient": [-20.0, -10.0, 5.0],
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "PixelSpacing": [2.0, 1.5],
        "SliceThickness": 3.0,
        **changes,
    }
    for name, value in values.items():
        if value is not None:
            setattr(made, name, value)
    made.PixelData = changes.get("PixelData", numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    if made.file_meta.TransferSyntaxUID.is_encapsulated:
        made.PixelData = encapsulate([made.PixelData])
        made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OW" if bits > 8 else "OB"
    return made


def save(path: Path, made: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def voxels_of(count: int = 5, dtype: str = "int16") -> NDArray[Any]:
    """Numbers of shape (columns, rows, slices), 6 x 4 in a slice, no two alike along any axis."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 100, (6, 4, count)).astype(dtype)


def write_series(
    folder: Path,
    voxels: NDArray[Any],
    *,
    places: Sequence[float] | None = None,
    step: Sequence[float] = (0.0, 0.0, 3.0),
    each: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> list[Path]:
    """A series whose names and instance numbers say nothing of its order; its files in the order of the slices.

    `places` are in steps from the first slice, `each` are changes of one slice.
    """
    count = voxels.shape[2]
    names = np.random.default_rng(1).permutation(count)
    start = np.array(changes.pop("ImagePositionPatient", [-20.0, -10.0, 5.0]))
    paths = []
    for at in range(count):
        place = start + (places[at] if places is not None else at) * np.array(step)
        own = {
            "ImagePositionPatient": [float(f"{value:.8g}") for value in place],
            "InstanceNumber": int(names[at] * 7 % count),
            "SOPInstanceUID": f"1.2.3.4.{at + 1}",
            **changes,
            **(each[at] if at < len(each) else {}),
        }
        paths.append(save(folder / f"IM{names[at]:04d}.dcm", dataset(voxels[:, :, at].T, **own)))
    return paths


def read(path: Path) -> tuple[VolumeHeader, NDArray[Any]]:
    """Header and voxels of a path."""
    header = read_header(path)
    return header, read_voxels(path, header)


def refusal(path: Path) -> str:
    """Why a path is not read, in one line."""
    with pytest.raises(TedmError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def enhanced(numbers: NDArray[Any], places: Sequence[float], **changes: Any) -> FileDataset:
    """One file of many slices, (slices, rows, columns), at `places` mm along z; each with a slope of its own."""
    made = dataset(
        numbers, SOPClassUID=EnhancedMRImageStorage, ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        SliceThickness=None, **changes,
    )  # fmt: skip
    own = []
    for at, place in enumerate(places):
        item = Dataset()
        item.PlanePositionSequence = [_dataset(ImagePositionPatient=[-20.0, -10.0, place])]
        item.PixelValueTransformationSequence = [_dataset(RescaleSlope=1.0 + at, RescaleIntercept=-5.0, RescaleType="US")]
        item.FrameContentSequence = [_dataset(StackID="1", InStackPositionNumber=1)]
        own.append(item)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_dataset(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])]
    shared.PixelMeasuresSequence = [_dataset(PixelSpacing=[2.0, 1.5], SliceThickness=3.0)]
    made.PerFrameFunctionalGroupsSequence, made.SharedFunctionalGroupsSequence = own, [shared]
    return made


def _dataset(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made
