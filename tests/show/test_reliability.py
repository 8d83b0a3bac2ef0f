from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.show import reliability_figure

NAN = float("nan")
BINS = [(0.0, 0.25, 0, NAN, NAN), (0.25, 0.5, 10, 0.4, 0.3), (0.5, 0.75, 30, 0.6, 0.9), (0.75, 1.0, 60, 0.8, 0.7)]
COOLER = [(0.0, 0.25, 0, NAN, NAN), (0.25, 0.5, 40, 0.4, 0.6), (0.5, 0.75, 60, 0.7, 0.7), (0.75, 1.0, 0, NAN, NAN)]


def test_bars_points_and_counts_are_the_bins() -> None:
    figure = reliability_figure({"tedm, here": {"before": BINS}})
    above, below = figure.axes
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in above.patches] == [
        (0.25, 0.25, 0.3),
        (0.5, 0.25, 0.9),
        (0.75, 0.25, 0.7),
    ]
    diagonal, points = above.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert points.get_xydata().tolist() == [[0.375, 0.4], [0.625, 0.6], [0.875, 0.8]]
    assert [bar.get_height() for bar in below.patches] == [10, 30, 60]
    assert [text.get_text() for text in above.texts] == ["ECE 0.160"]  # (10 x 0.1 + 30 x 0.3 + 60 x 0.1) / 100


def test_before_and_after_stand_side_by_side() -> None:
    figure = reliability_figure({"one, here": {"before": BINS, "after, T = 2": COOLER}, "one, there": {"no temperature": BINS}})
    first, _, second, _, third, _ = figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second, third)] == ["before", "after, T = 2", "no temperature"]
    assert first.get_position().y0 == second.get_position().y0
    assert first.get_position().x1 < second.get_position().x0
    assert [text.get_text() for text in figure.texts] == ["one, here", "one, there"]


def test_many_diagrams_take_several_lines_that_do_not_overlap() -> None:
    figure = reliability_figure({f"head {n}, here": {"before": BINS, "after": COOLER} for n in range(5)})
    boxes = [axes.get_position() for axes in figure.axes]
    assert len({round(box.y0, 6) for box in boxes}) == 2 * 3
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            assert not (box.x0 < other.x1 and other.x0 < box.x1 and box.y0 < other.y1 and other.y0 < box.y1)
    assert all(box.x0 >= 0 and box.x1 <= 1 and box.y0 >= 0 and box.y1 <= 1 for box in boxes)


def test_nothing_to_draw_is_said() -> None:
    for nothing in ({}, {"tedm": {}}):
        with pytest.raises(TedmError, match="no reliability diagram"):
            reliability_figure(nothing)
    with pytest.raises(TedmError, match="of tedm, before, has no pixel"):
        reliability_figure({"tedm": {"before": BINS[:1]}})
