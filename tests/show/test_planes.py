"""A patient in three planes: the right voxels, turned the right way, at the size that they have in millimetres."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.show import three_planes

RNG = np.random.default_rng(4)
SHAPE, SPACING = (6, 9, 7), (4.0, 1.0, 2.0)  # slices, rows and columns; 24 x 9 x 14 mm
IMAGE = RNG.uniform(size=SHAPE)
TRUTH = np.zeros(SHAPE, np.uint8)
TRUTH[1:3, 4:8, 3], TRUTH[2, 5, 2:6] = 1, 2
FOUND = np.roll(TRUTH, 1, axis=1)
CLASSES = ["background", "thalamus", "caudate"]


def drawn(image=IMAGE, truth=TRUTH, predictions=None, spacing=SPACING, at=None):
    return three_planes(image, truth, {"TEDM": FOUND} if predictions is None else predictions, spacing, CLASSES, at=at)


def test_each_plane_shows_its_voxels_the_head_up_and_the_face_to_the_left():
    axial, coronal, sagittal = drawn(at=(1, 5, 3)).axes[:3]
    np.testing.assert_array_equal(axial.images[0].get_array(), IMAGE[1])
    np.testing.assert_array_equal(coronal.images[0].get_array(), IMAGE[::-1, 5])
    np.testing.assert_array_equal(sagittal.images[0].get_array(), IMAGE[::-1, :, 3])


def test_a_millimetre_is_as_long_in_every_panel_and_direction():
    figure = drawn()
    inches = np.array([axes.get_position().bounds[2:] for axes in figure.axes]) * figure.get_size_inches()
    sizes = [(14, 9), (14, 24), (9, 24)] * 3
    scales = inches / sizes
    np.testing.assert_allclose(scales, scales[0, 0])
    assert {axes.get_aspect() for axes in figure.axes} == {"auto"}


def test_the_planes_cross_where_most_of_the_truth_is():
    axial, coronal, sagittal = drawn().axes[3:6]
    np.testing.assert_array_equal(axial.images[0].get_array(), IMAGE[2])
    np.testing.assert_array_equal(coronal.images[0].get_array(), IMAGE[::-1, 5])
    np.testing.assert_array_equal(sagittal.images[0].get_array(), IMAGE[::-1, :, 3])
    nothing = drawn(truth=None, predictions={})
    np.testing.assert_array_equal(nothing.axes[0].images[0].get_array(), IMAGE[3])


def test_rows_are_the_image_the_truth_and_each_prediction():
    figure = drawn(predictions={"TEDM": FOUND, "LEDM": TRUTH})
    assert [text.get_text() for text in figure.texts] == ["image", "truth", "TEDM", "LEDM"]
    assert [axes.get_title() for axes in figure.axes] == ["axial", "coronal", "sagittal"] + [""] * 9
    assert [len(axes.images) for axes in figure.axes] == [1] * 3 + [2] * 9
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["thalamus", "caudate", "outline of the truth"]


def test_letters_say_which_side_of_the_patient_is_where():
    letters = [{text.get_text(): text.get_position() for text in axes.texts} for axes in drawn().axes[:3]]
    assert [set(each) - {"2 mm"} for each in letters] == [set("RLAP"), set("RLSI"), set("APSI")]
    axial, coronal, sagittal = letters
    assert axial["R"][0] < axial["L"][0]
    assert axial["A"][1] > axial["P"][1]
    assert coronal["S"][1] > coronal["I"][1]
    assert sagittal["A"][0] < sagittal["P"][0]


def test_a_bar_says_how_long_a_millimetre_is():
    figure = drawn()
    assert "2 mm" in [text.get_text() for text in figure.axes[0].texts]
    (bar,) = figure.axes[0].lines
    assert np.ptp(bar.get_xdata()) * SPACING[2] == pytest.approx(2)


def test_the_same_planes_have_the_same_bytes():
    first, second = (drawn()._repr_png_() for _ in range(2))
    assert first == second
    with Image.open(io.BytesIO(first)) as picture:
        assert min(picture.size) > 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": IMAGE[0]}, r"shape \(9, 7\).*slices, rows and columns"),
        ({"image": np.zeros((0, 9, 7))}, "without a voxel"),
        ({"truth": TRUTH[:5]}, r"truth is of shape \(5, 9, 7\), and the image of \(6, 9, 7\)"),
        ({"predictions": {"TEDM": FOUND[..., :3]}}, r"TEDM is of shape"),
        ({"predictions": {"TEDM": FOUND + 7}}, r"TEDM: 7, 8, 9 are no indices of the 3 classes"),
        ({"spacing": (1.0, 1.0)}, "three numbers above 0"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "three numbers above 0"),
        ({"at": (6, 0, 0)}, r"\(6, 0, 0\) lies outside"),
        ({"at": (1, 2)}, r"\(1, 2\) lies outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(changes, message):
    with pytest.raises(TedmError, match=message) as refusal:
        drawn(**changes)
    assert "\n" not in str(refusal.value)
