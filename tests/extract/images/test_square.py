"""A file becomes a square, and its name is in whatever goes wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import ManifestEntry, read_image, read_squares, to_square_image
from tedm.extract.images.square import naming, read_square

HOW = {"channels": 1, "geometry": "pad", "intensity_range": None}


def test_a_square_is_the_image_brought_to_the_square(tmp_path, rng):
    Image.fromarray(rng.integers(0, 255, (9, 14, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", channels=3, intensity_range=None)
    square = read_square(ManifestEntry.of_picture(tmp_path / "a.png"), 8, channels=3, geometry="pad", intensity_range=None)
    np.testing.assert_array_equal(square, to_square_image(image, 8, "pad"))


def test_what_is_too_large_is_named_and_the_others_are_looked_at(tmp_path):
    """A row of 150,000 pixels is a file of 200 bytes."""
    Image.new("L", (150_000, 1)).save(tmp_path / "strip.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(TedmError) as refused:
        read_squares([ManifestEntry.of_picture(tmp_path / name) for name in ("strip.png", "broken.png")], 8)
    text = str(refused.value)
    assert "2 of 2 images could not be read" in text
    assert f"{tmp_path / 'strip.png'}: 1 x 150000 pixels; a side of more than 131072 is not taken" in text
    assert text.count("broken.png") == 1


def test_a_lack_of_memory_names_the_file(tmp_path):
    def ask(path):
        with naming(path):
            np.empty(2**60, np.uint8)

    with pytest.raises(TedmError, match=r"a\.png: too large for the memory that is free; save a smaller copy, or free some"):
        ask(tmp_path / "a.png")
