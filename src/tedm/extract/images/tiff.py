"""TIFF files, as the numbers that are in them.

A TIFF says by its tags what its numbers are: their type and bits, whether zero is black or white, what a second or fourth
number of a pixel is, how many images there are. tifffile reads the tags; this module takes the kinds whose meaning is certain,
and says of the others what they are and how to convert them. Images of which zero is white are inverted; labels are the numbers
that are stored.
"""

from __future__ import annotations

import json
import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TIFF, TiffFile, TiffPage

from tedm.errors import TedmError

from .reader import FileLabels, Header, naming, require_no_picture_in_alpha, require_size, whole_labels

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little and big endian, classic and BigTIFF
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6  # PhotometricInterpretation
_BASE = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}  # samples of a pixel, without extra ones
_TYPES = {"u": "unsigned", "i": "signed", "f": "float"}
_JPEG = 7
# Methods of compression that keep every number; any other may change labels.
_LOSSLESS = {1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 34926, 50000}
_MOST_PAGES = 100  # that are counted
_ASSOCIATED = 1  # an extra sample by which colours are multiplied already
_FLIPS = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}  # axes, by orientation, after the transpose


def is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF does, whatever it is called."""
    with naming(path), path.open("rb") as file:
        return file.read(4) in _MAGIC


def read_header(path: Path) -> Header:
    """Read a header and check that all pixels lie inside the file, without decoding them."""
    with _opened(path) as page:
        header = _header(page)
        _require_black(path, page, header)
        return header


def read_intensities(path: Path) -> tuple[NDArray[Any], Header]:
    """Read the intensities of an image.

    Returns
    -------
    values : array of shape (height, width, 1) or (height, width, 3)
        Numbers of the file, upright, in its type; inverted if zero is white. Alpha is dropped; palettes become 8-bit colours.
    header : Header
        What the numbers mean.
    """
    with _opened(path) as page:
        header = _header(page)
        _require_black(path, page, header)
        samples, alpha = _samples(page)
        palette = _palette(page)
    white = header.white
    if palette is not None:
        samples = _looked_up(path, palette, samples[..., 0])
    elif page.photometric == _WHITE_IS_ZERO and white is not None:
        samples = samples.dtype.type(white) - samples
    if alpha is not None:
        require_no_picture_in_alpha(path, samples, alpha)
        if _ASSOCIATED in page.extrasamples and alpha.min() != _opaque(page):
            samples = _without_alpha(samples, alpha, _opaque(page))
    return samples, header


def _require_black(path: Path, page: TiffPage, header: Header) -> None:
    """Refuse intensities of which it cannot be told what is black."""
    if "PhotometricInterpretation" not in page.tags:
        raise TedmError(f"{path}: does not say whether zero is black or white (no PhotometricInterpretation); save it anew")
    if page.photometric == _WHITE_IS_ZERO and header.white is None:
        raise TedmError(
            f"{path}: zero is white, and numbers of kind {header.mode} have no black; invert them, and save zero as black"
        )


def read_labels(path: Path) -> FileLabels:
    """Read the labels of a mask: the numbers that are stored, whatever is black; of a palette, the indices with its colours."""
    with _opened(path) as page:
        header = _header(page)
        if page.compression not in _LOSSLESS:
            raise TedmError(
                f"{path}: a mask compressed by {_named(COMPRESSION, page.compression)}, which changes labels; save it as PNG"
            )
        samples, alpha = _samples(page)
        palette = _palette(page)
    if alpha is not None and _ASSOCIATED in page.extrasamples and alpha.min() != _opaque(page):
        raise TedmError(f"{path}: a mask multiplied by its transparency; save one channel of class values")
    labels = whole_labels(path, samples, alpha)
    if palette is not None:
        return FileLabels(labels, palette)
    inverted = page.photometric == _WHITE_IS_ZERO and "PhotometricInterpretation" in page.tags
    return FileLabels(labels, white=header.white, inverted=inverted)


class _Quiet(logging.Filter):
    """What tifffile logs of our files is checked here and said once: its own lines would be stray ones for a user."""

    reading = local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self.reading, "on", False)


logging.getLogger("tifffile").addFilter(_Quiet())


@contextmanager
def _opened(path: Path) -> Iterator[TiffPage]:
    """Open a file's only image and check that it is of a kind that we take, and whole."""
    _Quiet.reading.on = True
    try:
        with naming(path), TiffFile(path) as file:
            page = _only_image(path, file)
            sizes = (page.imagewidth, page.imagelength, page.imagedepth, page.samplesperpixel)
            pieces = (page.tilewidth, page.tilelength, page.rowsperstrip, page.planarconfig, page.compression, page.predictor)
            if not all(isinstance(number, int) for number in sizes + pieces) or min(sizes) < 1:
                raise TedmError(f"{path}: has no size, or its beginning is damaged")
            require_size(page.imagewidth, page.imagelength)
            if problem := _kind_problem(page) or _planes_problem(file, page) or _damage(page, path.stat().st_size):
                raise TedmError(f"{path}: {problem}")
            yield page
    finally:
        _Quiet.reading.on = False


