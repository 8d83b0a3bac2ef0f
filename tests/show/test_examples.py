"""An example has a panel for each mask, its Dice below, and says where none is."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.show import example_figure

IMAGE = np.linspace(0, 1, 80).reshape(8, 10)
TRUTH = (np.arange(80).reshape(8, 10) % 7 < 3).astype(np.uint8)


def test_masks_stand_in_rows_of_sizes_and_columns_of_methods() -> None:
    masks = {("unet", 3): TRUTH, ("tedm_$x$", 1): TRUTH, ("tedm_$x$", 3): 1 - TRUTH}
    dice = {("unet", 3): 100.0, ("tedm_$x$", 1): 87.65, ("tedm_$x$", 3): float("nan")}
    figure = example_figure(IMAGE, TRUTH, masks, ["unet", "tedm_$x$"], [0, "lung"], dice=dice)
    assert [text.get_text() for text in figure.texts] == ["image", "n = 1", "unet", "not run", "tedm_$x$", "n = 3"]
    below = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert below == [[], ["truth"], ["Dice 87.7"], ["Dice 100.0"], ["Dice –"]]
    shapes = {axes.images[0].get_array().shape for axes in figure.axes}
    assert shapes == {(8, 10)}
    corners = [(round(axes.get_position().x0, 3), round(axes.get_position().y0, 3)) for axes in figure.axes]
    assert corners[2][0] == corners[4][0] > corners[3][0] > corners[0][0] == corners[1][0]
    assert corners[3][1] == corners[4][1] == corners[1][1] < corners[2][1] == corners[0][1]


def test_with_one_size_the_truth_stands_beside_the_image() -> None:
    truth = TRUTH.copy()
    truth[0] = 255
    figure = example_figure(IMAGE, truth, {("tedm", 1): TRUTH}, ["tedm"], [0, "lung"], dice={("tedm", 1): 50.0})
    assert [text.get_text() for text in figure.texts] == ["image", "truth", "n = 1", "tedm"]
    assert len({round(axes.get_position().y0, 6) for axes in figure.axes}) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lung", "outline of the truth", "ignored"]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(TedmError, match="there is no mask to draw"):
        example_figure(IMAGE, TRUTH, {}, ["tedm"], [0, 1], dice={})
