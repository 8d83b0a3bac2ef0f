"""Colours of activations: the principal components of each level, as scikit-learn finds them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tedm.errors import TedmError
from tedm.heads.explore.component_maps import component_maps
from tedm.heads.runtime.memory import resident
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two levels of four and three channels, the timestep adding a large vector to every cell."""
    levels = Level("coarse", 4, 2), Level("fine", 3, 1)
    settings = FeatureSettings("ab" * 32, levels, 8, 1, "pad", (-1.0, 1.0), None, "nearest", "per-image", 0, (1, 50), 2)
    made = FeatureStore.create(
        tmp_path_factory.mktemp("maps") / "store",
        settings,
        Arithmetic("cpu", "float32", False, 4, 1, "2", "p"),
        Storage("native", "float32"),
        {},
    )
    made.register([Registration(name, "", name, "", (8, 8), None) for name in NAMES], ())
    rng = np.random.default_rng(3)
    for name in NAMES:
        cells = []
        for level in levels:
            side = 8 // level.stride
            spread = np.arange(level.channels, 0, -1) * 1.5
            of_level = rng.normal(size=(2, 2, side, side, level.channels)) * spread
            of_level[1] += 100  # the timestep's own vector
            cells.append(of_level.astype(np.float32))
        made.write(name, rng.random((8, 8, 1), dtype=np.float32), cells)
    return made


def rows(store, level, timestep):
    """All cells of a level at a timestep, less their mean."""
    found = np.concatenate([block.cells[level][timestep].reshape(-1, (4, 3)[level]) for block in store.blocks(NAMES)])
    return found.astype(np.float64) - found.mean(axis=0, dtype=np.float64)


def test_colours_are_the_components_of_what_varies_within_timesteps(store):
    maps = component_maps(store, NAMES, ["two"])
    within = np.concatenate([rows(store, 0, timestep) for timestep in (0, 1)])
    theirs = PCA(3).fit(within).components_
    theirs *= np.sign(theirs[np.arange(3), np.abs(theirs).argmax(axis=1)])[:, None]
    block = store.block("two")
    for timestep in (0, 1):
        own = rows(store, 0, timestep)
        along = (
            block.cells[0][timestep, 0]
            - np.concatenate([b.cells[0][timestep].reshape(-1, 4) for b in store.blocks(NAMES)]).mean(axis=0, dtype=np.float64)
        ) @ theirs.T
        expected = np.clip(0.5 + along / (4 * (own @ theirs.T).std(axis=0)), 0, 1)
        np.testing.assert_allclose(maps.pictures[0][0, timestep], expected, atol=1e-5)
        assert maps.explained[0, timestep] == pytest.approx((own @ theirs.T).var(axis=0).sum() / own.var(axis=0).sum())
    assert [picture.shape for picture in maps.of("two")["coarse"]] == [(4, 4, 3)] * 2
    assert maps.explained[1] == pytest.approx(1)  # three channels are three components


def test_the_table_has_the_numbers(store):
    maps = component_maps(store, NAMES, ["one"], timesteps=[50])
    head, coarse, fine = maps.to_text().splitlines()
    assert head.strip() == "t = 50"
    assert coarse.split() == ["coarse", f"{maps.explained[0, 0]:.2f}"]
    assert fine.split() == ["fine", "1.00"]


def test_what_cannot_be_coloured_is_refused(store, make_store):
    with pytest.raises(TedmError, match="there is no image to colour"):
        component_maps(store, NAMES, [])
    with pytest.raises(TedmError, match="a level has 2 channels; 3 colours need 3"):
        component_maps(make_store(), ["one"], ["one"])
    with pytest.raises(TedmError, match="there are no pictures of two; there are those of one"):
        component_maps(store, NAMES, ["one"]).of("two")
    with pytest.raises(TedmError, match="the covariances of all channels"):
        component_maps(store, NAMES, ["one"], memory=resident() + 1000)
