"""Every row of docs/formats.md: the values that come out, or the refusal.

`ROWS` has files for each row of the tables of pictures, by the row's name, `VOLUMES` for each row of the table of volumes; a
row without a file fails, and so does a file without a row. The table of palettes has its tests in test_palettes.py.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
import tifffile
from dicom_files import enhanced, write_series
from dicom_files import save as save_dicom
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images.manifest import read_manifest
from tedm.extract.images.read import read_header, read_image, read_mask
from tedm.extract.volumes.read import read_header as volume_header
from tedm.extract.volumes.read import read_labels as read_volume_labels
from tedm.extract.volumes.read import read_voxels

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
RNG = np.random.default_rng(5)
SHAPE = (5, 7)
GREY = RNG.integers(0, 256, SHAPE, np.uint8)
DEEP = RNG.integers(0, 65536, SHAPE, np.uint16)
FEW = RNG.integers(0, 4, SHAPE, np.uint8)
ALPHA = RNG.integers(1, 256, SHAPE, np.uint8)
RGB = RNG.integers(0, 256, (*SHAPE, 3), np.uint8)
DEEP_RGB = RNG.integers(0, 65536, (*SHAPE, 3), np.uint16)
TABLE = RNG.integers(0, 256, (4, 3), np.uint8)
FLAT = np.full(SHAPE, 9, np.uint8)
RANGE = (-1000.0, 3000.0)


@dataclass(frozen=True)
class File:
    """A file as it is written, and what must come out of it: an array, or words of a refusal."""

    write: Callable[[Path], object]
    image: NDArray[Any] | str
    mask: NDArray[Any] | str
    suffix: str = ".tif"
    range: tuple[float, float] | None = None
    header_refuses: bool = False
    """Whether the refusal comes before any pixel is decoded."""


def png(values: NDArray[Any], bits: int, colour: int, *before: tuple[bytes, bytes]) -> Callable[[Path], object]:
    """Write a PNG by hand, of depths that Pillow does not write; `before` are chunks before the pixels."""
    samples = values.reshape(len(values), -1).astype(np.uint16)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in samples]
    else:
        planes = np.stack([(samples >> (bits - 1 - bit)) & 1 for bit in range(bits)], -1)
        lines = [np.packbits(row).tobytes() for row in planes.reshape(len(values), -1).astype(np.uint8)]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), (b"IEND", b"")]
    whole = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole)


def pillow(values: NDArray[Any], mode: str | None = None, **options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        image = Image.fromarray(values)
        (image.convert(mode) if mode else image).save(path, **options)

    return write


def tiff(values: NDArray[Any], *, tags: dict[int, Any] | None = None, **options: Any) -> Callable[[Path], object]:
    """Write by tifffile, without its description; then overwrite tags, by their codes."""

    def write(path: Path) -> None:
        tifffile.imwrite(path, values, **{"metadata": None, **options})
        if tags:
            with tifffile.TiffFile(path, mode="r+") as file:
                for code, value in tags.items():
                    file.pages[0].tags[code].overwrite(value)

    return write


def pages(*arrays: NDArray[Any], subfiletypes: tuple[int, ...] = (), sub: bool = False) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as file:
            for at, array in enumerate(arrays):
                kind = subfiletypes[at] if subfiletypes else 0
                inside = len(arrays) - 1 if sub and at == 0 else None
                file.write(array, subfiletype=kind, subifds=inside, metadata=None)

    return write


def without_tag(write: Callable[[Path], object], code: int) -> Callable[[Path], object]:
    """Call a tag by a number that means nothing."""

    def written(path: Path) -> None:
        write(path)
        raw = path.read_bytes()
        at = raw.index(struct.pack("<HH", code, 3))
        path.write_bytes(raw[:at] + struct.pack("<H", 65000) + raw[at + 2 :])

    return written


def cut(write: Callable[[Path], object]) -> Callable[[Path], object]:
    def written(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[:-20])

    return written


def with_alpha(values: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values if values.ndim == 3 else values[..., None], alpha[..., None].astype(values.dtype)], axis=2)


def ranged(values: NDArray[Any]) -> NDArray[np.float64]:
    return ((values.astype(np.float64) - RANGE[0]) / (RANGE[1] - RANGE[0])).clip(0, 1)


def twins(values: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(values[..., None], 3, axis=2)


def palette(**options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        image = Image.frombytes("P", SHAPE[::-1], FEW.tobytes())
        image.putpalette(TABLE.tobytes())
        image.save(path, **options)

    return write


def jpeg(values: NDArray[Any], format: str = "JPEG", **options: Any) -> NDArray[Any]:
    """What JPEG makes of an array, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=format, **options)
    return np.asarray(Image.open(buffer)) / 255


