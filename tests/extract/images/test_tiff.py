"""What tifffile is told and what it tells; what kinds of TIFF mean is in test_formats.py."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import raster, tiff

VALUES = np.random.default_rng(7).integers(0, 256, (9, 11), np.uint8)


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint32])
def test_what_has_no_black_is_refused_by_its_header(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES.astype(kind), photometric="miniswhite", metadata=None)
    for read in (tiff.read_header, tiff.read_intensities):
        with pytest.raises(TedmError, match=r"a\.tif: zero is white, and numbers of kind .* have no black; invert them"):
            read(path)
    assert (tiff.read_labels(path).values == VALUES).all()


@pytest.mark.parametrize(
    ("array", "header"),
    [
        (VALUES, ("unsigned", 8, 255.0)),
        (VALUES.astype(np.uint16) * 200, ("unsigned", 16, 65535.0)),
        (VALUES.astype(np.int16), ("signed", 16, None)),
        (VALUES.astype(np.float64), ("float", 64, None)),
        (np.stack([VALUES] * 3, -1), ("unsigned RGB", 8, 255.0)),
    ],
)
def test_a_header_says_the_size_the_kind_and_what_is_white(
    tmp_path: Path, array: NDArray, header: tuple[str, int, float | None]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, metadata=None)
    found = tiff.read_header(path)
    assert (found.height, found.width, found.mode, found.bits, found.white) == (9, 11, *header)
    values, same = tiff.read_intensities(path)
    assert same == found
    assert values.dtype == array.dtype
    assert np.array_equal(values.squeeze(), array)


@pytest.mark.parametrize("pages", [1, 150])
def test_a_list_of_pages_that_does_not_end_is_damage(tmp_path: Path, pages: int) -> None:
    """The last page points back to the second: to walk the list is never to return."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for at in range(pages):
            file.write(VALUES[:2, :2], subfiletype=int(at > 0), metadata=None)
    with tifffile.TiffFile(path) as file:
        at, second = file.pages.next_page_offset, file.pages[min(1, pages - 1)].offset
    raw = bytearray(path.read_bytes())
    raw[at : at + 4] = struct.pack("<I", second)
    path.write_bytes(raw)
    with pytest.raises(TedmError, match=r"a\.tif: (is cut off or damaged|holds)"):
        tiff.read_header(path)


def test_a_page_beyond_the_end_is_a_file_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([VALUES] * 2), metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        second = file.pages[1].offset
    path.write_bytes(path.read_bytes()[: second - 4])
    with pytest.raises(TedmError, match=r"a\.tif: is cut off or damaged \(there should be an image after number 1\)"):
        tiff.read_header(path)


def test_tiles_of_a_size_beyond_the_limit_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, tile=(16, 16), compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[322].overwrite(65520)
        file.pages[0].tags[323].overwrite(65520)
    with pytest.raises(TedmError, match=r"a\.tif: more than \d+ pixels"):
        tiff.read_header(path)


def test_what_tifffile_logs_of_our_files_is_not_said_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, rowsperstrip=3, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[279].overwrite((1, 2, 3, 4))
    with caplog.at_level(logging.WARNING), pytest.raises(TedmError, match="fewer bytes"):
        tiff.read_header(path)
    assert caplog.records == []
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    assert caplog.records


