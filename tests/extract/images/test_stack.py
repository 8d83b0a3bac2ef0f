"""Many images as one array."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import ManifestEntry, read_image, read_squares, to_square_image


@pytest.fixture
def files(tmp_path, rng):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (9 + number, 12, 3), np.uint8)).save(paths[-1])
    return paths


def entries(paths):
    return [ManifestEntry.of_picture(path) for path in paths]


@pytest.mark.parametrize("geometry", ["pad", "stretch"])
def test_the_array_holds_each_images_square(files, geometry):
    squares = read_squares(entries(files), 8, channels=3, geometry=geometry)
    assert squares.shape == (3, 3, 8, 8)
    assert squares.dtype == np.float32
    for path, square in zip(files, squares, strict=True):
        alone = to_square_image(read_image(path, channels=3, intensity_range=None), 8, geometry)
        assert np.array_equal(square.transpose(1, 2, 0), alone)


def test_all_files_that_cannot_be_read_are_named_at_once(files):
    for path in files[1:]:
        path.write_bytes(b"no image")
    with pytest.raises(TedmError, match=r"2 of 3 images could not be read(.|\n)*1\.png(.|\n)*2\.png"):
        read_squares(entries(files), 8, channels=3)


def test_a_size_of_no_pixels_is_refused(files):
    with pytest.raises(TedmError, match="--image-size is 0"):
        read_squares(entries(files), 0)
