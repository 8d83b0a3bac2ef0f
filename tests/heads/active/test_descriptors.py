"""An image is described by its mean activations, and features that describe are otherwise as they were."""

from __future__ import annotations

import numpy as np

from tedm.heads.active.descriptors import DescribingFeatures, descriptor


def test_a_descriptor_is_the_mean_over_all_pixels(make_store):
    block = make_store(draws=2).block("one")
    everything = block.at_image_resolution()
    np.testing.assert_allclose(descriptor(block), everything.mean(axis=(0, 1, 2, 3)), rtol=1e-5)


def test_blocks_are_described_as_they_pass_and_are_the_same(make_store):
    store = make_store(draws=2)
    features = DescribingFeatures(store, np.full((3, 5), np.nan, np.float32))
    names = ["three", "one"]
    for passed, block in zip(features.blocks(names, [50, 1]), store.blocks(names, [50, 1]), strict=True):
        for one, other in zip(passed.cells, block.cells, strict=True):
            np.testing.assert_array_equal(one, other)
    expected = [descriptor(block) for block in store.blocks(names, [50, 1])]
    np.testing.assert_array_equal(features.descriptors[:2], expected)
    assert np.isnan(features.descriptors[2]).all()


def test_everything_but_the_blocks_is_the_features_own(make_store):
    store = make_store(draws=2)
    features = DescribingFeatures(store, np.zeros((4, 5), np.float32))
    for name in ("settings", "arithmetic", "storage", "labels", "reads_ahead", "chunk_channels"):
        assert getattr(features, name) == getattr(store, name)
    np.testing.assert_array_equal(features.image("two"), store.image("two"))
    np.testing.assert_array_equal(features.mask("two"), store.mask("two"))
