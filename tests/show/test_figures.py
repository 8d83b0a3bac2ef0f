from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.collections import LineCollection
from PIL import Image

from tedm.errors import TedmError
from tedm.show.figures import contact_sheet, overlay_figure, png, save
from tedm.show.panels import edges

RNG = np.random.default_rng(5)
IMAGES = [RNG.uniform(size=(12, 16)), RNG.uniform(size=(16, 12, 3))]
TRUTHS = [RNG.integers(0, 3, image.shape[:2]).astype(np.uint8) for image in IMAGES]
TRUTHS[0][0, :3] = 255
PREDICTIONS = {name: [RNG.integers(0, 3, truth.shape).astype(np.uint8) for truth in TRUTHS] for name in ("TEDM", "LEDM")}
NAMES = ["a$b_1", "a very long name that does not fit beside its row"]


def figure(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "images": IMAGES,
        "truths": TRUTHS,
        "predictions": PREDICTIONS,
        "names": NAMES,
        "class_values": [0, 128, 255],
    }
    return overlay_figure(**(arguments | changes))


@settings(deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=6)))
def test_outlines_run_between_inside_and_outside_pixels_and_nowhere_else(inside: Any) -> None:
    expected = set()
    for y, x in zip(*np.nonzero(inside), strict=True):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            there = 0 <= y + dy < inside.shape[0] and 0 <= x + dx < inside.shape[1]
            if not (there and inside[y + dy, x + dx]):
                expected.add((x + dx / 2, y + dy / 2))  # the middle of the edge
    segments = edges(inside)
    assert {tuple(middle) for middle in segments.mean(axis=1).tolist()} == expected
    assert len(segments) == len(expected)
    assert (np.abs(segments[:, 1] - segments[:, 0]).sum(axis=1) == 1).all()


def test_a_row_is_an_image_its_truth_and_each_prediction() -> None:
    axes = figure().axes
    assert [panel.get_title() for panel in axes] == ["image", "truth", "TEDM", "LEDM", "", "", "", ""]
    outlines = [[c for c in panel.collections if isinstance(c, LineCollection)] for panel in axes[:4]]
    assert [len(lines) for lines in outlines] == [0, 2, 3, 3]  # two classes; the truth in white on predictions
    drawn = np.array(outlines[1][1].get_segments())
    np.testing.assert_array_equal(drawn, edges(TRUTHS[0] == 2))


def test_panels_are_spaced_equally() -> None:
    boxes = np.array([panel.get_position().bounds for panel in figure().axes]).reshape(2, 4, 4)
    np.testing.assert_allclose(np.diff(boxes[:, :, 0], axis=1), boxes[0, 1, 0] - boxes[0, 0, 0])
    np.testing.assert_allclose(boxes[..., 2], boxes[0, 0, 2])
    inches = boxes[:, 0, 2:] * figure().get_size_inches()
    np.testing.assert_allclose(inches[:, 1] / inches[:, 0], [12 / 16, 16 / 12])  # pixels stay square


@pytest.mark.parametrize(
    "drawn", [figure(dice={"TEDM": [0.912, float("nan")]}), contact_sheet(IMAGES, NAMES, captions=["1", "2" * 40])]
)
def test_no_text_is_cut_off(drawn: Any) -> None:
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    texts = [*drawn.texts, *(text for panel in drawn.axes for text in [panel.title, *panel.texts])]
    texts += [text for legend in drawn.legends for text in legend.get_texts()]
    for box in (text.get_window_extent() for text in texts if text.get_text()):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_dice_is_in_points_and_nan_is_a_dash() -> None:
    axes = figure(dice={"TEDM": [0.912, float("nan")]}).axes
    assert [[text.get_text() for text in panel.texts] for panel in axes[2::4]] == [["Dice 91.2"], ["Dice –"]]
    assert not axes[3].texts


def test_the_legend_names_classes_truth_and_what_is_ignored() -> None:
    assert [text.get_text() for text in figure().legends[0].get_texts()] == [
        "class 128",
        "class 255",
        "outline of the truth",
        "ignored",
    ]
    alone = figure(images=IMAGES[1:], truths=TRUTHS[1:], predictions={}, names=["b"], class_values=[0, "lung", "heart"])
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["lung", "heart"]


def test_masks_without_foreground_and_full_masks_are_drawn() -> None:
    full, empty = np.ones((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    drawn = overlay_figure([full * 0.5], [empty], {"TEDM": [full]}, ["a"], [0, 1])
    drawn.canvas.draw()
    outlines = [lines for lines in drawn.axes[2].collections if isinstance(lines, LineCollection)]
    assert [len(lines.get_segments()) for lines in outlines] == [16, 0]  # the prediction, the truth


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "no image"),
        ({"names": ["a"]}, "there are 1 names"),
        ({"truths": TRUTHS[::-1]}, r"truth: the mask is \(16, 12\), the image \(12, 16\)"),
        ({"class_values": [0, 255]}, r"truth: \[2\] are no indices of the 2 classes"),
        ({"dice": {"TEDM": [0.5]}}, "there are 1 Dice of TEDM"),
        ({"dice": {"other": [0.5, 0.5]}}, "Dice is given for other"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(TedmError, match=message):
        figure(**changes)


def test_a_contact_sheet_keeps_the_order() -> None:
    sheet = contact_sheet(IMAGES * 3, list("fedcba"), captions=list("123456"), columns=4)
    assert [panel.get_title() for panel in sheet.axes] == list("fedcba")
    places = np.array([panel.get_position().bounds[:2] for panel in sheet.axes])
    assert (np.diff(places[:4, 0]) > 0).all()
    assert (places[4:, 1] < places[:4, 1].min()).all()
    with pytest.raises(TedmError, match="at least one image"):
        contact_sheet([], [])
    with pytest.raises(TedmError, match="one name"):
        contact_sheet(IMAGES, ["a"])


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_saved_figure_is_whole_and_carries_no_date(tmp_path: Any, suffix: str) -> None:
    path = tmp_path / f"masks.{suffix}"
    save(figure(), path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]
    assert b"CreationDate" not in path.read_bytes()
    assert b"dc:date" not in path.read_bytes()
    if suffix == "png":
        with Image.open(path) as picture:
            assert picture.size == tuple(int(150 * side) for side in figure().get_size_inches())


def test_a_figure_that_cannot_be_saved_says_why(tmp_path: Any) -> None:
    with pytest.raises(TedmError, match=r"no format '\.docx'"):
        save(figure(), tmp_path / "masks.docx")
    with pytest.raises(TedmError, match="cannot write"):
        save(figure(), tmp_path / "missing" / "masks.png")


def test_the_same_figure_is_the_same_bytes() -> None:
    assert png(figure()) == png(figure())
    with Image.open(io.BytesIO(png(figure(), dpi=50))) as picture:
        assert picture.size == tuple(int(50 * side) for side in figure().get_size_inches())
