"""Predictions as files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images.geometry import from_square_probabilities
from tedm.extract.images.read import read_labels
from tedm.extract.images.write import mask_png, native_mask, write_prediction, write_uncertainty


@pytest.fixture
def probabilities(rng):
    numbers = rng.gamma(0.3, size=(8, 8, 3))
    return numbers / numbers.sum(axis=-1, keepdims=True)


def values_in(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(("classes", "dtype"), [((0, 7, 255), np.uint8), ((0, 7, 300), np.uint16)])
@pytest.mark.parametrize("geometry", ["pad", "stretch"])
def test_a_mask_has_the_values_of_its_classes_at_the_images_own_size(tmp_path, probabilities, classes, dtype, geometry):
    path = write_prediction(
        tmp_path, "a", probabilities, original_size=(12, 20), geometry=geometry, classes=classes, keep_probabilities=True
    )
    mask, kept = values_in(path), np.load(tmp_path / "a.npy")
    assert (mask.shape, mask.dtype) == ((12, 20), dtype)
    assert np.array_equal(kept, from_square_probabilities(probabilities.astype(np.float32), (12, 20), geometry))
    assert np.array_equal(mask, np.array(classes)[kept.argmax(axis=-1)])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.npy", "a.png"]


@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 7, 255), (255, 0, 128)])
def test_a_mask_is_seen_in_colour_and_read_back_as_the_values_that_were_written(tmp_path, probabilities, classes):
    colours = ("#000000", "#e69f00", "#56b4e9")
    options = {"original_size": (12, 20), "geometry": "pad", "classes": classes}
    grey = values_in(write_prediction(tmp_path, "grey", probabilities, **options))
    path = write_prediction(tmp_path, "a", probabilities, colours=colours, **options)
    labels = read_labels(path)
    assert np.array_equal(labels.values, grey)
    assert np.array_equal(values_in(path), grey)
    with Image.open(path) as image:
        assert image.mode == "P"
        seen = np.asarray(image.convert("RGB"))
    for value, colour in zip(classes, colours, strict=True):
        rgb = tuple(bytes.fromhex(colour[1:]))
        assert tuple(labels.palette[value]) == rgb
        assert (seen[grey == value] == rgb).all()


def test_values_beyond_a_palette_are_grey_of_16_bits(tmp_path, probabilities):
    options = {"original_size": (8, 8), "geometry": "pad", "classes": (0, 7, 300)}
    path = write_prediction(tmp_path, "a", probabilities, colours=("#000000", "#e69f00", "#56b4e9"), **options)
    assert set(np.unique(values_in(path))) <= {0, 7, 300}
    assert values_in(path).dtype == np.uint16


def test_a_mask_that_is_given_is_written_and_not_that_of_the_probabilities(tmp_path, probabilities):
    flat = np.full_like(probabilities, 1 / 3)
    options = {"original_size": (8, 8), "geometry": "pad", "classes": (0, 1, 2)}
    mask = native_mask(probabilities, (8, 8), "pad")
    write_prediction(tmp_path, "a", flat, mask=mask, keep_probabilities=True, **options)
    assert np.array_equal(values_in(tmp_path / "a.png"), probabilities.argmax(axis=-1))
    assert np.array_equal(np.load(tmp_path / "a.npy"), flat.astype(np.float32))


def test_what_cleans_a_mask_is_told_how_many_pixels_stand_for_one(tmp_path, probabilities):
    class Background:
        told = 0.0

        def enlarged(self, pixels):
            Background.told = pixels
            return self

        def __call__(self, mask):
            return np.zeros_like(mask)

    write_prediction(
        tmp_path, "a", probabilities, original_size=(16, 8), geometry="pad", classes=(5, 6, 7), cleaning=Background()
    )
    assert Background.told == 4.0  # a square of 16 x 16 on 8 x 8
    assert (values_in(tmp_path / "a.png") == 5).all()


def test_uncertainty_is_a_grey_picture_of_each_kind(tmp_path, rng):
    maps = {"entropy": rng.random((8, 8)), "disagreement": rng.random((8, 8))}
    write_uncertainty(tmp_path, "a", maps, original_size=(8, 8), geometry="pad")
    for kind, plane in maps.items():
        assert np.array_equal(values_in(tmp_path / f"a-{kind}.png"), np.rint(255 * plane.astype(np.float32)).astype(np.uint8))


def test_a_folder_that_is_not_there_is_said(tmp_path, probabilities):
    with pytest.raises(TedmError, match=r"cannot write .*a\.png: No such file or directory; make room"):
        write_prediction(tmp_path / "absent", "a", probabilities, original_size=(8, 8), geometry="pad", classes=(0, 1, 2))


def test_a_mask_says_of_itself_what_it_is_told(rng):
    values = rng.integers(0, 3, (5, 7)).astype(np.uint8)
    with Image.open(io.BytesIO(mask_png(values, {1: "#ff8000"}, {"classes": "grün"}))) as picture:
        assert picture.text == {"classes": "grün"}
        assert np.array_equal(np.asarray(picture), values)
        assert (np.asarray(picture.convert("RGB"))[values == 1] == (255, 128, 0)).all()
    assert mask_png(values, {1: "#ff8000"}, {}) == mask_png(values, {1: "#ff8000"})