def _only_image(path: Path, file: TiffFile) -> TiffPage:
    """Return the only image of full size; smaller copies of it (thumbnails, pyramids) are marked as such by the file."""
    pages: list[TiffPage] = []
    while len(pages) <= _MOST_PAGES:
        try:
            page = file.pages[len(pages)]
        except IndexError:
            break
        if not isinstance(page, TiffPage):
            raise TedmError(f"{path}: its list of pages is damaged")
        pages.append(page)
    if len(pages) > _MOST_PAGES:
        raise TedmError(f"{path}: holds more than {_MOST_PAGES} images; save each as a file of its own")
    if at := file.pages.next_page_offset:
        file.filehandle.seek(at)
        following = file.filehandle.read(file.tiff.offsetsize)
        if len(following) < file.tiff.offsetsize or struct.unpack(file.tiff.offsetformat, following) != (0,):
            raise TedmError(f"{path}: is cut off or damaged (there should be an image after number {len(pages)})")
    inner = [sub for page in pages for sub in (page.pages or ())]
    full = [page for page in [*pages, *inner] if isinstance(page, TiffPage) and not page.is_reduced]
    if not full:
        raise TedmError(f"{path}: holds no image of full size, only smaller copies; save the image as a plain TIFF or PNG")
    if len(full) > 1:
        raise TedmError(f"{path}: holds {len(full)} images; save each as a file of its own")
    return full[0]


def _kind_problem(page: TiffPage) -> str | None:
    """Return why a page's numbers are not taken, with what to do."""
    plain = "convert it to grey or RGB of 8 or 16 bits"
    photometric, samples = int(page.photometric), page.samplesperpixel
    if "PhotometricInterpretation" not in page.tags and samples > 1:
        return f"does not say what its {samples} numbers a pixel are (no PhotometricInterpretation); {plain}"
    if photometric not in _BASE or (photometric == _YCBCR and page.compression != _JPEG):
        return f"pixels of kind {_named(PHOTOMETRIC, photometric)} are not taken; {plain}"
    if page.dtype is None or page.dtype.kind not in "buif" or not isinstance(page.bitspersample, int):
        return f"numbers of sample format {page.sampleformat} with {page.bitspersample} bits are not taken; {plain}"
    extra = samples - _BASE[photometric]
    if extra < 0 or (photometric == _PALETTE and page.colormap is None):
        return f"pixels of kind {_named(PHOTOMETRIC, photometric)} with {samples} numbers, and no palette; {plain}"
    # Many writers leave out what the fourth number of a colour is: it is alpha. A second number of grey may be anything.
    declared = [int(kind) for kind in page.extrasamples]
    if extra > 1 or (extra == 1 and _BASE[photometric] == 1 and declared not in ([1], [2])):
        return f"{samples} numbers a pixel, of which {_BASE[photometric]} would be read; save each channel as a file of its own"
    if page.compression not in TIFF.DECOMPRESSORS and page.compression not in (1, 2, 3, 4):
        return f"compression {_named(COMPRESSION, page.compression)} is not read; save it as PNG or without compression"
    return None


