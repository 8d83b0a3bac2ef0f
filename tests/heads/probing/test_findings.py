"""Findings are tables and grids that can be recomputed."""

from __future__ import annotations

import numpy as np

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_the_table_has_a_row_for_each_fit_and_image(probed):
    _, found = probed
    title, *rows = found.scores()
    fits, votes = len(found.probed) * len(found.plan.subsets), 3 * len(found.plan.subsets)
    assert len(rows) == (fits + votes) * len(VAL + TEST)
    chosen = dict(zip(title, rows[0], strict=True))
    assert (chosen["probe"], chosen["timesteps"], chosen["level"], chosen["class_value"]) == ("timestep:1", "1", "all", 255)
    ours = found.probed[0].scores[0, 0, 1]
    assert [chosen["dice"], chosen["precision"], chosen["recall"]] == ours.tolist()
    assert len(list(found.fits())) == fits + 1


def test_the_grid_has_levels_timesteps_and_all_of_each(probed):
    _, found = probed
    assert (found.grid_levels, found.grid_timesteps) == (["all", "level0", "level1"], ["1", "50", "400", "all"])
    grid = found.grid(3)["near"]
    assert np.isnan(grid[0, 3])
    assert np.isfinite(grid).sum() == 11
    by_name = {
        (p.level, p.timestep): p.mean for p in found.points if (p.n, p.domain, p.metric, p.split) == (3, "near", "dice", "test")
    }
    assert grid[1, 3] == by_name["level0", None]
    assert grid[2, 1] == by_name["level1", 50]
