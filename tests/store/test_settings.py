"""What makes features comparable."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tedm.errors import TedmError
from tedm.store import FeatureSettings, Level
from tedm.store.settings import MUST_MATCH, require_same_features
from tedm.store.volumes.normalisation import Normalisation

SETTINGS = FeatureSettings(
    checkpoint_sha256="ab" * 32,
    levels=(Level("level0", 3, 4), Level("level1", 2, 1), Level("level2", 5, 2)),
    image_size=8,
    image_channels=1,
    geometry="pad",
    input_range=(-1.0, 1.0),
    intensity_range=(0.0, 4095.0),
    upsampling="nearest",
    noise="per-image",
    noise_seed=0,
    timesteps=(1, 50),
    draws=1,
)


def test_json_brings_the_settings_back():
    assert FeatureSettings.from_json(json.loads(json.dumps(SETTINGS.to_json()))) == SETTINGS


def test_levels_keep_the_networks_order_whatever_the_order_asked_for():
    assert [level.name for level in SETTINGS.on(["level2", "level0"]).levels] == ["level0", "level2"]
    assert SETTINGS.positions(["level2", "level0"]) == [0, 2]
    assert SETTINGS.channels_of(["level2", "level0"]) == [0, 1, 2, 5, 6, 7, 8, 9]
    assert (SETTINGS.channels, [SETTINGS.side(level) for level in SETTINGS.levels]) == (10, [2, 8, 4])


@pytest.mark.parametrize(("levels", "text"), [(["level9"], "there is no level level9"), ([], "no level is asked for")])
def test_levels_that_there_are_not_are_refused(levels, text):
    with pytest.raises(TedmError, match=f"{text}; the features have level0, level1, level2"):
        SETTINGS.on(levels)


OTHER = {
    "checkpoint_sha256": "cd" * 32,
    "levels": SETTINGS.levels[:2],
    "image_size": 16,
    "image_channels": 3,
    "geometry": "stretch",
    "input_range": (0.0, 1.0),
    "intensity_range": None,
    "upsampling": "bilinear",
    "noise": "shared",
    "axis": "axial",
    "normalisation": Normalisation("quantile"),
    "crop": "brain",
    "channel_names": ("t1",),
}


@pytest.mark.parametrize("field", MUST_MATCH)
def test_a_head_refuses_features_that_differ_in_one_thing_and_names_it(field):
    other = dataclasses.replace(SETTINGS, **{field: OTHER[field]})
    with pytest.raises(TedmError, match=rf"\n  {MUST_MATCH[field].split(' (')[0]}.*: the head has .*, the store has "):
        require_same_features(SETTINGS, other, (1,), what="the store")


def test_a_head_takes_features_with_more_timesteps_and_refuses_those_without_its_own():
    require_same_features(
        SETTINGS, dataclasses.replace(SETTINGS, timesteps=(1, 50, 800), noise_seed=3, draws=2), (50, 1), what="it"
    )
    with pytest.raises(TedmError, match="timesteps: 50, 800 not in it, which has 1, 10"):
        require_same_features(SETTINGS, dataclasses.replace(SETTINGS, timesteps=(1, 10)), (1, 50, 800), what="it")
