"""The blocks that heads are asked about: activations, and the images themselves where a head looks at these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tedm.store import Block, Features


def blocks_with_images(features: Features, names: Sequence[str], timesteps: Sequence[int]) -> Iterator[Block]:
    """Yield one block for each name, in order, with its image.

    Parameters
    ----------
    features : Features
    names : sequence of str
    timesteps : sequence of int
        What is read of the activations; of none, nothing is read or computed, and blocks have no cells.
    """
    if timesteps:
        for block in features.blocks(names, timesteps):
            yield replace(block, image=features.image(block.name))
        return
    settings = features.settings
    for name in names:
        yield Block(name, (), (), settings.image_size, settings.upsampling, features.image(name))
