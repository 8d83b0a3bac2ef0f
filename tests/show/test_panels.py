"""Outlines run along the edges of pixels, and long names keep their ends."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.show.colours import SHADES
from tedm.show.panels import COLOURS, blank, colour_of, draw_mask, edges, foreground_edges, panel, shorten


def test_the_edges_of_a_pixel_are_its_four_sides():
    inside = np.zeros((3, 4), bool)
    inside[1, 2] = True
    sides = {tuple(map(tuple, segment)) for segment in edges(inside).tolist()}
    corner, opposite = (1.5, 0.5), (2.5, 1.5)
    assert sides == {
        (corner, (1.5, 1.5)),
        ((2.5, 0.5), opposite),
        (corner, (2.5, 0.5)),
        ((1.5, 1.5), opposite),
    }


def test_a_region_that_fills_the_image_is_outlined_along_its_border():
    assert len(edges(np.ones((2, 3), bool))) == 2 * (2 + 3)


def test_classes_are_outlined_each_for_itself_and_the_background_not_at_all():
    mask = np.array([[0, 1, 2]], np.uint8)
    assert len(foreground_edges(mask, 3)) == 4 + 4  # their common side twice
    assert foreground_edges(np.zeros((2, 2), np.uint8), 3).shape == (0, 2, 2)


def test_ignored_pixels_are_striped_and_classes_filled():
    figure = blank(2, 2)
    axes = panel(figure, np.zeros((4, 4)), 0, 0, 2, 2)
    mask = np.array([[255, 255, 1, 0]] * 4, np.uint8)
    draw_mask(axes, mask, 2, 255)
    fill = np.asarray(axes.images[-1].get_array())
    assert set(fill[:, :2, 3].ravel().tolist()) == {0.7}
    assert len({tuple(rgb) for rgb in fill[:, :2, :3].reshape(-1, 3).tolist()}) == 2
    assert fill[0, 2, 3] == pytest.approx(0.3)
    assert fill[0, 3, 3] == 0


def test_colours_come_again_after_the_last_shade():
    assert colour_of(1) == colour_of(1 + len(COLOURS) * len(SHADES)) != colour_of(1 + len(COLOURS))


@pytest.mark.parametrize("letters", [4, 11, 12, 13, 40])
def test_a_name_that_is_too_long_keeps_its_ends(letters):
    name = "".join(chr(97 + index % 26) for index in range(letters))
    shown = shorten(name, 12 * 0.078 + 0.001)
    assert len(shown) == min(letters, 12)
    assert shown[:5] == name[:5][: len(shown)]
    assert shown[-4:] == name[-4:]
