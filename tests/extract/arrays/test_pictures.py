"""Arrays as images: what is taken for black and white, for channels and for slices, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import pictures_of, require_intensities
from tedm.extract.images import read_image

GREY = (np.arange(20 * 30).reshape(20, 30) * 7 % 256).astype(np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


@pytest.mark.parametrize(
    ("values", "channels", "given"),
    [
        (GREY, 1, None),
        (GREY, 3, None),
        (COLOURS, 3, None),
        (np.stack([GREY] * 3, axis=-1), 1, None),
        (GREY > 90, 1, None),
        (GREY.astype(np.uint16) * 200, 1, None),
        (GREY.astype(np.uint16) * 16, 1, (100.0, 4000.0)),
        (GREY, 1, (100.0, 4000.0)),
    ],
    ids=[
        "grey",
        "grey for three",
        "colours",
        "grey in colours",
        "black and white",
        "16 bits",
        "a range",
        "8 bits have their own",
    ],
)
def test_an_array_has_the_intensities_of_a_png_of_its_numbers(
    tmp_path: Path, values: np.ndarray[Any, Any], channels: int, given: tuple[float, float] | None
) -> None:
    Image.fromarray(values).save(tmp_path / "scan.png")
    (picture,) = pictures_of(values, "scan", channels=channels, intensity_range=given)
    expected = read_image(tmp_path / "scan.png", channels=channels, intensity_range=given)
    np.testing.assert_array_equal(picture.intensities(channels)[:], expected)


def test_floats_without_a_range_are_from_0_to_1() -> None:
    (picture,) = pictures_of(GREY / 255, "scan")
    assert require_intensities([picture], channels=1) == []
    np.testing.assert_array_equal(picture.intensities(1)[:], pictures_of(GREY, "scan")[0].intensities(1)[:])


def test_slices_along_any_axis_are_images_called_after_their_volume() -> None:
    volume = np.random.default_rng(1).integers(0, 256, (4, 5, 6), dtype=np.uint8)
    for axis in (0, 1, 2, -1):
        pictures = pictures_of(volume, "ct", axis=axis)
        assert [picture.name for picture in pictures] == [f"ct_{at:03d}" for at in range(volume.shape[axis])]
        for at, picture in enumerate(pictures):
            np.testing.assert_array_equal(picture.values[..., 0], np.take(volume, at, axis))


def test_as_many_channels_as_the_backbone_has_are_mapped_alike() -> None:
    both = np.stack([GREY, 255 - GREY], axis=-1)
    (picture,) = pictures_of(both, "mr", channels=2)
    np.testing.assert_array_equal(picture.intensities(2)[:], (both / 255).astype(np.float32))


def test_a_range_that_fits_badly_is_said() -> None:
    (picture,) = pictures_of(GREY.astype(np.uint16), "scan")
    (remark,) = require_intensities([picture], channels=1)
    assert "values of 1 of 1 image of 16 bits reach from 0 to 255, nearly black where white is 65535" in remark


NAN = np.full((4, 5), np.nan)


@pytest.mark.parametrize(
    ("image", "axis", "channels", "said"),
    [
        (np.zeros((0, 5)), None, 1, r"an array of shape \(0, 5\), without a pixel"),
        (np.zeros(5), None, 1, "an array of 1 dimensions; expected"),
        (NAN, None, 1, "holds NaN or infinite values"),
        (np.full((4, 5), "a"), None, 1, "an array of <U1; expected integers or floats"),
        ([[1, 2], [3]], None, 1, "no array of numbers"),
        (np.ma.masked_equal(GREY, 0), None, 1, r"masked array.*image\.filled\(0\)"),
        (GREY + 0j, None, 1, "an array of complex128"),
        (np.zeros((6, 20, 30)), None, 1, r"30 channels in the last axis.*takes 1, 3; for a volume name the axis"),
        (np.zeros((20, 30, 4)), None, 3, r"four channels.*image\[\.\.\., :3\]"),
        (np.zeros((20, 30, 2)), None, 1, "2 channels in the last axis"),
        (np.zeros((20, 30, 3)), None, 2, "3 channels in the last axis.*takes 2"),
        (GREY, None, 2, "grey, and the backbone takes 2 channels"),
        (GREY, 0, 1, r"axis=0 names the slices of a volume, and an array of shape \(20, 30\) is none"),
        (np.zeros((6, 20, 30)), 3, 1, r"axis=3 is none of the axes of a volume of shape \(6, 20, 30\)"),
        (np.zeros((6, 20, 30, 3)), -1, 1, "axis=-1 is none of the axes"),
        (np.zeros((6, 20, 30, 3)), None, 1, "an array of 4 dimensions"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(image: Any, axis: int | None, channels: int, said: str) -> None:
    with pytest.raises(TedmError, match=f"^image scan: .*{said}"):
        pictures_of(image, "scan", axis=axis, channels=channels)


@pytest.mark.parametrize(
    ("image", "given", "said"),
    [
        (GREY * 3.0, None, "floats without a range are intensities from 0 to 1, and these reach from 0 to 7.*intensity_range="),
        (GREY.astype(np.int64), None, r"signed with 64 bits have no range.*\.astype\(np\.uint8\)"),
        (GREY.astype(np.int16) - 1000, None, "signed with 16 bits have no range of their own; give --intensity-range$"),
        (GREY.astype(np.uint16), (9.0, 9.0), "the first must be the smaller one"),
        (COLOURS, None, "1 image of 1 cannot be used:\n  image scan: is in colour"),
        (np.full((4, 5), 7, np.uint8), None, "scan would be of a single grey value"),
    ],
)
def test_what_has_no_black_and_white_is_refused(image: Any, given: tuple[float, float] | None, said: str) -> None:
    with pytest.raises(TedmError, match=said):
        require_intensities(pictures_of(image, "scan", intensity_range=given), channels=1)


def test_a_name_that_could_be_no_files_is_refused() -> None:
    with pytest.raises(TedmError, match=r"image '\.\./scan': the name cannot be a file's name"):
        pictures_of(GREY, "../scan")


def test_the_name_of_a_file_is_no_array(tmp_path: Path) -> None:
    for named in ("scan.png", tmp_path / "scan.png"):
        with pytest.raises(TedmError, match=r"scan.png names a file, and an array is expected; read it first"):
            pictures_of(named, "image", axis=None, channels=1, intensity_range=None)  # type: ignore[arg-type]
