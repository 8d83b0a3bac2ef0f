"""Every file of a store read again, some images computed again, and what is damaged removed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from tedm.errors import TedmError
from tedm.extract import Backbone, recompute_images
from tedm.jsons import JsonValue
from tedm.store import Damage, FeatureStore, verify
from tedm.store.verification import to_recompute
from tedm.study.stages import Stages, silent


@dataclass(frozen=True)
class Verified:
    """What a verification met.

    Parameters
    ----------
    images : int
        How many the store has.
    damage : tuple of Damage
    missing : tuple of str
        Images of which nothing is there yet.
    recomputed : tuple of str
        Images that were computed again.
    """

    images: int
    damage: tuple[Damage, ...]
    missing: tuple[str, ...]
    recomputed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values."""
        return {
            "images": self.images,
            "damage": [asdict(each) for each in self.damage],
            "missing": self.missing,
            "recomputed": self.recomputed,
        }

    @property
    def lost(self) -> list[str]:
        """The images whose activations are damaged."""
        return to_recompute(self.damage)

    @property
    def damaged_masks(self) -> bool:
        """Whether a mask is damaged: it cannot be computed, but written anew."""
        return any(each.image and each.array == "mask" for each in self.damage)

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged and nothing missing."""
        return not self.damage and not self.missing


def verify_store(
    store: FeatureStore,
    *,
    backbone: Backbone | None = None,
    recompute: int | None = None,
    seed: int = 0,
    repair: bool = False,
    progress: Stages = silent,
) -> Verified:
    """Read everything in a store again: checksums, absent and stray files, finite values.

    Parameters
    ----------
    store : FeatureStore
    backbone : Backbone or None
        The one that the store was made with, to compute images again.
    recompute : int or None
        How many of the sound images are computed again and compared bit for bit.
    seed : int
        Which these are.
    repair : bool
        Remove the activations of damaged images, and partial files, so that the same extraction computes them again.
    progress
        See `tedm.study.stages`.

    Returns
    -------
    Verified
        As it was found, before any repair.

    Raises
    ------
    TedmError
        If the store cannot be read, or here other bits would be computed.
    """
    if (recompute is None) != (backbone is None):
        raise TedmError("to compute images again, give both their number and the backbone")
    with progress("reading") as show:
        damage = verify(store, progress=show)
    missing = store.missing()
    chosen: list[str] = []
    if recompute is not None and backbone is not None:
        unsound = {each.image for each in damage} | set(missing)
        chosen = images_to_recompute([name for name in store.labels.names if name not in unsound], recompute, seed=seed)
        with progress("computing again") as show:
            damage += recompute_images(store, backbone, chosen, progress=show)
    if repair:
        store.discard(to_recompute(damage))
        store.remove_partial_files()
    return Verified(len(store.labels), tuple(damage), tuple(missing), tuple(chosen))


def images_to_recompute(names: list[str], number: int, *, seed: int) -> list[str]:
    """Return the first images of a permutation by seed."""
    return [names[index] for index in np.random.default_rng(seed).permutation(len(names))[:number]]
