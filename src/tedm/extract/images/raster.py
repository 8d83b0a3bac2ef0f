"""PNG, JPEG and TIFF files, as the numbers that are in them.

Content decides the format, not the suffix: TIFF files go to `tedm.extract.images.tiff`. Pillow decodes the others; this module
undoes what it does to numbers on the way (grey levels of 2 and 4 bits come spread over 0 to 255, colours of 16 bits lose 8) and
knows which number is white. Photographs are turned upright as their EXIF orientation says, because people draw masks on what
they see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from tedm.errors import TedmError

from . import tiff
from .reader import FileLabels, Header, naming, require_no_picture_in_alpha, require_size, whole_labels

KINDS: tuple[str, ...] = ("PNG", "JPEG", "TIFF")
_JPEG = ("JPEG", "MPO")  # many cameras put a second, smaller picture behind a JPEG; Pillow calls such files MPO
_GREY = ("1", "L", "LA", "I;16")
_COLOUR = ("P", "RGB", "RGBA")


def read_header(path: Path) -> Header:
    """Read a header, and look at the file's end; pixels are decoded only if the end looks cut off."""
    if tiff.is_tiff(path):
        return tiff.read_header(path)
    with _opened(path) as image:
        header = _header(image)
        _require_upright(image, Image.Image.getexif(image), path)  # a PNG's own would decode its pixels
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
    if tiff.is_tiff(path):
        return tiff.read_intensities(path)
    with _opened(path) as image:
        header = _header(image)
        if image.mode == "P":
            samples = np.asarray(_upright(image, path).convert("RGBA"))
        else:
            samples = _samples(_upright(image, path), header.bits, path)
    if samples.shape[2] in (2, 4):
        require_no_picture_in_alpha(path, samples[..., :-1], samples[..., -1])
        samples = samples[..., :-1]
    return samples, header


def read_labels(path: Path) -> FileLabels:
    """Read the labels of a mask: the numbers of the file, and the indices of a palette with its colours.

    Raises
    ------
    TedmError
        If the file cannot be read, or its pixels are no labels: colours, fractions, transparency that says more than they do,
        or a JPEG.
    """
    if tiff.is_tiff(path):
        return tiff.read_labels(path)
    with _opened(path) as image:
        if image.format in _JPEG:
            raise TedmError(f"{path}: a mask cannot be a JPEG, whose compression changes the labels; save it as PNG")
        header = _header(image)
        samples = _samples(_upright(image, path), header.bits, path)
        palette = image.getpalette("RGB") if image.mode == "P" else None
    colours, alpha = (samples[..., :-1], samples[..., -1]) if samples.shape[2] in (2, 4) else (samples, None)
    labels = whole_labels(path, colours, alpha)
    if palette is not None:
        return FileLabels(labels, np.array(palette, np.uint8).reshape(-1, 3))
    return FileLabels(labels, white=header.white)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with naming(path):
        try:
            image = Image.open(path, formats=("PNG", "JPEG"))
        except UnidentifiedImageError:
            raise TedmError(f"{path}: {_what_it_is(path)}; PNG, JPEG and TIFF are taken") from None
        with image:
            require_size(image.width, image.height)
            if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
                raise TedmError(f"{path}: holds {frames} images; save each as a file of its own")
            if image.mode not in _GREY + _COLOUR:
                raise TedmError(f"{path}: pixels of kind {image.mode} are not taken; convert it to grey or RGB")
            yield image


def _what_it_is(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return f"a {image.format} file"
    except Exception:  # decoders of broken files raise anything
        return "no image, or its beginning is damaged"


def _header(image: Image.Image) -> Header:
    bits = _bits(image)
    white = 255.0 if image.mode == "P" else float(2**bits - 1)
    turned = image.format in _JPEG and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    height, width = (image.width, image.height) if turned else (image.height, image.width)
    return Header(height, width, image.mode, bits, white)


def _bits(image: Image.Image) -> int:
    if isinstance(image, PngImagePlugin.PngImageFile) and image.fp is not None:
        position = image.fp.tell()
        image.fp.seek(24)  # bit depth, in the header chunk that begins every PNG
        bits = image.fp.read(1)[0]
        image.fp.seek(position)
        return bits
    return 8


def _samples(image: Image.Image, bits: int, path: Path) -> NDArray[Any]:
    """Return the numbers of a decoded image, of shape (height, width, samples); of a palette, the indices."""
    if bits == 16 and image.mode in ("LA", "RGB", "RGBA"):  # Pillow keeps the upper 8 bits of each
        import imagecodecs  # for these alone

        deep: NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
        return deep[..., : len(image.getbands())]
    values = np.asarray(image)
    if image.mode == "1":
        values = values.astype(np.uint8)
    elif image.mode == "L" and bits in (2, 4):
        values = values // np.uint8(255 // (2**bits - 1))
    values = values.astype(values.dtype.newbyteorder("="))
    return values if values.ndim == 3 else values[..., None]


def _upright(image: Image.Image, path: Path) -> Image.Image:
    image.load()
    if image.format in _JPEG:
        return ImageOps.exif_transpose(image)
    _require_upright(image, image.getexif(), path)
    return image


def _require_upright(image: Image.Image, exif: Image.Exif, path: Path) -> None:
    """Refuse a PNG that says how it is to be turned: some programs turn it, some do not."""
    if image.format not in _JPEG and (turn := exif.get(ExifTags.Base.Orientation, 1)) != 1:
        raise TedmError(f"{path}: a PNG with an EXIF orientation ({turn}), which only some programs obey; save it upright")


def _looks_whole(image: Image.Image, path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return (b"IEND" if image.format == "PNG" else b"\xff\xd9") in file.read()
