"""Values that lie where black and white are, beside them, or all on one of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import ManifestEntry, read_image, read_manifest, read_squares

Y, X = np.mgrid[:24, :32]
SCENE = (8 * X + 2 * Y) / (8 * 31 + 2 * 23)  # from 0 to 1


@pytest.fixture
def remarks(tmp_path):
    """What is said of a folder of these arrays, in a range and for a number of channels."""

    def said(*arrays, intensity_range=None, channels=1):
        for number, array in enumerate(arrays):
            suffix = "tif" if array.dtype in (np.float32, np.int32) else "png"
            Image.fromarray(array).save(tmp_path / f"x{number}.{suffix}")
        return read_manifest(tmp_path).require_intensity_range(intensity_range, channels=channels)

    return said


def of_16_bits(highest, lowest=0):
    return (lowest + SCENE * (highest - lowest)).astype(np.uint16)


OF_8_BITS = (SCENE * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "given", "fits"),
    [
        (of_16_bits(4080), None, "0,4095"),
        (of_16_bits(1020), None, "0,1023"),
        (of_16_bits(16000), None, "0,16383"),
        (of_16_bits(255), None, "0,255"),
        (of_16_bits(1), None, "0,1"),
        (of_16_bits(30500, 30000), None, "30000,31000"),
        (of_16_bits(4080), (0, 900), "0,4095"),
        (of_16_bits(255), (0, 4095), "0,255"),
        (SCENE.astype(np.float32), (0, 255), "0,1"),
        (SCENE.astype(np.float32), (-1000, 400), "0,1"),
        ((SCENE * 3900 - 1024).astype(np.float32), (0, 900), "-1100,2900"),
    ],
)
def test_a_range_that_fits_badly_is_said_with_one_that_fits(remarks, image, given, fits):
    (said,) = remarks(image, image, intensity_range=given)
    assert said.startswith("values of 2 of 2 images of ")
    assert f"--intensity-range={fits} fits" in said
    low, high = map(float, fits.split(","))
    assert remarks(image, image, intensity_range=(low, high)) == []


@pytest.mark.parametrize(
    ("image", "given"),
    [(of_16_bits(60000), None), (OF_8_BITS, None), (of_16_bits(4000), (300, 3000)), (SCENE.astype(np.float32), (0, 1))],
)
def test_nothing_is_said_of_values_that_fit(remarks, image, given):
    assert remarks(image, intensity_range=given) == []


@pytest.mark.parametrize("given", [(5000, 6000), (-9, -3)])
def test_a_range_that_makes_every_image_one_grey_is_refused(remarks, given):
    with pytest.raises(TedmError, match=r"all 2 images(.|\n)*single grey value(.|\n)*--intensity-range=0,4095 fits"):
        remarks(of_16_bits(4080), of_16_bits(4000), intensity_range=given)


def test_blank_images_are_refused_if_all_are_and_taken_among_others(remarks):
    blank = np.full((24, 32), 7, np.uint8)
    with pytest.raises(TedmError, match="of one value in its file already"):
        remarks(blank, blank)
    assert remarks(blank, blank, OF_8_BITS) == []


def test_a_range_is_for_files_of_more_than_8_bits(remarks, tmp_path):
    (said,) = remarks(OF_8_BITS, of_16_bits(4080), intensity_range=(0, 4095))
    assert said == "black and white stay 0 and 255 in 1 image of 8 bits: --intensity-range is for files of more than 8 bits"
    alone = read_image(tmp_path / "x0.png", channels=1, intensity_range=None)
    np.testing.assert_array_equal(read_image(tmp_path / "x0.png", channels=1, intensity_range=(0, 4095)), alone)
    pictures = [ManifestEntry.of_picture(tmp_path / name) for name in ("x0.png", "x1.png")]
    both = read_squares(pictures, 8, intensity_range=(0, 4095))
    assert both.max(axis=(1, 2, 3)) == pytest.approx([1, 1], abs=0.06)


def test_each_kind_of_file_is_looked_at_by_itself(remarks):
    said = remarks(*[OF_8_BITS] * 40, of_16_bits(4080))
    assert [line.split(" reach")[0] for line in said] == ["values of 1 of 1 image of 16 bits"]


def test_many_images_are_sampled(remarks):
    (said,) = remarks(*[of_16_bits(4080)] * 40)
    assert said.startswith("values of 32 of 40 images of 16 bits reach from 0 to 4080")


def test_all_images_in_colour_are_listed_before_any_work(remarks, tmp_path):
    colour = np.stack([8 * X, 8 * Y, X + Y], -1).astype(np.uint8)
    grey = np.stack([OF_8_BITS] * 3, -1)
    with pytest.raises(TedmError) as refused:
        remarks(colour, grey, OF_8_BITS, colour)
    assert str(refused.value).startswith("2 images of 4 cannot be used:")
    for name in ("x0.png", "x3.png"):
        assert f"{tmp_path / name}: is in colour" in str(refused.value)
    assert remarks(colour, grey, OF_8_BITS, colour, channels=3) == []
