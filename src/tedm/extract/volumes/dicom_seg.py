"""Label maps as DICOM segmentations (DICOM-SEG), which lie over the series that they are of.

Each class but the smallest value, the background, is a segment. What a class is has no code that others know: its codes are
private ones, of the scheme 99TEDM, with the class value as the code and the class's name as its meaning, so that both can be
had back from the file. highdicom writes it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tedm
from tedm.errors import TedmError
from tedm.files import PLACE, make_folder, write_whole
from tedm.packages import package
from tedm.store.volumes.volume import Volume
from tedm.text import listed

from .dicom import pictures_in_order
from .dicom_file import plainly

SCHEME = "99TEDM"
MEANING = 64  # characters that a code's meaning may have
_REPEATED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_OF_MANY = "PerFrameFunctionalGroupsSequence"  # what files of many slices each have


def write_dicom_seg(
    folder: Path,
    volume: Volume,
    labels: NDArray[Any],
    *,
    source: Sequence[Path],
    class_names: Mapping[int, str],
) -> Path:
    """Write a label map as a DICOM segmentation, `NAME.dcm`, whole or not at all.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    volume : Volume
        Of the series; `source` are its files.
    labels : array of shape `volume.shape`
        Class values in the file's axes: column, row and slice.
    source : sequence of Path
        The series' files.
    class_names : mapping of int to str
        Names of class values; others are called "class 3". Classes that are named and nowhere in the volume are segments
        without pixels.

    Returns
    -------
    Path
        What was written. Identifiers and dates are new ones each time.

    Raises
    ------
    TedmError
        If there is no class but the background, the files are not those of the volume, lack what a segmentation has to repeat
        of them, or the file cannot be written.
    """
    path = folder / f"{volume.name}.dcm"
    package("highdicom", "dicom", f"writing {path}")
    values = sorted({*map(int, np.unique(labels)), *class_names})
    if len(values) < 2:
        raise TedmError(f"{path}: only one class ({listed(values)}), and a DICOM segmentation has none for the background")
    pictures = pictures_in_order(source)
    if labels.shape != volume.shape or (len(pictures),) != volume.shape[2:]:
        raise TedmError(
            f"{path}: a label map of shape {labels.shape} for a volume of {volume.shape} from {len(pictures)} slices; "
            "predict again from the series' own files"
        )
    require_segmentable(source)
    segments = np.searchsorted(values, labels).astype(np.uint8 if len(values) <= 256 else np.uint16)
    frames = segments.transpose(2, 1, 0)
    if pictures[0].index is not None:  # in the order of the file
        frames = frames[np.argsort([picture.index or 0 for picture in pictures])]
    with plainly(source[0]):
        content = _segmentation([picture.path for picture in pictures], frames, values[1:], class_names)
    make_folder(folder)
    write_whole(path, content, what="the DICOM segmentation", remedy=PLACE)
    return path


def require_segmentable(source: Sequence[Path]) -> None:
    """Refuse a series that no DICOM segmentation can be of; only its first file is read.

    Parameters
    ----------
    source : sequence of Path
        The series' files.

    Raises
    ------
    TedmError
        If the file lacks what a segmentation has to repeat of it, or is one of several that hold many slices each.
    """
    dcmread, first = package("pydicom", "dicom", str(source[0])).dcmread, source[0]
    with plainly(first):
        said = dcmread(first, stop_before_pixels=True, specific_tags=[*_REPEATED, _OF_MANY])
        if len(source) > 1 and _OF_MANY in said:
            raise TedmError(
                f"{first}: a series of several files of many slices each cannot have a DICOM segmentation; write NIfTI"
            )
        lacking = [name for name in _REPEATED if name not in said]
        if lacking:
            raise TedmError(f"{first}: has no {listed(lacking)}, which a DICOM segmentation of it needs; write NIfTI")


def _segmentation(paths: Sequence[Path], frames: NDArray[Any], values: Sequence[int], names: Mapping[int, str]) -> bytes:
    """Return the bytes of a segmentation; `frames` counts `values` from 1, and 0 is none of them."""
    import highdicom
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
    from pydicom import dcmread
    from pydicom.sr.codedict import codes

    source = [dcmread(path, stop_before_pixels=True) for path in dict.fromkeys(paths)]
    for each in source:  # what a segmentation repeats of its images, and has to have, empty where it is not known
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
                     "StudyTime", "ReferringPhysicianName"):  # fmt: skip
            if name not in each:
                setattr(each, name, "")
    algorithm = highdicom.AlgorithmIdentificationSequence("tedm", codes.DCM.ArtificialIntelligence, tedm.__version__)
    category = highdicom.sr.CodedConcept("class", SCHEME, "Class of a label map")
    made = highdicom.seg.Segmentation(
        source_images=source,
        pixel_array=frames,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=(names.get(value) or f"class {value}")[:MEANING],
                segmented_property_category=category,
                segmented_property_type=highdicom.sr.CodedConcept(
                    str(value), SCHEME, (names.get(value) or f"class {value}")[:MEANING]
                ),
                algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
            for number, value in enumerate(values, 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=1000 + int(source[0].get("SeriesNumber") or 0) % 8000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="tedm",
        manufacturer_model_name="tedm",
        software_versions=tedm.__version__,
        device_serial_number="0",
        series_description="Segmentation by tedm",
        content_label="SEGMENTATION",
    )
    buffer = io.BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()
