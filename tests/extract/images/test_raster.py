"""The numbers that are in PNG, JPEG and TIFF files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

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
