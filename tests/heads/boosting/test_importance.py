"""Importance by level and timestep, on features of which it is known which ones tell."""

from __future__ import annotations

import pytest

from tedm.heads import feature_importance
from tedm.heads.boosting.head import XGBoostHead
from tedm.heads.data.dataset import TrainingData

LAYOUTS = ["share", "concatenate"]


def test_importance_names_the_level_and_timestep_that_tell(make_store):
    store = make_store()
    for rows in LAYOUTS:
        data = TrainingData(store, store.labels.names, rows=rows)
        head = XGBoostHead(10, max_depth=2).fit_blocks(data)
        found = feature_importance(head, store.settings, rows, data.timesteps)
        assert found == head.report().details["feature_importance"]
        assert sum(each["gain"] for each in found) == pytest.approx(1)
        best = max(found, key=lambda each: each["gain"])
        # level1 has a cell a pixel, and the smallest timestep the most of the mask.
        assert (best["timestep"], best["level"]) == (None if rows == "share" else 1, "level1")
        assert len(found) == (2 if rows == "share" else 6)


def test_a_head_without_a_split_gives_importance_to_nothing(make_store):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    head = XGBoostHead(1, min_child_weight=1e9).fit_blocks(data)
    assert [each["gain"] for each in feature_importance(head, store.settings, "share", data.timesteps)] == [0, 0]
