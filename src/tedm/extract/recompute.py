"""Computing images of a store again, to see whether it holds the bits that its backbone gives.

A checksum says that a file is as it was written. Only this says that what was written is what the backbone computes from the
store's own image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tedm.errors import TedmError
from tedm.extract.arithmetic import arithmetic_differences, on_this_machine
from tedm.extract.backbones import Backbone
from tedm.extract.pipeline import compute
from tedm.store import Damage, FeatureStore


def recompute_images(
    store: FeatureStore, backbone: Backbone, names: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> list[Damage]:
    """Compare stored activations with fresh ones, bit for bit.

    Parameters
    ----------
    store : FeatureStore
        The store; nothing in it is changed.
    backbone : Backbone
        The one that the store was made with.
    names : sequence of str
        Images that are whole.
    progress : callable (done, all) or None
        Called after each image.

    Returns
    -------
    list of Damage
        Arrays whose bits differ.

    Raises
    ------
    TedmError
        If the backbone is another one, this machine computes other bits, or a file cannot be read.
    """
    require_same_bits(store, backbone)
    backbone = backbone.with_levels([level.name for level in store.settings.levels])
    found: list[Damage] = []
    images = ((name, store.image(name)) for name in names)
    for done, computed in enumerate(compute(backbone, store.settings, store.arithmetic, images), start=1):
        fresh = store.storage.arrays(computed.cells, store.settings)
        for array, values in zip(store.feature_arrays(), fresh, strict=True):
            kept = store.read_file(array, computed.name)
            if kept.tobytes() != values.tobytes():
                largest = np.abs(kept.astype(np.float64) - values).max()
                found.append(Damage(computed.name, array, f"computed again, it has other bits (by up to {largest:.3g})"))
        if progress is not None:
            progress(done, len(names))
    return found


def require_same_bits(store: FeatureStore, backbone: Backbone) -> None:
    """Refuse to compare where differences would be no damage: another backbone, another kind of machine."""
    if backbone.sha256 != store.settings.checkpoint_sha256:
        raise TedmError(
            f"cannot compute {store.path} again: it was made with another checkpoint\n"
            f"  the store has {store.settings.checkpoint_sha256}, this file {backbone.sha256} (SHA-256)\n"
            "Name the checkpoint of the store with --checkpoint."
        )
    here = on_this_machine(store.arithmetic)
    problems = arithmetic_differences(store.arithmetic, here, us="the store")
    if problems:
        raise TedmError(
            f"cannot compute {store.path} again: here the same image would get other bits\n  "
            + "\n  ".join(problems)
            + "\nRun it where the store was made; without --recompute the checksums are verified anywhere."
        )
