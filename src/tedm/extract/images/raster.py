"""PNG, JPEG and TIFF files, as the numbers that are in them.

Pillow decodes; this module undoes what it does to numbers on the way (grey levels of 2 and 4 bits come spread over 0 to 255),
knows which number is white, and turns every way in which a file can be broken into one sentence that names the file. Content
decides the format, not the suffix. Photographs are turned upright as their EXIF orientation says, because people draw masks on
what they see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from tedm.errors import TedmError

from .reader import Header

KINDS: tuple[str, ...] = ("PNG", "JPEG", "TIFF")
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_COLOUR = ("P", "PA", "RGB", "RGBA")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _STRIPS, _TILES = 258, 262, (273, 279), (324, 325)  # TIFF tags


def read_header(path: Path) -> Header:
    """Read a header, and look at the file's end; pixels are decoded only if the end looks cut off."""
    with _opened(path) as image:
        header = _header(image)
        if not _looks_whole(image, path):
            image.load()
        return header


def read_intensities(path: Path) -> tuple[NDArray[Any], Header]:
    """Read the intensities of an image.

    Returns
    -------
    values : array of shape (height, width, 1) or (height, width, 3)
        Numbers of the file: 0 to `white` where there is one. Alpha is dropped; palettes become colours.
    header : Header
        What the numbers mean.
    """
    with _opened(path) as image:
        header = _header(image)
        flipped = _white_is_zero(image)
        upright = _upright(image)
        if header.mode in _COLOUR:
            return np.asarray(upright.convert("RGBA"))[..., :3], header
        values = _grey_values(upright, header.bits)
        return (65535 - values if flipped else values)[..., None], header


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read the labels of a mask: the numbers of the file, and the indices of a palette.

    Returns
    -------
    array of shape (height, width)
        Integers, int32.

    Raises
    ------
    TedmError
        If the file cannot be read, or its pixels are no labels: colours, fractions, or a JPEG.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise TedmError(f"{path}: a mask cannot be a JPEG, whose compression changes the labels; save it as PNG")
        header = _header(image)
        image.load()
        values = _grey_values(image, header.bits)
    if values.ndim == 3:
        if header.reduced:
            raise TedmError(f"{path}: a mask with 16-bit colours or transparency; save one channel of class values")
        if (values[..., :3] != values[..., :1]).any():
            raise TedmError(f"{path}: a mask in colours; save one channel of class values, or a palette")
        values = values[..., 0]
    if values.dtype == np.float32 and ((values != np.trunc(values)) | (np.abs(values) > 2**24)).any():
        raise TedmError(f"{path}: a mask with values that are no whole numbers; save class values as integers")
    return values.astype(np.int32)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with path.open("rb") as file, Image.open(file, formats=KINDS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError
            # Many cameras put a second, smaller picture behind a JPEG; Pillow calls such files MPO.
            if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
                raise TedmError(f"{path}: holds {frames} images; save each as a file of its own")
            if image.mode not in _GREY + _COLOUR:
                raise TedmError(f"{path}: pixels of kind {image.mode} are not taken; convert it to grey or RGB")
            yield image
    except TedmError:
        raise
    except FileNotFoundError:
        raise TedmError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise TedmError(f"{path}: a folder, not an image file") from None
    except PermissionError:
        raise TedmError(f"{path}: may not be read (permission denied)") from None
    except UnidentifiedImageError:
        raise TedmError(f"{path}: {_what_it_is(path)}; PNG, JPEG and TIFF are taken") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TedmError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; save a smaller copy") from None
    except Exception as error:  # decoders of broken files raise anything, from struct.error to SyntaxError
        raise TedmError(f"{path}: cannot be decoded ({error or type(error).__name__})") from error


def _what_it_is(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return f"a {image.format} file"
    except Exception:  # as in _opened
        return "no image, or its beginning is damaged"


def _header(image: Image.Image) -> Header:
    bits = _bits(image)
    white: float | None = None
    if image.mode in _COLOUR or image.mode == "LA":
        white = 255.0
    elif image.mode in ("1", "L") or image.mode.startswith("I;16"):
        white = float(2**bits - 1)
    # A TIFF's size is upright already. A PNG has no orientation that viewers agree on.
    turned = image.format in ("JPEG", "MPO") and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    height, width = (image.width, image.height) if turned else (image.height, image.width)
    return Header(height, width, image.mode, bits, white, reduced=bits == 16 and image.mode in _COLOUR)


def _bits(image: Image.Image) -> int:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))[0])
    if isinstance(image, PngImagePlugin.PngImageFile) and image.fp is not None:
        position = image.fp.tell()
        image.fp.seek(24)  # bit depth, in the header chunk that begins every PNG
        bits = image.fp.read(1)[0]
        image.fp.seek(position)
        return bits
    return 8


def _grey_values(image: Image.Image, bits: int) -> NDArray[Any]:
    values = np.asarray(image)
    if image.mode == "1":
        return values.astype(np.uint8)
    if image.mode == "L" and bits in (2, 4):
        return values // np.uint8(255 // (2**bits - 1))
    if image.mode in ("LA", "PA"):
        return values[..., 0]
    return values.astype(values.dtype.newbyteorder("="))


def _white_is_zero(image: Image.Image) -> bool:
    """Whether 16-bit values are still to be inverted; Pillow inverts those of 8 bits and fewer."""
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode.startswith("I;16")
        and image.tag_v2.get(_PHOTOMETRIC) == 0
    )


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image) if image.format in ("JPEG", "MPO") else image  # Pillow turns TIFFs by itself


def _looks_whole(image: Image.Image, path: Path) -> bool:
    length = path.stat().st_size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        offsets, counts = _TILES if _TILES[0] in image.tag_v2 else _STRIPS
        ends = zip(image.tag_v2.get(offsets, (length,)), image.tag_v2.get(counts, (1,)), strict=False)
        return all(offset + count <= length for offset, count in ends)
    with path.open("rb") as file:
        file.seek(max(0, length - 4096))
        return (b"IEND" if image.format == "PNG" else b"\xff\xd9") in file.read()
