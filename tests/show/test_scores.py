from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tedm.show.scores import COLOURS, LINES, MARKERS, MOST_METHODS, box_figure, five_numbers, groups_of, size_figure

NAN = math.nan
CURVES = {
    "_ledm $x$": [(1, 60.0, 50.0, 70.0), (3, 70.0, 65.0, 75.0), (12, 80.0, 78.0, 82.0)],
    "tedm": [(12, 85.0, 84.0, 86.0), (1, 65.0, 60.0, 71.0)],
    "a method with a name that is far too long for a legend of any figure": [(3, NAN, NAN, NAN)],
}
BOXES = {"tedm, n = 6": [50.0, NAN, 70.0, 90.0], "none": [NAN], "_$one$ with a name that is far too long": [42.0]}


def test_curves_are_drawn_at_their_means_and_bars_at_their_intervals() -> None:
    (axes,) = size_figure(CURVES, limits=(40, 100)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "12"]
    assert axes.get_ylim() == (40, 100)
    first, second = axes.lines
    np.testing.assert_array_equal(first.get_ydata(), [60, 70, 80])
    np.testing.assert_array_equal(second.get_ydata(), [65, 85])
    np.testing.assert_array_equal(np.round(np.asarray(second.get_xdata(), float)), [0, 2])
    bars = [[segment[:, 1].tolist() for segment in each.get_segments()] for each in axes.collections]
    assert bars == [[[50, 70], [65, 75], [78, 82]], [[60, 71], [84, 86]]]


def test_methods_differ_in_colour_and_in_line_or_marker() -> None:
    figure = size_figure({f"m{number}": [(1, 50.0 + number, 40.0, 60.0)] for number in range(MOST_METHODS)})
    lines = figure.axes[0].lines
    for looks in (
        {line.get_color() for line in lines},
        {line.get_marker() for line in lines},
        {(line.get_linestyle(), line.get_marker()) for line in lines},
    ):
        assert len(looks) == MOST_METHODS
    assert len(set(COLOURS)) == len(set(MARKERS)) == 2 * len(LINES) == MOST_METHODS
    ends = [line.get_xydata()[0][0] for line in lines]  # type: ignore[index]
    assert max(ends) - min(ends) < 1  # those of one size stay together


def test_boxes_have_the_five_numbers() -> None:
    (axes,) = box_figure(BOXES).axes
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["tedm, n = 6", "none"]
    box = axes.patches[0].get_path().vertices
    assert (box[:, 0].min(), box[:, 0].max()) == (60, 80)  # type: ignore[index]
    drawn = {value for line in axes.lines for value in np.asarray(line.get_xdata(), float).tolist()}
    assert drawn == {50, 60, 70, 80, 90, 42}
    assert five_numbers(BOXES["tedm, n = 6"]) == (50, 60, 70, 80, 90)
    assert np.isnan(five_numbers([NAN])).all()
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top


@pytest.mark.parametrize("drawn", [size_figure(CURVES), size_figure({}), box_figure(BOXES), box_figure({})])
def test_no_text_is_cut_off(drawn: Any) -> None:
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    (axes,) = drawn.axes
    low, high = sorted(axes.get_ylim())
    shown = [label for at, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True) if low <= at <= high]
    texts = [axes.xaxis.label, axes.yaxis.label, *shown]
    legend = [text for each in drawn.legends for text in each.get_texts()]
    for box in (text.get_window_extent() for text in [*texts, *legend] if text.get_text()):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    assert len(legend) in (0, len(CURVES))
    assert all(box.y1 <= axes.xaxis.label.get_window_extent().y0 for box in (text.get_window_extent() for text in legend))


def test_few_methods_stand_in_one_figure_and_many_by_kind() -> None:
    assert groups_of([]) == []
    assert groups_of(["tedm", "timestep:1"]) == [["tedm", "timestep:1"]]
    probes = [f"timestep:{t}" for t in range(19)]
    groups = groups_of(["ledm", "tedm", *probes])
    assert groups[0] == ["ledm", "tedm"]
    assert [method for group in groups[1:] for method in group] == probes
    assert max(map(len, groups)) <= MOST_METHODS
