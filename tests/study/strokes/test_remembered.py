"""Features that are read once."""

from __future__ import annotations

import shutil

import numpy as np

from tedm.store import FeatureStore
from tedm.study.strokes.remembered import Remembered


def test_a_block_is_read_once_and_is_the_one_of_the_store(extracted, tmp_path):
    """The second time there is no store any more."""
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    kept, name = Remembered(store), store.labels.names[2]
    (first,) = kept.blocks([name])
    shutil.rmtree(tmp_path / "store")
    (again,) = kept.blocks([name])
    (turned,) = kept.blocks([name], (50, 1))
    assert kept.has(name)
    assert again is first
    whole = next(FeatureStore.open(extracted).blocks([name]))
    for level, cells in enumerate(whole.cells):
        assert np.array_equal(first.cells[level], cells)
        assert np.array_equal(turned.cells[level], cells[::-1])


def test_no_more_than_the_bytes_that_are_given_stay_and_one_block_always_does(extracted):
    store = FeatureStore.open(extracted)
    names = store.labels.names
    size = next(store.blocks([names[0]])).nbytes
    for room, kept in ((1, 1), (2 * size, 2), (100 * size, 7)):
        features = Remembered(store, room)
        assert [block.name for block in features.blocks(names)] == list(names)
        assert sum(map(features.has, names)) == kept
        assert features.has(names[-1])


def test_images_masks_and_what_they_are_of_are_those_of_the_features(extracted):
    store = FeatureStore.open(extracted)
    features, name = Remembered(store), store.labels.names[0]
    assert features.labels == store.labels
    assert features.settings == store.settings
    assert np.array_equal(features.image(name), store.image(name))
    assert np.array_equal(features.mask(name), store.mask(name))
    assert features.views() is None
    assert features.chunk_channels == store.chunk_channels
    assert not features.reads_ahead
