"""The numbers that are in PNG, JPEG and TIFF files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from tedm.errors import TedmError
from tedm.extract.images import raster

VALUES = np.random.default_rng(2).integers(0, 256, (5, 7), np.uint8)


@pytest.mark.parametrize(
    ("array", "header"),
    [
        (VALUES, (5, 7, "L", 8, 255.0)),
        (VALUES.astype(np.uint16) * 200, (5, 7, "I;16", 16, 65535.0)),
        (np.stack([VALUES] * 3, -1), (5, 7, "RGB", 8, 255.0)),
    ],
)
def test_a_header_says_the_size_the_kind_and_what_is_white(tmp_path, array, header):
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    found = raster.read_header(path)
    assert (found.height, found.width, found.mode, found.bits, found.white) == header
    values, same = raster.read_intensities(path)
    assert same == found
    assert np.array_equal(values.squeeze(), array)


def test_a_palettes_indices_are_labels_and_its_colours_are_intensities(tmp_path):
    image = Image.fromarray(VALUES % 3).convert("P")
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 100, 50])
    image.save(tmp_path / "a.png")
    labels = raster.read_labels(tmp_path / "a.png")
    assert np.array_equal(labels.values, VALUES % 3)
    assert labels.palette is not None
    assert labels.palette[:3].tolist() == [[9, 9, 9], [200, 0, 0], [0, 100, 50]]
    values, _ = raster.read_intensities(tmp_path / "a.png")
    assert values.shape == (5, 7, 3)
    assert np.array_equal(values[VALUES % 3 == 2], np.tile([0, 100, 50], ((VALUES % 3 == 2).sum(), 1)))


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("a.jpg", VALUES, "cannot be a JPEG"),
        ("a.png", np.stack([VALUES, VALUES, 255 - VALUES], -1), "a mask in colours"),
        ("a.tif", VALUES.astype(np.float32) / 3, "no whole numbers"),
    ],
)
def test_pixels_that_are_no_labels_are_refused(tmp_path, name, array, text):
    Image.fromarray(array).save(tmp_path / name)
    with pytest.raises(TedmError, match=text):
        raster.read_labels(tmp_path / name)


def turned(how: str) -> dict[str, object]:
    """Return how Pillow is to save a PNG that is to be turned, as `how` says it."""
    if how == "exif":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        return {"exif": exif}
    about = PngImagePlugin.PngInfo()
    about.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    return {"pnginfo": about}


@pytest.mark.parametrize("how", ["exif", "xmp"])
def test_a_png_that_is_to_be_turned_is_refused_by_its_header(tmp_path, monkeypatch, how):
    Image.fromarray(VALUES).save(tmp_path / "a.png", **turned(how))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda image: pytest.fail("pixels are decoded"))
    with pytest.raises(
        TedmError, match=r"a PNG with an EXIF orientation \(6\), which only some programs obey; save it upright"
    ):
        raster.read_header(tmp_path / "a.png")


def test_an_orientation_behind_the_pixels_is_told_when_they_are_read(tmp_path):
    Image.fromarray(VALUES).save(tmp_path / "a.png", **turned("exif"))
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    last = content.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(content[:start] + content[end:last] + content[start:end] + content[last:])
    raster.read_header(tmp_path / "a.png")
    for read in (raster.read_intensities, raster.read_labels):
        with pytest.raises(TedmError, match="orientation"):
            read(tmp_path / "a.png")
