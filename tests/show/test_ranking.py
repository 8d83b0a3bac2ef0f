"""The sheet of what to annotate next: every image has its two panels, in order, and the words are there."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.show import ranking_sheet


@pytest.fixture
def four(rng):
    masks = [(rng.random((8, 8)) < 0.4).astype(np.uint8) for _ in range(4)]
    return [rng.random((8, 8)) for _ in range(4)], masks, [rng.random((8, 8)) for _ in range(4)], list("abcd"), (0, 255)


def test_each_image_has_its_prediction_and_its_entropy_beside_it(four):
    figure = ranking_sheet(*four, captions=["entropy 0.1"] * 4)
    pairs = figure.axes[:8]
    assert [axes.get_title(loc="left") for axes in pairs[::2]] == ["1  a", "2  b", "3  c", "4  d"]
    assert [axes.texts[0].get_text() for axes in pairs[1::2]] == ["entropy 0.1"] * 4
    for index, axes in enumerate(pairs[::2]):
        np.testing.assert_array_equal(axes.images[0].get_array(), four[0][index])
        np.testing.assert_array_equal(axes.images[1].get_array()[..., 3] > 0, four[1][index] == 1)
    lightness = pairs[1].images[0].get_array().sum(axis=-1)
    assert lightness.ravel()[four[2][0].argmax()] > lightness.ravel()[four[2][0].argmin()]
    assert [text.get_text() for text in figure.legends[0].texts] == ["class 255"]
    assert [text.get_text() for text in figure.axes[-1].texts] == ["sure", "a guess (entropy 1)"]


def test_panels_do_not_overlap_and_lie_within_the_figure(four):
    figure = ranking_sheet(*four, captions=["entropy 0.1"] * 4)
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes]
    for index, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_what_is_not_one_for_each_image_is_refused(four):
    images, masks, entropies, names, values = four
    with pytest.raises(TedmError, match="each of its 4 images"):
        ranking_sheet(images, masks[:3], entropies, names, values)
    with pytest.raises(TedmError, match="each of its 0 images"):
        ranking_sheet([], [], [], [], values)