def colormap(shift: int) -> NDArray[np.uint16]:
    table = np.zeros((3, 256), np.uint16)
    table[:, :4] = TABLE.T.astype(np.uint16) << shift
    return table


def turned(code: int) -> NDArray[np.uint8]:
    return {3: GREY[::-1, ::-1], 5: GREY.T, 6: np.rot90(GREY, 3), 8: np.rot90(GREY)}[code]


SMOOTH = np.add.outer(np.arange(16) * 6, np.arange(24) * 5).astype(np.uint8)
SMOOTH_RGB = np.stack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1]], -1)
OPAQUE_BY_VALUE = np.where(FEW > 0, 255, 0).astype(np.uint8)
IMAGEJ = {"imagej": True, "metadata": {"axes": "ZYX"}}
NO_RANGE, COLOURS, TRANSPARENT, JPEG = "--intensity-range", "mask in colours", "transparency tells pixels", "changes"
LABELLED = (GREY > 99).astype(np.uint8)
NEGATIVE = GREY.astype(np.int16) - 128


def grey_images(bits: int) -> NDArray[np.uint16]:
    return DEEP >> (16 - bits)


ROWS: dict[str, list[File]] = {
    "png-grey": [
        File(png(grey_images(bits), bits, 0), grey_images(bits) / (2**bits - 1), grey_images(bits), ".png")
        for bits in (1, 2, 4, 8, 16)
    ],
    "png-grey-alpha": [
        File(png(with_alpha(GREY, ALPHA), 8, 4), GREY / 255, TRANSPARENT, ".png"),
        File(png(with_alpha(DEEP, ALPHA), 16, 4), DEEP / 65535, DEEP, ".png"),  # each value once
        File(png(with_alpha(FEW, OPAQUE_BY_VALUE), 8, 4), FEW / 255, FEW, ".png"),
        File(png(with_alpha(FEW, FLAT), 8, 4), FEW / 255, FEW, ".png"),
        File(png(with_alpha(DEEP % 4000, FLAT), 16, 4), ranged(DEEP % 4000), DEEP % 4000, ".png", RANGE),
    ],
    "png-rgb": [
        File(png(RGB, 8, 2), RGB / 255, COLOURS, ".png"),
        File(png(DEEP_RGB, 16, 2), DEEP_RGB / 65535, COLOURS, ".png"),
        File(png(twins(FEW), 8, 2), twins(FEW) / 255, FEW, ".png"),
        File(png(twins(DEEP), 16, 2), ranged(twins(DEEP)), DEEP, ".png", RANGE),
    ],
    "png-rgba": [
        File(png(with_alpha(RGB, ALPHA), 8, 6), RGB / 255, COLOURS, ".png"),
        File(png(with_alpha(DEEP_RGB, ALPHA), 16, 6), DEEP_RGB / 65535, COLOURS, ".png"),
        File(png(with_alpha(twins(FEW), OPAQUE_BY_VALUE), 8, 6), twins(FEW) / 255, FEW, ".png"),
        File(png(with_alpha(twins(FEW), ALPHA), 8, 6), twins(FEW) / 255, TRANSPARENT, ".png"),
    ],
    "png-palette": [
        File(palette(), TABLE[FEW] / 255, FEW, ".png"),
        File(palette(transparency=b"\x00\x80"), TABLE[FEW] / 255, FEW, ".png"),
    ],
    "png-transparent": [
        File(png(GREY, 8, 0, (b"tRNS", struct.pack(">H", GREY[0, 0]))), GREY / 255, GREY, ".png"),
        File(png(DEEP_RGB, 16, 2, (b"tRNS", DEEP_RGB[0, 0].astype(">u2").tobytes())), DEEP_RGB / 65535, COLOURS, ".png"),
    ],
    "png-gamma": [
        File(png(GREY, 8, 0, (b"gAMA", struct.pack(">I", 100000))), GREY / 255, GREY, ".png"),
        File(png(DEEP_RGB, 16, 2, (b"gAMA", struct.pack(">I", 100000))), DEEP_RGB / 65535, COLOURS, ".png"),
    ],
    "alpha-only": [
        File(png(with_alpha(FLAT, FEW), 8, 4), "alpha channel", TRANSPARENT, ".png"),
        File(png(with_alpha(twins(FLAT), FEW * 80), 8, 6), "alpha channel", TRANSPARENT, ".png"),
        File(tiff(with_alpha(twins(FLAT), FEW), extrasamples=["unassalpha"]), "alpha channel", TRANSPARENT),
    ],
    "png-animated": [
        File(
            pillow(GREY, save_all=True, append_images=[Image.fromarray(GREY[::-1])]),
            "holds 2 images",
            "holds 2 images",
            ".png",
            header_refuses=True,
        )
    ],
    "png-oriented": [
        File(
            png(GREY, 8, 0, (b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")),
            "EXIF orientation",
            "EXIF orientation",
            ".png",
        )
    ],
    "jpeg-grey": [File(pillow(SMOOTH), jpeg(SMOOTH), JPEG, ".jpg")],
    "jpeg-rgb": [File(pillow(SMOOTH_RGB), jpeg(SMOOTH_RGB), JPEG, ".jpg")],
    "jpeg-mpo": [
        File(
            lambda path: Image.fromarray(SMOOTH_RGB).save(
                path, format="MPO", save_all=True, append_images=[Image.fromarray(SMOOTH_RGB[::2, ::2])]
            ),
            jpeg(SMOOTH_RGB),
            JPEG,
            ".jpg",
        )
    ],
    "jpeg-cmyk": [File(pillow(SMOOTH_RGB, "CMYK"), "CMYK", "CMYK", ".jpg", header_refuses=True)],
    "other": [
        File(pillow(GREY, format="GIF"), "a GIF file; PNG, JPEG and TIFF", "a GIF file", ".png", header_refuses=True),
        File(pillow(RGB, format="WEBP"), "a WEBP file", "a WEBP file", ".tif", header_refuses=True),
    ],
    "tiff-grey": [
        File(pillow(GREY > 99), LABELLED, LABELLED),
        *(
            File(tiff(grey_images(bits), bitspersample=bits), grey_images(bits) / (2**bits - 1), grey_images(bits))
            for bits in (10, 12, 14, 16)
        ),
        *(
            File(
                tiff(grey_images(bits).astype(np.uint8), bitspersample=bits),
                grey_images(bits) / (2**bits - 1),
                grey_images(bits),
            )
            for bits in (2, 4, 8)
        ),
    ],
    "tiff-unsigned-32": [
        File(tiff(DEEP.astype(np.uint32)), NO_RANGE, DEEP),
        File(tiff(DEEP.astype(np.uint64)), ranged(DEEP), DEEP, range=RANGE),
        File(tiff(DEEP.astype(np.uint32) + 2**31), NO_RANGE, "beyond 32 bits"),
    ],
    "tiff-signed": [
        File(tiff(NEGATIVE.astype(np.int8)), NO_RANGE, NEGATIVE),
        File(tiff(NEGATIVE.astype(np.int8)), ranged(NEGATIVE), NEGATIVE, range=RANGE),
        File(tiff(NEGATIVE * 20), ranged(NEGATIVE * 20), NEGATIVE * 20, range=RANGE),
        File(tiff(NEGATIVE * 20), NO_RANGE, NEGATIVE * 20),
        File(tiff(NEGATIVE.astype(np.int32) * 20), ranged(NEGATIVE * 20), NEGATIVE * 20, range=RANGE),
    ],
    "tiff-float": [
        *(
            File(tiff(NEGATIVE.astype(dtype)), ranged(NEGATIVE), NEGATIVE, range=RANGE)
            for dtype in (np.float16, np.float32, np.float64)
        ),
        File(tiff(GREY / 255), NO_RANGE, "no whole numbers"),
        File(tiff(np.where(GREY > 200, np.nan, GREY)), "NaN", "no whole numbers", range=RANGE),
        File(tiff(np.full(SHAPE, 2**40, np.float64)), np.ones(SHAPE), "beyond 32 bits", range=RANGE),
    ],
    "tiff-white-is-zero": [
        File(tiff(LABELLED.astype(bool), photometric="miniswhite"), 1 - LABELLED, LABELLED),
        File(tiff(GREY, photometric="miniswhite"), (255 - GREY) / 255, GREY),
        File(tiff(DEEP, photometric="miniswhite"), (65535 - DEEP) / 65535, DEEP),
        File(tiff(DEEP, photometric="miniswhite"), ranged(65535 - DEEP), DEEP, range=RANGE),
        File(tiff(DEEP >> 4, photometric="miniswhite", bitspersample=12), (4095 - (DEEP >> 4)) / 4095, DEEP >> 4),
    ],
    "tiff-white-is-zero-no-range": [
        File(tiff(values, photometric="miniswhite"), "zero is white", values, range=RANGE)
        for values in (NEGATIVE, FEW.astype(np.float32), FEW.astype(np.uint32))
    ],
    "tiff-no-photometric": [File(without_tag(tiff(GREY), 262), "PhotometricInterpretation", GREY)],
    "tiff-rgb": [
        File(tiff(RGB, photometric="rgb"), RGB / 255, COLOURS),
        File(tiff(DEEP_RGB, photometric="rgb"), DEEP_RGB / 65535, COLOURS),
        File(tiff(DEEP_RGB, photometric="rgb"), ranged(DEEP_RGB), COLOURS, range=RANGE),
        File(tiff(twins(FEW), photometric="rgb"), twins(FEW) / 255, FEW),
    ],
    "tiff-rgb-no-range": [
        File(tiff(DEEP_RGB.astype(dtype), photometric="rgb"), ranged(DEEP_RGB), COLOURS, range=RANGE)
        for dtype in (np.uint32, np.float32)
    ]
    + [File(tiff(RGB.astype(np.float32), photometric="rgb"), NO_RANGE, COLOURS)],
    "tiff-alpha": [
        File(tiff(with_alpha(RGB, ALPHA), photometric="rgb", extrasamples=["unassalpha"]), RGB / 255, COLOURS),
        File(tiff(with_alpha(twins(FEW), FLAT), photometric="rgb", extrasamples=["unassalpha"]), twins(FEW) / 255, FEW),
        File(tiff(with_alpha(RGB, ALPHA), photometric="rgb", extrasamples=["unspecified"]), RGB / 255, COLOURS),
        File(
            tiff(with_alpha(DEEP, ALPHA), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]),
            DEEP / 65535,
            DEEP,
        ),
        File(
            tiff(with_alpha(FEW, ALPHA), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]),
            FEW / 255,
            TRANSPARENT,
        ),
    ],
    "tiff-alpha-multiplied": [
        File(
            tiff(with_alpha(RGB // 2, FLAT + 246), photometric="rgb", extrasamples=["assocalpha"]),
            (RGB // 2) / 255,
            COLOURS,
        ),
        File(
            tiff(with_alpha(RGB // 3, np.full(SHAPE, 85)), photometric="rgb", extrasamples=["assocalpha"]),
            (RGB // 3 * 3) / 255,
            "multiplied by its transparency",
        ),
    ],
    "tiff-palette": [
        File(palette(), TABLE[FEW] / 255, FEW),
        File(tiff(FEW, photometric="palette", colormap=colormap(8)), TABLE[FEW] / 255, FEW),
        File(tiff(FEW, photometric="palette", colormap=colormap(0)), TABLE[FEW] / 255, FEW),
    ],
    "tiff-jpeg": [
        File(pillow(SMOOTH, compression="jpeg"), jpeg(SMOOTH), "compressed by JPEG"),
        File(pillow(SMOOTH_RGB, compression="jpeg"), jpeg(SMOOTH_RGB, "TIFF", compression="jpeg"), "compressed by JPEG"),
    ],
    "tiff-lossy": [
        File(tiff(SMOOTH, compression="jpeg2000"), SMOOTH / 255, "compressed by JPEG2000"),
        File(
            tiff(SMOOTH_RGB, photometric="rgb", compression="webp", compressionargs={"lossless": True}),
            SMOOTH_RGB / 255,
            "compressed by WEBP",
        ),
    ],
    "tiff-other-colours": [
        File(pillow(SMOOTH_RGB, "CMYK"), "kind SEPARATED", "kind SEPARATED", header_refuses=True),
        *(
            File(tiff(RGB, photometric="rgb", tags={262: code}), f"kind {name}", f"kind {name}", header_refuses=True)
            for code, name in ((6, "YCBCR"), (8, "CIELAB"), (9, "ICCLAB"), (34892, "LINEAR_RAW"), (999, "number 999"))
        ),
        File(tiff(GREY, tags={262: 32803}), "kind CFA", "kind CFA", header_refuses=True),
        File(tiff(LABELLED.astype(bool), tags={262: 4}), "kind MASK", "kind MASK", header_refuses=True),
    ],
    "tiff-channels": [
        File(
            tiff(np.stack([GREY] * count, -1), photometric="minisblack", planarconfig="contig"),
            f"{count} numbers a pixel",
            f"{count} numbers a pixel",
            header_refuses=True,
        )
        for count in (2, 3, 5)
    ]
    + [File(tiff(np.stack([GREY] * 5, -1), photometric="rgb"), "5 numbers a pixel", "5 numbers a pixel", header_refuses=True)],
    "tiff-other-numbers": [
        File(tiff(GREY.astype(np.complex64)), "sample format", "sample format", header_refuses=True),
        File(tiff(RGB, photometric="rgb", tags={258: (8, 8, 4)}), "sample format", "sample format", header_refuses=True),
    ],
    "tiff-pages": [
        File(pages(GREY, FEW), "holds 2 images", "holds 2 images", header_refuses=True),
        File(pages(GREY, FEW[:3, :3]), "holds 2 images", "holds 2 images", header_refuses=True),
        File(pages(GREY, FEW, GREY, sub=True), "holds 3 images", "holds 3 images", header_refuses=True),
        File(pages(*[GREY] * 120), "more than 100 images", "more than 100", header_refuses=True),
    ],
    "tiff-stack": [
        *(
            File(tiff(GREY, description=text, **options), "holds 3 images", "holds 3 images", header_refuses=True)
            for text, options in [
                ("ImageJ=1.53t\nimages=3\nslices=3\nloop=false\n", {}),
                ("ImageJ=1.53t\nslices=3\n", {"byteorder": ">"}),
                ("ImageJ=1.53t\nimages=1\nchannels=3\n", {}),
                ('{"shape": [3, 5, 7]}', {}),
            ]
        ),
        File(tiff(np.stack([GREY] * 3), imagej=True), "holds 3 images", "holds 3 images", header_refuses=True),
        File(
            tiff(np.stack([GREY, FEW]), metadata={}, photometric="minisblack", contiguous=True),
            "holds 2 images",
            "holds 2",
            header_refuses=True,
        ),
        File(
            tiff(np.stack([GREY] * 3), volumetric=True, photometric="minisblack", tile=(1, 16, 16)),
            "holds 3 images",
            "holds 3 images",
            header_refuses=True,
        ),
        File(
            lambda path: (
                tiff(np.concatenate([GREY, FEW]), rowsperstrip=10)(path),
                tiff(np.concatenate([GREY, FEW]), rowsperstrip=10, tags={257: 5, 278: 5})(path),
            ),
            "holds 2 images",
            "holds 2 images",
            header_refuses=True,
        ),
    ],
    "tiff-pyramid": [
        File(pages(GREY, GREY[::2, ::2], subfiletypes=(0, 1)), GREY / 255, GREY),
        File(pages(GREY[::2, ::2], GREY, subfiletypes=(1, 0)), GREY / 255, GREY),
        File(pages(GREY, GREY[::2, ::2], GREY[::4, ::4], subfiletypes=(0, 1, 1), sub=True), GREY / 255, GREY),
    ],
    "tiff-only-reduced": [File(pages(GREY, subfiletypes=(1,)), "no image of full size", "no image", header_refuses=True)],
    "tiff-ome": [
        File(tiff(GREY, ome=True, metadata={"axes": "YX"}), GREY / 255, GREY),
        File(
            tiff(np.stack([GREY, FEW]), ome=True, photometric="minisblack", metadata={"axes": "ZYX"}),
            "holds 2 images",
            "holds 2 images",
            header_refuses=True,
        ),
    ],
    "tiff-oriented": [File(pillow(GREY, tiffinfo={274: code}), turned(code) / 255, turned(code)) for code in (3, 5, 6, 8)],
    "tiff-layout": [
        File(tiff(DEEP, **options), DEEP / 65535, DEEP)
        for options in (
            {"bigtiff": True},
            {"byteorder": ">"},
            {"tile": (16, 16)},
            {"compression": "lzw"},
            {"compression": "zlib", "predictor": True},
            {"compression": "zstd", "rowsperstrip": 2},
        )
    ]
    + [File(tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"), RGB / 255, COLOURS)],
    "tiff-misnamed": [File(tiff(GREY, photometric="miniswhite"), (255 - GREY) / 255, GREY, ".png")],
    "tiff-sparse": [
        File(tiff(GREY, rowsperstrip=3, tags={279: (21, 0)}), "leaves out 1 of 2", "leaves out 1 of 2", header_refuses=True)
    ],
    "tiff-cut": [
        File(cut(tiff(GREY, **options)), "cut off", "cut off", header_refuses=True)
        for options in ({}, {"compression": "lzw"}, {"tile": (16, 16)}, {"bigtiff": True})
    ]
    + [File(tiff(GREY, tags={279: (3,)}), "fewer bytes", "fewer bytes", header_refuses=True)],
}

VOXELS = RNG.permutation(60).reshape(4, 5, 3).astype(np.int16)
MANY = np.stack([VOXELS, VOXELS[::-1]], -1)
ODD = np.where(VOXELS == 7, np.float32("nan"), VOXELS).astype(np.float32)
RESCALED = [{"RescaleSlope": 2.0, "RescaleIntercept": float(at), "WindowCenter": 5, "WindowWidth": 2} for at in range(3)]
AS_RESCALED = VOXELS * np.float32(2) + np.arange(3, dtype=np.float32)
DARK = {"PhotometricInterpretation": "MONOCHROME1"}
NUMBERS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64)


def nifti(values: NDArray[Any], kind: type[Any] = nibabel.Nifti1Image, slope: float = 1.0, inter: float = 0.0) -> Any:
    def write(path: Path) -> None:
        image = kind(values, np.diag([1.0, 2.0, 3.0, 1.0]), dtype=values.dtype)
        image.header.set_slope_inter(slope, inter)
        image.to_filename(path)

    return write


def pair(path: Path) -> None:
    nibabel.Nifti1Pair(VOXELS, np.eye(4)).to_filename(path.with_suffix(".hdr"))
    path.with_suffix(".hdr").rename(path)


def written_nrrd(values: NDArray[Any], encoding: str = "gzip", **fields: Any) -> Any:
    space = {"space": "left-posterior-superior", "space directions": np.eye(3), "space origin": np.zeros(3)}
    return lambda path: nrrd.write(
        str(path), values, {"encoding": encoding, **(fields or space)}, detached_header=path.suffix == ".nhdr"
    )


def series(values: NDArray[Any] = VOXELS, **options: Any) -> Any:
    return lambda path: write_series(path, values, **options)


def two_series(path: Path) -> None:
    write_series(path, VOXELS)
    for at, file in enumerate(write_series(path / "more", VOXELS, SeriesInstanceUID="1.2.9")):
        file.rename(path / f"more{at}.dcm")


def lines_skipped(path: Path) -> None:
    written_nrrd(VOXELS, "raw")(path)
    path.write_bytes(path.read_bytes().replace(b"encoding: raw", b"line skip: 2\nencoding: raw"))


def by_rle(path: Path) -> None:
    for file in write_series(path, VOXELS):
        made = pydicom.dcmread(file)
        made.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        made.save_as(file)


VOLUMES: dict[str, list[File]] = {
    "nifti": [
        *(File(nifti(VOXELS.astype(dtype)), VOXELS.astype(dtype), VOXELS, ".nii") for dtype in NUMBERS),
        File(nifti(VOXELS), VOXELS, VOXELS, ".nii.gz"),
        File(nifti(VOXELS.astype(np.int64), nibabel.Nifti2Image), VOXELS.astype(np.int64), VOXELS, ".nii.gz"),
        File(nifti(VOXELS[..., 0]), VOXELS[..., :1], VOXELS[..., :1], ".nii"),
        File(nifti(VOXELS, slope=2.0, inter=3.0), VOXELS * np.float32(2) + 3, VOXELS * 2 + 3, ".nii"),
        File(nifti(VOXELS / 4), VOXELS / 4, "no whole numbers", ".nii"),
    ],
    "nifti-4d": [File(nifti(MANY), "4D file of 2 volumes.*--channels-in-file", "4D file of 2 volumes", ".nii.gz")],
    "nifti-other": [
        File(pair, "the header of a pair", "the header of a pair", ".nii"),
        File(nifti(VOXELS.astype(np.complex64)), "complex numbers", "complex numbers", ".nii"),
        File(nifti(np.zeros((4, 5, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])), "colours", "colours", ".nii"),
    ],
    "nifti-cut": [File(cut(nifti(VOXELS)), "cut off", "cut off", suffix) for suffix in (".nii", ".nii.gz")],
    "nrrd": [
        *(File(written_nrrd(VOXELS, encoding), VOXELS, VOXELS, ".nrrd") for encoding in ("raw", "gzip", "bzip2")),
        File(written_nrrd(VOXELS), VOXELS, VOXELS, ".nhdr"),
        File(written_nrrd(MANY, kinds=["domain"] * 3 + ["list"]), "4D file of 2 volumes", "4D file of 2", ".nrrd"),
    ],
    "nrrd-other": [
        File(written_nrrd(VOXELS, "ascii"), "encoding .* is not read", "encoding .* is not read", ".nrrd"),
        File(written_nrrd(MANY, kinds=["domain"] * 3 + ["RGB-color"]), "colours", "colours", ".nrrd"),
        File(lines_skipped, "skips 2 lines", "skips 2 lines", ".nrrd"),
    ],
    "dicom": [
        *(File(series(VOXELS.astype(dtype)), VOXELS.astype(dtype), VOXELS, "") for dtype in (np.uint8, np.int16, np.uint32)),
        File(by_rle, VOXELS, VOXELS, ""),
        File(series(each=RESCALED), AS_RESCALED, AS_RESCALED, ""),
    ],
    "dicom-frames": [
        File(
            lambda path: save_dicom(path, enhanced(VOXELS.T, [0.0, 3.0, 6.0])),
            VOXELS * np.arange(1, 4, dtype=np.float32) - 5,
            VOXELS * np.arange(1, 4) - 5,
            ".dcm",
        )
    ],
    "dicom-inverted": [File(series(VOXELS.astype(np.uint8), **DARK), 255 - VOXELS.astype(np.uint8), VOXELS, "")],
    "dicom-other": [
        File(two_series, "files of 2 series", "files of 2 series", ""),
        File(series(places=[0, 1, 3]), "missing", "missing", ""),
        File(series(PhotometricInterpretation="PALETTE COLOR"), "colours", "colours", ""),
    ],
    "volume-nan": [File(nifti(ODD), ODD, "no whole numbers", ".nii")],
}
SCANS = [pytest.param(file, id=f"{row}-{at}") for row, files in VOLUMES.items() for at, file in enumerate(files)]
FILES = [pytest.param(file, id=f"{row}-{at}") for row, files in ROWS.items() for at, file in enumerate(files)]


def test_each_row_of_the_page_has_a_test_and_each_test_its_row() -> None:
    tables, palettes = PAGE.read_text().split("## Palettes")
    assert re.findall(r"^\| `([\w-]+)` \|", tables, re.MULTILINE) == [*ROWS, *VOLUMES]
    tests = (Path(__file__).parent / "test_palettes.py").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \|", palettes, re.MULTILINE)
    assert len(rows) == 6
    assert [row for row in rows if f'"{row}"' not in tests] == []


@pytest.mark.parametrize("file", FILES)
def test_a_file_means_what_its_row_says(tmp_path: Path, file: File) -> None:
    path = tmp_path / f"a{file.suffix}"
    file.write(path)
    if file.header_refuses:
        assert isinstance(file.image, str)
        with pytest.raises(TedmError, match=file.image):
            read_header(path)
    if isinstance(file.image, str):
        with pytest.raises(TedmError, match=rf"a{re.escape(file.suffix)}: .*{file.image}"):
            read_image(path, channels=3, intensity_range=file.range)
    else:
        image = read_image(path, channels=3, intensity_range=file.range)
        expected = file.image if file.image.ndim == 3 else twins(file.image)
        np.testing.assert_array_equal(image, expected.astype(np.float32))
        header = read_header(path)
        assert (header.height, header.width) == image.shape[:2]
    if isinstance(file.mask, str):
        with pytest.raises(TedmError, match=rf"a{re.escape(file.suffix)}: .*{file.mask}"):
            read_mask(path)
    else:
        np.testing.assert_array_equal(read_mask(path), file.mask)


@pytest.mark.parametrize("file", SCANS)
def test_a_volume_means_what_its_row_says(tmp_path: Path, file: File) -> None:
    path = tmp_path / f"a{file.suffix}"
    file.write(path)
    for expected, read in ((file.image, read_voxels), (file.mask, read_volume_labels)):
        if isinstance(expected, str):
            with pytest.raises(TedmError, match=rf"a{re.escape(file.suffix)}.*{expected}"):
                read(path, volume_header(path))
        else:
            values = read(path, volume_header(path))
            np.testing.assert_array_equal(values.reshape(expected.shape), expected)
            assert read is read_volume_labels or values.dtype == expected.dtype


def test_negative_labels_are_refused_unless_they_are_named(tmp_path: Path) -> None:
    for folder, values in (("images", GREY), ("masks", FEW.astype(np.int8) - 1)):
        (tmp_path / folder).mkdir()
        tiff(values)(tmp_path / folder / "a.tif")
    with pytest.raises(TedmError, match=r"a\.tif: values -1 are negative; --ignore one of them, or say with --classes"):
        read_manifest(tmp_path)
    assert read_manifest(tmp_path, ignore=-1).classes == (0, 1, 2)
    assert read_manifest(tmp_path, classes=[-1, 0, 1, 2]).classes == (-1, 0, 1, 2)
