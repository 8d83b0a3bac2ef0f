"""Grids of pictures, uncertainty, similarity: what is drawn is what was given."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.show import picture_grid, similarity_figure, uncertainty_figure

RNG = np.random.default_rng(2)
COARSE, FINE = [[RNG.uniform(-1, 2, size=(side, side, 3)) for _ in range(3)] for side in (4, 16)]
COLUMNS = ["t = 1", "t = 50", "t = 800"]
IMAGES = [RNG.uniform(size=(16, 16, 1)) for _ in range(2)]
MASKS = [RNG.integers(0, 3, (16, 16)).astype(np.uint8) for _ in range(2)]
DOUBT = [RNG.uniform(0, 0.5, size=(16, 16)) for _ in range(2)]
NAMES = [f"t = {t}" for t in (1, 10, 25, 50, 200, 400, 600, 800)]
ALIKE = RNG.uniform(size=(8, 8))


def grid():
    return picture_grid({"level0": COARSE, "level1": FINE}, COLUMNS, first=("image", IMAGES[0]))


def uncertain():
    of = {"entropy": DOUBT, "disagreement": [each / 10 for each in DOUBT]}
    return uncertainty_figure(IMAGES, MASKS, MASKS[::-1], of, ["a", "b"], ["background", "grey matter", "white matter"])


def test_a_row_of_a_grid_is_its_pictures_all_as_large():
    figure = grid()
    assert [axes.get_title() for axes in figure.axes] == ["image", *COLUMNS, "", "", ""]
    for axes, picture in zip(figure.axes[1:], [*COARSE, *FINE], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), np.clip(picture, 0, 1))
    boxes = np.array([axes.get_position().bounds[2:] for axes in figure.axes])
    np.testing.assert_allclose(boxes, boxes[:1].repeat(len(boxes), axis=0))
    assert [text.get_text() for text in figure.texts] == ["level0", "level1"]


def test_uncertainty_is_drawn_on_one_scale_a_column_which_the_bar_tells():
    figure = uncertain()
    assert [axes.get_title() for axes in figure.axes[:4]] == ["image", "prediction", "entropy", "disagreement"]
    most = max(each.max() for each in DOUBT)
    for row in (0, 1):
        drawn = figure.axes[4 * row + 2].images[0]
        np.testing.assert_array_equal(drawn.get_array(), DOUBT[row])
        assert drawn.get_clim() == (0, most)
    bars = figure.axes[8:]
    assert [[label.get_text() for label in bar.get_xticklabels()] for bar in bars] == [
        ["0", f"{most:.2g}"],
        ["0", f"{most / 10:.2g}"],
    ]


def test_similarities_stand_in_their_squares_in_hundredths():
    figure = similarity_figure({"level0": ALIKE, "level1": ALIKE.T, "all": ALIKE, "more": ALIKE}, NAMES)
    assert [axes.get_title() for axes in figure.axes] == ["level0", "level1", "all", "more"]
    for axes, matrix in zip(figure.axes, (ALIKE, ALIKE.T), strict=False):
        assert [text.get_text() for text in axes.texts] == [f"{100 * value:.0f}" for value in matrix.ravel()]
    missing = ALIKE.copy()
    missing[0, 1] = np.nan
    assert len(similarity_figure({"a": missing}, NAMES).axes[0].texts) == 63


@pytest.mark.parametrize("drawn", [grid(), uncertain(), similarity_figure({"level0": ALIKE, "level1": ALIKE}, NAMES)])
def test_no_text_is_cut_off(drawn):
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    texts = [*drawn.texts, *(text for axes in drawn.axes for text in [axes.title, *axes.texts])]
    texts += [text for axes in drawn.axes for text in [*axes.get_xticklabels(), *axes.get_yticklabels()]]
    texts += [text for legend in drawn.legends for text in legend.get_texts()]
    assert len(texts) >= 9
    for box in (text.get_window_extent() for text in texts if text.get_text()):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_a_notebook_shows_a_figure_by_itself_and_always_the_same_bytes():
    shown = grid()._repr_png_()
    assert shown == grid()._repr_png_()
    with Image.open(io.BytesIO(shown)) as picture:
        np.testing.assert_allclose(picture.size, grid().get_size_inches() * 100, atol=1)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(TedmError, match="one picture for each in every row; there are 3 in level0"):
        picture_grid({"level0": COARSE}, COLUMNS[:2])
    with pytest.raises(TedmError, match="there are no rows"):
        picture_grid({}, COLUMNS)
    with pytest.raises(TedmError, match="2 images need one truth"):
        uncertainty_figure(IMAGES, MASKS, MASKS[:1], {}, ["a", "b"], [0, 1, 2])
    with pytest.raises(TedmError, match="8 x 8"):
        similarity_figure({"level0": ALIKE[:3]}, NAMES)
