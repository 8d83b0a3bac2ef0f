"""Blocks with their images."""

from __future__ import annotations

import numpy as np

from tedm.heads.data.blocks import blocks_with_images


def test_a_block_has_its_image_beside_its_activations(make_store):
    store = make_store()
    names = store.labels.names[:2]
    timesteps = store.settings.timesteps[:1]
    plain = list(store.blocks(names, timesteps))
    for block, bare in zip(blocks_with_images(store, names, timesteps), plain, strict=True):
        assert block.name == bare.name
        assert block.image is not None
        assert np.array_equal(block.image, store.image(block.name))
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(block.cells, bare.cells, strict=True))


def test_without_timesteps_a_block_is_its_image_alone(make_store):
    store = make_store()
    (block,) = blocks_with_images(store, store.labels.names[:1], ())
    assert (block.timesteps, block.cells, block.nbytes) == ((), (), 0)
    assert block.image is not None
    assert block.image.shape[:2] == (block.size, block.size)
