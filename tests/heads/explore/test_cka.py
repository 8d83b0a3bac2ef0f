"""Similarity of activations: through products of cells it is CKA of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.explore import cka as similarity
from tedm.heads.explore.cka import linear_cka
from tedm.heads.runtime.memory import resident
from tedm.store import FeatureStore

COLUMNS = {"level0": slice(0, 3), "level1": slice(3, 5)}


def by_definition(x, y):
    """Kornblith et al. 2019, equation 4, in float64."""
    x, y = (np.asarray(each, np.float64) - each.mean(axis=0, dtype=np.float64) for each in (x, y))
    return np.square(x.T @ y).sum() / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def pixels(store, timestep, draw=None):
    """Rows (images x draws x pixels, channels) at one timestep; one draw's only, if it is named."""
    found = [store.block(name, [timestep]).at_image_resolution()[0] for name in store.labels.names]
    return np.concatenate([(one if draw is None else one[draw]).reshape(-1, one.shape[-1]) for one in found])


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_cka_of_cells_is_that_of_the_pixels_at_image_resolution(make_store, upsampling, layout):
    store = make_store(upsampling=upsampling, layout=layout, draws=2)
    found = linear_cka(store, store.labels.names)
    rows = [pixels(store, t) for t in store.settings.timesteps]
    assert found.names == ("t = 1", "t = 50", "t = 400")
    expected = [[by_definition(x, y) for y in rows] for x in rows]
    np.testing.assert_allclose(found.between_timesteps(), expected, rtol=1e-6)
    assert 0.001 < np.min(expected) < 0.9
    for level, columns in COLUMNS.items():
        expected = [[by_definition(x[:, columns], y[:, columns]) for y in rows] for x in rows]
        np.testing.assert_allclose(found.between_timesteps(level), expected, rtol=1e-6)
    x = rows[1]
    between = by_definition(x[:, COLUMNS["level0"]], x[:, COLUMNS["level1"]])
    np.testing.assert_allclose(found.between_levels()[1], [[1, between], [between, 1]], rtol=1e-6)


def test_draws_kept_apart_are_compared_with_each_other(make_store):
    store = make_store(draws=2)
    found = linear_cka(store, store.labels.names, timesteps=[400, 1], draws="apart")
    expected = [by_definition(pixels(store, t, 0), pixels(store, t, 1)) for t in (400, 1)]
    np.testing.assert_allclose(found.between_draws(), expected, rtol=1e-6)
    assert found.names[1] == "t = 400, draw 2"
    head, *_, every = found.draws_to_text().splitlines()
    assert head.split() == ["t", "=", "400", "t", "=", "1"]
    assert every.split() == ["all", *(f"{value:.2f}" for value in expected)]
    with pytest.raises(TedmError, match="draws='apart'"):
        linear_cka(store, store.labels.names).between_draws()


def test_a_small_budget_reads_the_images_more_often_and_finds_the_same(make_store, monkeypatch):
    store = make_store()
    whole = linear_cka(store, store.labels.names)
    read = []

    class Counting(FeatureStore):
        def blocks(self, names, timesteps=None):
            read.append(len(names))
            return super().blocks(names, timesteps)

    monkeypatch.setattr(similarity.Budget, "left", lambda self: 0)
    small = linear_cka(Counting.open(store.path), store.labels.names)
    assert read == [4] * 8  # three pairs of levels at three timesteps each; two of the smallest go together
    np.testing.assert_allclose(small.norms, whole.norms, rtol=1e-12)


def test_a_rotation_and_a_scale_change_nothing_and_constant_activations_have_no_similarity(make_store):
    found = linear_cka(make_store(), ["one"])
    np.testing.assert_allclose(np.diag(found.between_timesteps()), 1)
    flat = similarity.Similarity(found.timesteps, found.draws, found.levels, found.norms * 7)
    np.testing.assert_allclose(flat.between_timesteps(), found.between_timesteps())
    constant = similarity.Similarity((1,), (0,), ("a",), np.zeros((1, 1, 1, 1)))
    assert np.isnan(constant.between_timesteps()).all()


def test_the_table_has_the_numbers(make_store):
    found = linear_cka(make_store(), ["one", "two"])
    lines = found.to_text("level1").splitlines()
    assert lines[0].split("  ")[-1].strip() == "t = 400"
    assert lines[1].split()[-1] == f"{found.between_timesteps('level1')[0, 2]:.2f}"


def test_what_cannot_be_compared_is_refused(make_store):
    store = make_store()
    with pytest.raises(TedmError, match="there is no image"):
        linear_cka(store, [])
    with pytest.raises(TedmError, match="there is no level 'level7'; these are level0, level1"):
        linear_cka(store, ["one"]).between_timesteps("level7")
    with pytest.raises(TedmError, match="products of 3 channels .* the least that would do"):
        linear_cka(store, ["one"], memory=resident() + 1000)