def _planes_problem(file: TiffFile, page: TiffPage) -> str | None:
    """Return how many images lie behind one page: stacks of ImageJ, MetaMorph, NIH Image and tifffile have one page for all."""
    counts = [page.imagedepth]
    if file.is_imagej:
        about = file.imagej_metadata or {}
        sizes = [_whole(about.get(name, 1)) for name in ("channels", "slices", "frames")]
        counts += [_whole(about.get("images", 1)), math.prod(sizes)]
    if file.is_shaped:
        counts.append(_planes_of_shape(page))
    if file.is_stk or file.is_nih:
        tag, nih = page.tags.get(33629), page.tags.get(43314)
        counts += [tag.count] if tag is not None else []
        counts += [_whole(nih.value.get("NImages", 1))] if nih is not None and isinstance(nih.value, dict) else []
    if page.compression == 1:
        counts.append(sum(page.databytecounts) // max(1, _bytes(page)))
    if max(counts) > 1:
        return f"holds {max(counts)} images; save each as a file of its own"
    return None


def _planes_of_shape(page: TiffPage) -> int:
    """Return how many pages there are in the shape that tifffile notes in its description."""
    try:
        shape = json.loads(page.description)["shape"]
        return int(math.prod(int(side) for side in shape)) // math.prod(page.shape)
    except (ValueError, TypeError, KeyError):
        return 1


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 1


def _bytes(page: TiffPage) -> int:
    """Return the number of bytes of a page's pixels before compression, of tiles with what lies beyond the edges."""
    contiguous = page.samplesperpixel if page.planarconfig == 1 else 1
    width, lines = page.imagewidth, page.imagelength
    if page.is_tiled:
        width, lines = (math.ceil(side / tile) * tile for side, tile in ((width, page.tilewidth), (lines, page.tilelength)))
    row = math.ceil(width * contiguous * int(page.bitspersample) / 8)
    return row * lines * (page.samplesperpixel // contiguous)


def _damage(page: TiffPage, length: int) -> str | None:
    """Return what is missing of a page's pixels; tifffile would fill it with zeros."""
    if page.is_tiled and min(page.tilewidth, page.tilelength) < 1:
        return "has no size of tiles, or its beginning is damaged"
    if page.is_tiled:
        require_size(page.tilewidth, page.tilelength)
        expected = math.ceil(page.imagewidth / page.tilewidth) * math.ceil(page.imagelength / page.tilelength)
    else:
        expected = math.ceil(page.imagelength / max(1, page.rowsperstrip))
    expected *= page.samplesperpixel if page.planarconfig == 2 else 1
    pieces = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:expected]
    beyond = sum(offset + count > length for offset, count in pieces)
    if beyond or len(pieces) < expected:
        return f"is cut off ({beyond or expected - len(pieces)} of {expected} pieces of its pixels are not in the file)"
    if empty := sum(not offset or not count for offset, count in pieces):
        return f"leaves out {empty} of {expected} pieces of its pixels (a sparse file); save it with all of its pixels"
    if page.compression == 1 and sum(count for _, count in pieces) < _bytes(page):
        return "is damaged (it says that its pixels take fewer bytes than they do)"
    return None


def _header(page: TiffPage) -> Header:
    assert page.dtype is not None  # _kind_problem
    bits = int(page.bitspersample)
    height, width = page.imagelength, page.imagewidth
    if _orientation(page) > 4:
        height, width = width, height
    if page.photometric == _PALETTE:
        return Header(height, width, "palette", bits, 255.0)
    kind = _TYPES.get(page.dtype.kind, "unsigned")  # of one bit: "b"
    white = float(2**bits - 1) if kind == "unsigned" and bits <= 16 else None
    return Header(height, width, f"{kind} RGB" if _BASE[int(page.photometric)] == 3 else kind, bits, white)


def _samples(page: TiffPage) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Decode a page: its upright numbers, (height, width, 1 or 3), and its alpha, (height, width)."""
    values = page.asarray(maxworkers=1)
    values = values.astype(np.uint8 if values.dtype.kind == "b" else values.dtype.newbyteorder("="), copy=False)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif page.axes == "YX":
        values = values[..., None]
    orientation = _orientation(page)
    if orientation > 4:
        values = values.swapaxes(0, 1)
    values = np.flip(values, _FLIPS[orientation])
    base = _BASE[int(page.photometric)]
    return values[..., :base], values[..., base] if values.shape[2] > base else None


def _orientation(page: TiffPage) -> int:
    turn = page.tags.valueof(274)
    return turn if isinstance(turn, int) and turn in _FLIPS else 1


def _palette(page: TiffPage) -> NDArray[np.uint8] | None:
    """Return a page's palette as colours of 8 bits, (colours, 3)."""
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    table: NDArray[Any] = np.asarray(page.colormap).reshape(3, -1).T
    if table.max() > 255:  # of 16 bits, as they should be; some writers write 8
        table = table >> 8
    return table.astype(np.uint8)


def _looked_up(path: Path, palette: NDArray[np.uint8], indices: NDArray[Any]) -> NDArray[np.uint8]:
    if indices.min() < 0 or indices.max() >= len(palette):
        raise TedmError(f"{path}: holds the index {indices.max()} of a palette with {len(palette)} colours; save it as RGB")
    colours: NDArray[np.uint8] = palette[indices]
    return colours


def _opaque(page: TiffPage) -> float:
    assert page.dtype is not None
    return 1.0 if page.dtype.kind == "f" else float(2 ** int(page.bitspersample) - 1)


def _without_alpha(samples: NDArray[Any], alpha: NDArray[Any], opaque: float) -> NDArray[Any]:
    """Undo colours that were multiplied by alpha; what is transparent altogether stays black."""
    undone = samples.astype(np.float64) * opaque / np.where(alpha > 0, alpha, 1)[..., None]
    return undone.clip(0, opaque).astype(samples.dtype)


def _named(names: type[COMPRESSION] | type[PHOTOMETRIC], number: int) -> str:
    try:
        return names(number).name
    except ValueError:
        return f"number {number}"
