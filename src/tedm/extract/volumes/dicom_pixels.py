"""Pixels of DICOM files: which package decodes them, and what their numbers mean.

pydicom takes the frames out of a file and puts decoded ones together, with pylibjpeg, pyjpegls or Pillow where a transfer
syntax needs them. Lossless and 12-bit JPEG it leaves to packages with another licence; here imagecodecs does these, through
pydicom's own interface for decoders and on a decoder of our own, so that pydicom stays as it is for everybody else.

Numbers are rescaled by the slope and intercept of their slice, and windows are not applied. Where large numbers are dark
(MONOCHROME1), they are turned round so that large is bright: unsigned ones become white minus the number, signed ones -1 minus
the number, rescaled ones the negative.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.text import shown

from .dicom_file import DicomFile, Picture, cut_short, plainly

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
OURS = (JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST)
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
RLE = "1.2.840.10008.1.2.5"
# What pydicom asks of a module that decodes.
DECODER_DEPENDENCIES = dict.fromkeys(OURS, ("imagecodecs>=2025.1",))
# Start of frame, where JPEG and JPEG-LS say how large a picture is.
SIZES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def is_available(uid: str) -> bool:
    """Say whether imagecodecs decodes a transfer syntax; pydicom asks."""
    import imagecodecs

    return uid in OURS and bool(imagecodecs.JPEG8.available)


def decode_with_imagecodecs(source: bytes, runner: Any) -> bytes:
    """Decode a frame of JPEG; pydicom asks, and `runner` is its description of the frame."""
    import imagecodecs

    decoded = imagecodecs.jpeg8_decode(source)
    runner.set_option("bits_allocated", 8 * decoded.dtype.itemsize)
    return decoded.tobytes()


def require_decodable(file: DicomFile) -> None:
    """Refuse a file whose pixels no package that is installed decodes, or are of another size than it says."""
    with plainly(file.path):
        decoder = _decoder(file.syntax)
        if decoder is None:
            raise _undecoded(file.path, file.syntax)
        if decoder.is_encapsulated:
            with file.path.open("rb") as opened:
                _require_sizes(file, opened)


def pixel_arrays(file: DicomFile, pictures: Sequence[Picture]) -> Iterator[NDArray[Any]]:
    """Decode some pictures of a file, one at a time: arrays of shape (rows, columns), the numbers as they are stored.

    Raises
    ------
    TedmError
        If they cannot be decoded.
    """
    with ExitStack() as stack:
        with plainly(file.path):  # never around a yield: whoever takes the picture has warnings of their own
            opened = stack.enter_context(file.path.open("rb"))
            opened.seek(file.start)
            frames = _frames(file, opened, [picture.index or 0 for picture in pictures])
        for _ in pictures:
            with plainly(file.path):
                frame = next(frames)
                if frame.shape != (file.rows, file.columns):
                    raise TedmError(f"{file.path}: a picture of another size than the file says; copy it again")
            yield frame


def _frames(file: DicomFile, opened: io.BufferedReader, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Decode pictures of an open file that stands at the begin of its pixel data."""
    decoder = _decoder(file.syntax)
    if decoder is None:
        raise _undecoded(file.path, file.syntax)
    frames = decoder.iter_array(
        opened,
        indices=indices,
        raw=True,
        rows=file.rows,
        columns=file.columns,
        number_of_frames=len(file.pictures),
        samples_per_pixel=1,
        bits_allocated=file.allocated,
        bits_stored=file.stored,
        pixel_representation=int(file.signed),
        photometric_interpretation=file.photometric,
        pixel_keyword="PixelData",
        pixel_vr=file.vr,
    )
    return (frame for frame, _about in frames)


def values_of(
    file: DicomFile, picture: Picture, numbers: NDArray[Any], mode: np.dtype[Any], white: float | None
) -> NDArray[Any]:
    """Return what stored numbers mean, in the type of the volume; `white` is that of the volume."""
    if mode.kind == "f":
        values = numbers.astype(np.float64) * picture.slope + picture.intercept
        return (-values if file.inverted else values).astype(mode)
    if not file.inverted:
        return numbers.astype(mode, copy=False)
    top = -1 if white is None else int(white)
    return (top - numbers.astype(np.int64)).astype(mode)


def _decoder(syntax: str) -> Any:
    """Return pydicom's decoder of a transfer syntax, or ours; None if there is none that works."""
    from pydicom.pixels.decoders.base import Decoder, get_decoder
    from pydicom.uid import UID

    if syntax in OURS:
        ours = Decoder(UID(syntax))
        ours.add_plugin("imagecodecs", (__name__, "decode_with_imagecodecs"))
        if ours.is_available:
            return ours
    try:
        decoder = get_decoder(UID(syntax))
    except NotImplementedError:
        return None
    return decoder if decoder.is_available else None


def _undecoded(path: Path, syntax: str) -> TedmError:
    """Return the refusal of a transfer syntax."""
    from pydicom.uid import UID

    install = "pip install 'tedm[dicom]', or " if syntax in (*JPEG_LS, *JPEG_2000) else ""
    install = "pip install pylibjpeg pylibjpeg-libjpeg, or " if syntax in (*OURS, JPEG_BASELINE) else install
    return TedmError(
        f"{path}: its transfer syntax, {shown(UID(syntax).name)}, is decoded by no package that is installed; "
        f"{install}save it uncompressed"
    )


def _require_sizes(file: DicomFile, opened: io.BufferedReader) -> None:
    """Refuse compressed pictures that are missing, or of another size than the file says and a decoder would believe."""
    from pydicom.encaps import generate_frames

    opened.seek(file.start)
    there = 0
    for frame in islice(generate_frames(opened, number_of_frames=len(file.pictures)), len(file.pictures)):
        there += 1
        size = (file.rows, file.columns) if file.syntax == RLE else compressed_size(frame)
        if size != (file.rows, file.columns):
            said = "no size" if size is None else f"{size[0]} x {size[1]} pixels"
            raise TedmError(
                f"{file.path}: its compressed picture has {said}, and the file says {file.rows} x {file.columns}; copy it again"
            )
    if there < len(file.pictures):
        raise cut_short(file.path, f"it has {there} of {len(file.pictures)} pictures")


def compressed_size(frame: bytes) -> tuple[int, int] | None:
    """Return the height and width that a picture in JPEG, JPEG-LS or JPEG 2000 says it has; None if it says none.

    Examples
    --------
    >>> compressed_size(bytes.fromhex("ffd8 ffe0 0004 0000 ffc3 000b 08 0102 0304 01"))
    (258, 772)
    """
    at = 0
    if frame[4:8] == b"jP  ":  # boxes around JPEG 2000
        at = frame.find(b"jp2c\xff\x4f\xff\x51") + 4
        if at < 4 or any(length < 8 for length in _boxes(frame, at - 8)):
            return None
    if frame[at : at + 4] == b"\xff\x4f\xff\x51" and len(frame) >= at + 24:
        width, height, left, top = (int.from_bytes(frame[at + 8 + 4 * k : at + 12 + 4 * k], "big") for k in range(4))
        return height - top, width - left
    at = 2
    while frame[:2] == b"\xff\xd8" and frame[at : at + 1] == b"\xff" and len(frame) >= at + 9:
        if frame[at + 1] in SIZES:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        at += 1 if frame[at + 1] == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _boxes(frame: bytes, end: int) -> Iterator[int]:
    """Give the lengths of boxes before a place; a reader that believes a length of 0 never ends."""
    at = 0
    while at < end:
        length = int.from_bytes(frame[at : at + 4], "big")
        yield length
        at += max(length, 8)
