"""Features that are computed when they are asked for: a head cannot tell them from a store's."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract import LiveFeatures, extract, load_backbone, read_manifest
from tedm.store import IGNORE

SETTINGS = {"timesteps": (1, 50, 800), "device": "cpu", "precision": "float32", "threads": 1}


@pytest.fixture(scope="module", params=[("upsampled", "nearest"), ("native", "nearest"), ("upsampled", "bilinear")])
def both(request, dataset, checkpoint, tmp_path_factory):
    """A store, and the features that stand for it without a disk."""
    layout, upsampling = request.param
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    path = tmp_path_factory.mktemp("live") / "store"
    store = extract(manifest, path, backbone, layout=layout, upsampling=upsampling, draws=2, **SETTINGS).store
    return store, LiveFeatures(manifest, backbone, store.settings, store.arithmetic, store.storage)


def equal(one, other):
    assert (one.name, one.timesteps) == (other.name, other.timesteps)
    assert [cells.dtype for cells in one.cells] == [cells.dtype for cells in other.cells]
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(one.cells, other.cells, strict=True))


def test_blocks_are_those_of_the_store_bit_for_bit(both):
    store, live = both
    names = store.labels.names[2:4]
    assert all(map(equal, live.blocks(names), store.blocks(names)))


def test_some_timesteps_and_levels_are_those_of_the_store(both):
    store, live = both
    names = store.labels.names[:1]
    assert all(map(equal, live.blocks(names, (800, 1)), store.blocks(names, (800, 1))))
    assert all(map(equal, live.blocks(names, (50,), ["level1"]), store.blocks(names, (50,), ["level1"])))


@pytest.mark.parametrize(
    ("timesteps", "said"), [((), "no timestep is asked for"), ((1, 7), "there is no timestep 7; the features have 1, 50, 800")]
)
def test_timesteps_that_are_not_there_are_refused_alike(both, timesteps, said):
    for features in both:
        with pytest.raises(TedmError, match=said):
            list(features.blocks(features.labels.names[:1], timesteps))


def test_images_and_masks_are_those_of_the_store(both):
    store, live = both
    for name in store.labels.names:
        assert np.array_equal(live.image(name), store.image(name))
        assert np.array_equal(live.mask(name), store.mask(name))
    assert (live.mask(store.labels.names[0]) == IGNORE).any()  # padding


def test_labels_are_those_of_the_store_but_for_the_pixels_that_padding_adds(both):
    store, live = both
    for field in ("names", "splits", "groups", "domains", "original_sizes", "classes"):
        assert getattr(live.labels, field) == getattr(store.labels, field)


def test_reading_ahead_does_not_pay_where_blocks_are_computed(both):
    store, live = both
    assert (store.reads_ahead, live.reads_ahead) == (True, False)
    assert store.chunk_channels == live.chunk_channels == store.settings.channels
