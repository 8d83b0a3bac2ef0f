"""Lines of timesteps and methods lie at their numbers, and can be told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.show import timestep_size_figure
from tedm.show.sizes import IN_A_ROW

NAN = math.nan
TIMESTEPS = {
    "here": {1: [(1, 60.0, 50.0, 70.0), (100, 80.0, NAN, NAN)], 400: [(1, 40.0, 35.0, 45.0), (3, NAN, NAN, NAN)]},
    "there": {1: [(3, 55.0, 50.0, 60.0)]},
}
METHODS = {"here": {"unet_$x$": [(100, 90.0, 88.0, 92.0)]}, "there": {"unet_$x$": [], "_ledm": [(1, 50.0, 40.0, 60.0)]}}


def test_points_lie_at_their_sizes_and_bars_at_their_ends() -> None:
    here, there = timestep_size_figure(TIMESTEPS, METHODS).axes
    assert [line.get_ydata().tolist() for line in here.lines] == [[60, 80], [40], [90]]
    np.testing.assert_allclose(here.lines[0].get_xdata(), [1, 100], rtol=0.06)
    bars = [[segment[:, 1].tolist() for segment in each.get_segments()] for each in here.collections]
    assert bars == [[[50, 70]], [[35, 45]], [[88, 92]]]
    assert [line.get_ydata().tolist() for line in there.lines] == [[55], [50]]


def test_sizes_are_on_a_logarithmic_axis_with_their_own_ticks() -> None:
    axes = timestep_size_figure(TIMESTEPS, METHODS).axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "100"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training images", "Dice × 100")


def test_the_legend_has_every_line_of_any_panel_in_order() -> None:
    (legend,) = timestep_size_figure(TIMESTEPS, METHODS).legends
    assert [text.get_text() for text in legend.get_texts()] == ["t = 1", "t = 400", "unet_$x$", " ledm"]
    assert not any(text.get_parse_math() for text in legend.get_texts())


def test_lines_differ_in_colour_and_marker_and_methods_are_broken() -> None:
    steps = {t: [(1, 50.0 + t, 40.0, 60.0)] for t in range(8)}
    lines = (
        timestep_size_figure({"here": steps}, {"here": {"a": [(1, 9.0, 8.0, 10.0)], "b": [(1, 8.0, 8.0, 8.0)]}}).axes[0].lines
    )
    assert len({line.get_color() for line in lines}) == 10
    assert len({line.get_marker() for line in lines[:8]}) == 8
    assert [line.get_linestyle() for line in lines] == ["-"] * 8 + ["--", "-."]


def test_many_panels_wrap() -> None:
    curves = {f"domain {number}": {1: [(1, 50.0, 40.0, 60.0)]} for number in range(IN_A_ROW + 1)}
    axes = timestep_size_figure(curves, {}).axes
    boxes = [each.get_position() for each in axes]
    assert boxes[0].y0 > boxes[-1].y0
    assert boxes[0].x0 == boxes[-1].x0


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(TedmError, match="there is no score to draw"):
        timestep_size_figure({"here": {1: [(1, NAN, NAN, NAN)]}}, {})
