"""One DICOM file: what it says about its pictures, checked before a pixel is decoded.

A file has one picture, or, of the enhanced kinds, many with a place of their own each. Only the attributes that are needed are
read, none longer than the file, and pixel data that the file does not have are found here. pydicom does the reading; what it
warns and logs meanwhile stays with us, since whatever matters ends in one sentence.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tedm.errors import TedmError
from tedm.extract.reading import naming
from tedm.foreign import require_plain
from tedm.packages import package
from tedm.text import counted, shown

PIXEL_DATA = 0x7FE00010
FIRST_PIXELS = 0x7FE00008  # of floats
UNDEFINED = 0xFFFFFFFF  # the length of what ends with a delimiter
LARGEST = 1e12  # of millimetres, slopes and intercepts: beyond it sums overflow
SEGMENTATION, DOSE = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
# What may tell pictures at one place apart, for people.
MARKS = ("TemporalPositionIdentifier", "EchoNumbers", "EchoTime", "AcquisitionNumber", "DiffusionBValue")
FRAME_MARKS = ("StackID", "TemporalPositionIndex")  # the same, in files of many pictures
GROUPS = ("PlanePosition", "PlaneOrientation", "PixelMeasures", "PixelValueTransformation", "FrameContent")
KEYWORDS = (
    *("SOPClassUID", "ImageType", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "ModalityLUTSequence"),
    *("RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("ImagerPixelSpacing", "SliceThickness", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)


@dataclass(frozen=True)
class Picture:
    """One slice of a file, and where it is.

    Parameters
    ----------
    path : Path
    index : int or None
        Its place among the pictures of its file, from 0; None in a file of one.
    position, orientation : tuple of three and of six float, or None
        The first pixel's place, and the directions of a row and of a column, towards the patient's left, back and head.
    spacing : tuple of two float, or None
        Millimetres from row to row and from column to column.
    thickness : float or None
        Millimetres.
    slope, intercept : float
        Of the rescaling.
    marks : tuple of pairs of str
        What may tell it from another one at the same place.
    """

    path: Path
    index: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float = 1.0
    intercept: float = 0.0
    marks: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return shown(self.path.name) if self.index is None else f"picture {self.index + 1} of {shown(self.path.name)}"


@dataclass(frozen=True)
class DicomFile:
    """What a file says of itself.

    Parameters
    ----------
    path : Path
    syntax : str
        The UID of its transfer syntax.
    rows, columns, allocated, stored : int
        Size of a picture, and bits of a number.
    signed : bool
        Whether numbers have a sign.
    photometric : str
        MONOCHROME1 or MONOCHROME2.
    padding : int or None
        The number of pixels that are outside of the picture.
    pictures : tuple of Picture
    start : int
        Where its pixel data begin, in bytes.
    vr : str
        What the file calls their type.
    remarks : tuple of str
    """

    path: Path
    syntax: str
    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool
    photometric: str
    padding: int | None
    pictures: tuple[Picture, ...]
    start: int
    vr: str
    remarks: tuple[str, ...]

    @property
    def inverted(self) -> bool:
        """Whether large numbers are dark."""
        return self.photometric == "MONOCHROME1"


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Keep what the DICOM packages warn and log in this thread, and turn all that they raise into one sentence on a file."""
    mine = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != mine

    package("pydicom", "dicom", str(path))
    known = tuple(logging.root.manager.loggerDict)  # a logger's filters are its own, and not those of the loggers below it
    loggers = [logging.getLogger(name) for name in known if name.split(".")[0] in ("pydicom", "highdicom")]
    for logger in loggers:
        logger.addFilter(of_others)
    try:
        with naming(path, "a DICOM file"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TedmError as error:
        if isinstance(error.__cause__, EOFError):
            raise cut_short(path) from error
        raise
    finally:
        for logger in loggers:
            logger.removeFilter(of_others)


def cut_short(path: Path, why: str = "") -> TedmError:
    """Return the refusal of a file whose end is missing."""
    return TedmError(f"{path}: is cut short{why and f', {why}'}; copy it again from where it came from")


def begins_as_dicom(path: Path) -> bool:
    """Say whether a file has the four letters at byte 128 that DICOM files have."""
    try:
        require_plain(path)
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except (OSError, ValueError):
        return False


def read_attributes(file: BinaryIO, keywords: Sequence[str], until: int) -> Any:
    """Read some attributes of an open file up to a tag, where the file stands after it.

    Raises
    ------
    EOFError
        If an attribute is longer than the rest of the file.
    """
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_partial

    size, too_long = os.fstat(file.fileno()).st_size, False

    def stops(tag: int, vr: str | None, length: int) -> bool:
        nonlocal too_long
        too_long = too_long or (tag < until and length != UNDEFINED and file.tell() + length > size)
        return too_long or tag >= until

    tags: list[Any] = [tag_for_keyword(keyword) for keyword in keywords]
    found = read_partial(file, stop_when=stops, specific_tags=tags)
    if too_long:
        raise EOFError
    return found


def transfer_syntax(path: Path) -> str:
    """Return the UID of a file's transfer syntax, or refuse what cannot be read without surprises."""
    from pydicom.filereader import read_file_meta_info

    if not begins_as_dicom(path):
        if not require_plain(path):
            raise cut_short(path, "it is empty")
        with path.open("rb"):  # it may be one that may not be read
            pass
        raise TedmError(f'{path}: no DICOM file (byte 128 is not the "DICM" of one); save it as DICOM, or take it away')
    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", None) or "")
    if not syntax:
        raise TedmError(f"{path}: does not say its transfer syntax; save it anew with one")
    if syntax == DEFLATED:  # all of it would be inflated at once, however large it is
        raise TedmError(f"{path}: its transfer syntax, Deflated Explicit VR Little Endian, is not read; save it uncompressed")
    return syntax


def read_file(path: Path) -> DicomFile:
    """Read what a file says about its pictures.

    Raises
    ------
    TedmError
        If it cannot be read, is cut short, or has pictures of a kind that is none of a volume.
    """
    with plainly(path):
        syntax = transfer_syntax(path)
        with path.open("rb") as file:
            found = read_attributes(file, (*KEYWORDS, *MARKS), FIRST_PIXELS)
            _require_kind(path, found)
            rows, columns = _whole(path, found, "Rows"), _whole(path, found, "Columns")
            allocated, count = _whole(path, found, "BitsAllocated"), _whole(path, found, "NumberOfFrames", 1)
            stored = _whole(path, found, "BitsStored", allocated)
            if allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
                raise TedmError(f"{path}: numbers of {stored} in {allocated} bits are not read; save 8, 16 or 32 bits")
            if int(found.get("HighBit", stored - 1)) != stored - 1:
                raise TedmError(f"{path}: HighBit is {found.HighBit} and not {stored - 1}, which is not read; save it anew")
            signed = int(found.get("PixelRepresentation", 0)) == 1
            pictures, remarks = _pictures(path, found, count), []
            start, vr, spare = _pixel_data(path, file, found, rows * columns * count * allocated // 8)
        if spare:
            remarks.append(f"{path.name}: its pixel data are {spare} bytes longer than its pictures, which are not read")
        if found.get("PixelSpacing") is None and found.get("ImagerPixelSpacing") is not None:
            remarks.append(f"{path.name}: its pixel spacing is that at the detector (ImagerPixelSpacing)")
        if "MOSAIC" in texts_of(found.get("ImageType")):
            remarks.append(f"{path.name}: a mosaic, many slices as tiles of one picture, which are not taken apart")
        padding = _padding(found.get("PixelPaddingValue"), signed, found.is_little_endian)
        photometric = str(found.get("PhotometricInterpretation", ""))
    return DicomFile(
        path, syntax, rows, columns, allocated, stored, signed, photometric, padding, pictures, start, vr, tuple(remarks)
    )


def _require_kind(path: Path, found: Any) -> None:
    """Refuse what is no picture in grey levels."""
    from pydicom.uid import UID

    kind = str(found.get("SOPClassUID", None) or "")
    if kind == SEGMENTATION:
        raise TedmError(f"{path}: a DICOM segmentation, which is not read; save it as NIfTI in the geometry of its images")
    if kind == DOSE:
        raise TedmError(f"{path}: an RT dose, no image; take it away")
    if found.get("Rows") is None:
        what = f" ({UID(kind).name})" if kind else ""
        raise TedmError(f"{path}: a DICOM file without a picture{what}; take it away, or copy it again if it should have one")
    photometric, samples = str(found.get("PhotometricInterpretation", "")), found.get("SamplesPerPixel", 1)
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or samples != 1:
        raise TedmError(f"{path}: colours ({shown(photometric) or 'unnamed'}) are not read; save grey levels (MONOCHROME2)")
    if found.get("ModalityLUTSequence"):
        raise TedmError(f"{path}: its numbers go through a table (Modality LUT), which is not applied; save it without one")


def _pixel_data(path: Path, file: BinaryIO, found: Any, needed: int) -> tuple[int, str, int]:
    """Return where the pixel data begin, their type, and how many bytes are too many; the file stands before them."""
    from pydicom.filereader import data_element_generator

    size = os.fstat(file.fileno()).st_size
    element: Any = next(data_element_generator(file, found.is_implicit_VR, found.is_little_endian, defer_size=1), None)
    if element is None:
        raise cut_short(path, "it has no pixel data")
    if element.tag != PIXEL_DATA:
        raise TedmError(f"{path}: its pixel data are floats or lie elsewhere, which is not read; save whole numbers")
    length, start = int(element.length), int(element.value_tell)
    if length == UNDEFINED:
        return start, str(element.VR or ""), 0
    if start + length > size or length < needed:
        raise cut_short(path, f"it has {max(0, min(length, size - start))} of {needed} bytes of pixel data")
    return start, str(element.VR or "OW"), length - needed if length >= needed + max(2, needed // 2) else 0


def _pictures(path: Path, found: Any, count: int) -> tuple[Picture, ...]:
    """Return the places of a file's pictures."""
    from pydicom.uid import UID

    shared, own = found.get("SharedFunctionalGroupsSequence"), found.get("PerFrameFunctionalGroupsSequence")
    if not shared and not own:
        if count > 1:
            kind = UID(str(found.get("SOPClassUID", None) or "unnamed")).name
            raise TedmError(
                f"{path}: {count} pictures in one file without a place of each ({shown(kind)}), which is not read; "
                "save a file for each slice, or NIfTI"
            )
        slope, intercept = _rescaling(path, found)
        marks = tuple((each, str(found.get(each))) for each in MARKS if found.get(each) is not None)
        spacing = _numbers(path, found, "PixelSpacing", 2) or _numbers(path, found, "ImagerPixelSpacing", 2)
        return (Picture(path, None, *_place(path, found, found), spacing, _thickness(found), slope, intercept, marks),)
    if len(own or ()) != count:
        raise TedmError(f"{path}: says that it has {counted(count, 'picture')}, and where {len(own or ())} are; save it anew")
    pictures = []
    for index, groups in enumerate(own):
        part = {name: _group(groups, shared, f"{name}Sequence") for name in GROUPS}
        place = _place(path, part["PlanePosition"], part["PlaneOrientation"])
        measures, content = part["PixelMeasures"], part["FrameContent"]
        spacing = _numbers(path, measures, "PixelSpacing", 2)
        marks = tuple((each, str(content.get(each))) for each in FRAME_MARKS if content.get(each) is not None)
        scale = _rescaling(path, part["PixelValueTransformation"])
        pictures.append(Picture(path, index, *place, spacing, _thickness(measures), *scale, marks))
    return tuple(pictures)


def _group(own: Any, shared: Any, name: str) -> Any:
    """Return a group of attributes of one picture, or that of all; an empty one where there is none."""
    from pydicom.dataset import Dataset

    for groups in (own, *(shared or ())):
        if found := groups.get(name):
            return found[0]
    return Dataset()


def _place(path: Path, position: Any, orientation: Any) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return position and orientation; None where there is none."""
    return (
        _numbers(path, position, "ImagePositionPatient", 3),
        _numbers(path, orientation, "ImageOrientationPatient", 6),
    )


def _thickness(found: Any) -> float | None:
    """Return how thick a slice is; None where the file does not say, or says nothing that can be."""
    try:
        value = float(found.get("SliceThickness"))
    except (TypeError, ValueError):
        return None
    return value if 0 < value < math.inf else None


def _rescaling(path: Path, found: Any) -> tuple[float, float]:
    """Return slope and intercept; 1 and 0 where there are none."""
    slope, intercept = _numbers(path, found, "RescaleSlope", 1), _numbers(path, found, "RescaleIntercept", 1)
    if slope == (0.0,):
        raise TedmError(f"{path}: RescaleSlope is 0, so that all its numbers are one; save it anew")
    return (slope or (1.0,))[0], (intercept or (0.0,))[0]


def _numbers(path: Path, found: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return some numbers of an attribute, of sizes that are met; None where it is not there or empty."""
    value = found.get(keyword)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    if not values:
        return None
    numbers = tuple(float(each) for each in values)
    if len(numbers) != count or not all(abs(each) <= LARGEST for each in numbers):
        raise TedmError(
            f"{path}: {keyword} is {shown(str(value))}, not {counted(count, 'number')} of a usual size; save it anew"
        )
    return numbers


def _whole(path: Path, found: Any, keyword: str, default: int | None = None) -> int:
    """Return a whole number from 1; refuse another one."""
    value = found.get(keyword)
    number = default if value is None else int(value)
    if number is None or number < 1:
        raise TedmError(f"{path}: {keyword} is {'missing' if number is None else number}; save it anew, or take it away")
    return number


def _padding(value: Any, signed: bool, little: bool) -> int | None:
    """Return the number of pixels outside of the picture; its type depends on another attribute, and may be left as bytes."""
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little" if little else "big", signed=signed) if len(value) >= 2 else None
    return None if value is None else int(value)


def texts_of(value: Any) -> list[str]:
    """Return the texts of an attribute of one or many."""
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]