def test_bytes_that_changed_end_in_numbers_or_in_one_line(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.tif", np.random.default_rng(11)
    wholes = []
    for options in ({}, {"compression": "zlib"}, {"tile": (16, 16), "compression": "lzw"}, {"bigtiff": True}, {"imagej": True}):
        tifffile.imwrite(path, VALUES, **options)
        wholes.append(path.read_bytes())
    refusals = []
    for number in range(200):
        raw = bytearray(wholes[number % len(wholes)])
        for at in rng.integers(4, min(len(raw), 400), 3):
            raw[at] = rng.choice([0, 1, 127, 128, 255])
        path.write_bytes(raw)
        for read in (raster.read_header, raster.read_intensities, raster.read_labels):
            try:
                read(path)
            except TedmError as error:
                refusals.append(str(error))
    assert 50 < len(refusals) < 600
    assert [text for text in refusals if not text.startswith(f"{path}: ") or "\n" in text] == []


KINDS = ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "?"]
LAYOUTS = st.fixed_dictionaries(
    {},
    optional={
        "byteorder": st.sampled_from(["<", ">"]),
        "bigtiff": st.booleans(),
        "compression": st.sampled_from(["zlib", "lzw", "packbits", "zstd"]),
        "photometric": st.sampled_from(["minisblack", "miniswhite"]),
        "rowsperstrip": st.integers(1, 4),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_tifffile_writes_is_read_right_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(KINDS)))
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    colours = data.draw(st.booleans()) and dtype.kind in "uif" and dtype.itemsize > 0
    layout = data.draw(LAYOUTS)
    if colours:
        layout["photometric"] = "rgb"
        layout["planarconfig"] = data.draw(st.sampled_from(["contig", "separate"]))
    if dtype.kind == "?" or dtype.kind == "b":
        layout.pop("compression", None)
    whole = {"min_value": -100, "max_value": 100} if dtype.kind == "f" else {}
    elements = arrays.from_dtype(dtype, **whole, **({"allow_nan": False} if dtype.kind == "f" else {}))
    array = data.draw(arrays.arrays(dtype, (*shape, 3) if colours else shape, elements=elements))
    written = np.moveaxis(array, -1, 0) if layout.get("planarconfig") == "separate" else array
    path = tmp_path_factory.getbasetemp() / "property.tif"
    tifffile.imwrite(path, written, metadata=None, **{"photometric": "minisblack", **layout})
    inverted = layout.get("photometric") == "miniswhite"
    top = 1 if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind == "u" else None
    try:
        values, header = raster.read_intensities(path)
    except TedmError:
        assert inverted
        assert dtype.kind in "if" or dtype.itemsize > 2
    else:
        meant = top - array if inverted else array
        np.testing.assert_array_equal(values if colours else values[..., 0], meant)
        assert header.white == (top if top is not None and top < 2**16 else None)
    try:
        labels = raster.read_labels(path).values
    except TedmError:
        one = array[..., 0] if colours else array
        wrong = (one != np.trunc(one)).any() or (np.abs(one.astype(np.float64)) > 2**31 - 1).any()
        assert wrong or (colours and (array != array[..., :1]).any())
    else:
        np.testing.assert_array_equal(labels, array[..., 0] if colours else array)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_pillow_writes_is_read_right_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"]))
    suffix = data.draw(st.sampled_from(["png", "tif"]))
    height, width = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    kinds = {"1": "?", "I;16": "u2", "I": "i4", "F": "f4"}
    bands = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    dtype = np.dtype(kinds.get(mode, "u1"))
    elements = st.integers(0, 255 if dtype.itemsize == 1 else 60000) if dtype.kind != "b" else st.booleans()
    array = data.draw(arrays.arrays(dtype, (height, width, bands) if bands else (height, width), elements=elements))
    image = Image.fromarray(array)
    if mode == "P":
        image = Image.frombytes("P", (width, height), array.tobytes())
        image.putpalette(bytes(range(256)) * 3)
    if mode == "CMYK":
        image = Image.frombytes("CMYK", (width, height), array.tobytes())
    path = tmp_path_factory.getbasetemp() / f"property.{suffix}"
    try:
        image.save(path)
    except OSError:  # Pillow writes no floats and no CMYK as PNG
        assert suffix == "png"
        return
    try:
        values, _ = raster.read_intensities(path)
    except TedmError:
        hidden = mode in ("LA", "RGBA") and (array[..., :-1] == array[:1, :1, :-1]).all()
        assert mode == "CMYK" or hidden
    else:
        table = np.frombuffer(bytes(range(256)) * 3, np.uint8).reshape(-1, 3)
        meant = table[array] if mode == "P" else array[..., : bands - 1 + bands % 2] if bands else array[..., None]
        np.testing.assert_array_equal(values, meant)
    try:
        labels = raster.read_labels(path).values
    except TedmError:
        assert mode in ("CMYK", "RGB", "RGBA", "LA")
    else:
        np.testing.assert_array_equal(labels, array[..., 0] if bands else array)
