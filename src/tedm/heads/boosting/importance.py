"""Which timesteps and levels the trees of a head split by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import xgboost

from tedm.heads.data.rows import RowLayout
from tedm.jsons import JsonObject
from tedm.store import FeatureSettings


class Trees(Protocol):
    """A fitted head of trees, `XGBoostHead` say."""

    booster_: xgboost.Booster
    n_features_in_: int


def feature_importance(head: Trees, settings: FeatureSettings, rows: RowLayout, timesteps: Sequence[int]) -> list[JsonObject]:
    """Tell how much the splits on each timestep's and level's features gained.

    Parameters
    ----------
    head : Trees
        Fitted on rows of that layout and those timesteps.
    settings : FeatureSettings
        Of the features.
    rows : {"share", "concatenate"}
    timesteps : sequence of int

    Returns
    -------
    list of {"timestep": int or None, "level": str, "gain": float}
        Shares of the total gain, which sum to one (zeros if no tree has a split); the timestep is None for shared rows, whose
        trees serve all alike.
    """
    gains = np.zeros(head.n_features_in_)
    for feature, gain in head.booster_.get_score(importance_type="total_gain").items():
        gains[int(feature[1:])] = gain
    gains /= max(gains.sum(), np.finfo(float).tiny)
    ends = np.cumsum([level.channels for level in settings.levels])
    shares: list[JsonObject] = []
    for number, timestep in enumerate(timesteps if rows == "concatenate" else [None]):
        own = gains[number * ends[-1] : (number + 1) * ends[-1]]
        for level, part in zip(settings.levels, np.split(own, ends[:-1]), strict=True):
            shares.append({"timestep": timestep, "level": level.name, "gain": float(part.sum())})
    return shares
