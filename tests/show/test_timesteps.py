"""Figures of probes draw every number that they are given."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.show import level_figure, timestep_figure, voting_figure

CURVES = {
    "near": {1: [(1, 80.0, 70.0, 85.0), (50, 90.0, 88.0, 91.0)], 6: [(1, 85.0, 84.0, 86.0), (50, 92.0, 91.0, 93.0)]},
    "far": {1: [(1, 60.0, 50.0, 65.0), (50, 70.0, 68.0, 71.0)], 6: [(1, 65.0, 64.0, 66.0), (50, 72.0, 71.0, 73.0)]},
}


def test_every_size_is_a_line_of_its_own_look_with_its_intervals():
    figure = timestep_figure(CURVES)
    assert [axes.get_title() for axes in figure.axes] == ["near", "far"]
    for axes, curves in zip(figure.axes, CURVES.values(), strict=True):
        drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
        assert drawn == {f"n = {n}": [point[1] for point in curve] for n, curve in curves.items()}
        looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
        assert len({look[0] for look in looks}) == len({look[1] for look in looks}) == len({look[2] for look in looks}) == 2
        bars = [segment[:, 1].tolist() for collection in axes.collections for segment in collection.get_segments()]
        assert bars == [[low, high] for curve in curves.values() for _, _, low, high in curve]
        assert axes.get_ylim() == figure.axes[0].get_ylim()


def test_the_chosen_number_of_voters_is_ringed():
    figure = voting_figure({"near": CURVES["near"]}, {1: 50, 6: 1})
    rings = [line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_markersize() == 12]
    assert rings == [[90.0], [85.0]]


def test_every_cell_has_its_number_and_the_best_a_frame():
    grids = {"near": np.array([[80.0, 91.5], [np.nan, 70.0]]), "far": np.array([[60.0, 50.0], [55.0, np.nan]])}
    figure = level_figure(grids, ["all", "level0"], ["1", "50"])
    for axes, grid in zip(figure.axes, grids.values(), strict=True):
        written = {tuple(int(v) for v in text.get_position()[::-1]): text.get_text() for text in axes.texts}
        assert written == {at: f"{value:.1f}" for at, value in np.ndenumerate(grid) if np.isfinite(value)}
        (frame,) = axes.patches
        best = np.unravel_index(np.nanargmax(grid), grid.shape)
        assert (round(frame.get_x() + 0.46), round(frame.get_y() + 0.46)) == best[::-1]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["1", "50"]


@pytest.mark.parametrize(
    "draw", [lambda: timestep_figure({}), lambda: level_figure({"a": np.full((1, 1), np.nan)}, ["l"], ["1"])]
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(TedmError, match="there is no score to draw"):
        draw()
