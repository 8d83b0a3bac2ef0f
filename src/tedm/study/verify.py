"""Every file of a store read again, some images computed again, and what is damaged removed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tedm.errors import TedmError
from tedm.extract import Backbone, differences, read_manifest, recompute_images
from tedm.extract.images import VolumeOptions
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
    differences : tuple of str
        In what files differ from what the store has read of them, one line each.
    views : Verified or None
        What was met in the store of the views; None without one.
    """

    images: int
    damage: tuple[Damage, ...]
    missing: tuple[str, ...]
    recomputed: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    views: Verified | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values."""
        return {
            "images": self.images,
            "damage": [asdict(each) for each in self.damage],
            "missing": self.missing,
            "recomputed": self.recomputed,
            "differences": self.differences,
            **({"views": self.views.to_json()} if self.views is not None else {}),
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
        """Whether nothing is damaged and nothing missing, of views either, and files are as they were read."""
        return not self.damage and not self.missing and not self.differences and (self.views is None or self.views.whole)


def verify_store(
    store: FeatureStore,
    *,
    backbone: Backbone | None = None,
    recompute: int | None = None,
    seed: int = 0,
    repair: bool = False,
    images: Path | None = None,
    ignore: int | None = None,
    threshold: int | None = None,
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
    images : Path or None
        A manifest or folder whose files are read and compared with what the store has read of them.
    ignore, threshold : int or None
        How its masks are read; see `tedm.extract.read_manifest`.
    progress
        See `tedm.study.stages`.

    Returns
    -------
    Verified
        As it was found, before any repair.

    Raises
    ------
    TedmError
        If the store cannot be read or has no images, or here other bits would be computed.
    """
    if (recompute is None) != (backbone is None):
        raise TedmError("to compute images again, give both their number and the backbone")
    if not store.labels.names:
        raise TedmError(
            f"the store {store.path} has no images: what made it was stopped before they were registered\n"
            "Run the same tedm-extract again; it goes on."
        )
    with progress("reading") as show:
        damage = verify(store, progress=show)
    missing = store.missing()
    differing: list[str] = []
    if images is not None:
        sound = set(store.labels.names).difference(missing, (each.image for each in damage))
        classes = store.labels.classes or None
        options = VolumeOptions.of(store.settings)
        manifest = read_manifest(
            images, classes=classes, ignore=ignore, threshold=threshold, known=store.labels, options=options
        )
        differing = differences(store, manifest, source=images, sound=sound)
    chosen: list[str] = []
    if recompute is not None and backbone is not None:
        unsound = {each.image for each in damage} | set(missing)
        chosen = images_to_recompute([name for name in store.labels.names if name not in unsound], recompute, seed=seed)
        with progress("computing again") as show:
            damage += recompute_images(store, backbone, chosen, progress=show)
    if repair:
        store.discard(to_recompute(damage))
        store.remove_partial_files()
    inside = store.view_store()
    views = None if inside is None else verify_store(inside, repair=repair, progress=progress)
    return Verified(len(store.labels), tuple(damage), tuple(missing), tuple(chosen), tuple(differing), views)


def images_to_recompute(names: list[str], number: int, *, seed: int) -> list[str]:
    """Return the first images of a permutation by seed."""
    return [names[index] for index in np.random.default_rng(seed).permutation(len(names))[:number]]
