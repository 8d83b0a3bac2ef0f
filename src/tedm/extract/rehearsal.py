"""What is tried before a store is made, and looked for when it is said to be written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from tedm.errors import TedmError, raise_listed
from tedm.extract.backbones import Backbone
from tedm.extract.images import ManifestEntry
from tedm.extract.live import square_image
from tedm.extract.pipeline import compute
from tedm.store import Arithmetic, FeatureSettings, FeatureStore


def rehearse(entries: Sequence[ManifestEntry], settings: FeatureSettings, backbone: Backbone, arithmetic: Arithmetic) -> None:
    """Compute the first image that can be read at one timestep: what fails for every image fails before there is a store.

    Raises
    ------
    TedmError
        If no image can be read, or the backbone fails: in shape, or for lack of memory.
    """
    failures = []
    for entry in entries:
        try:
            image = square_image(entry, settings)
        except TedmError as error:
            failures.append(str(error))
            continue
        once = dataclasses.replace(settings, timesteps=settings.timesteps[:1], draws=1)
        for _ in compute(backbone, once, arithmetic, [(entry.name, image)]):
            return
    raise_listed(f"{len(failures)} of {len(entries)} images could not be read; no store was made", failures)


def require_store(store: FeatureStore, written: Iterable[str] = ()) -> None:
    """Refuse to go on, or to speak of success, where a store is not there any more: somebody moved or deleted it.

    Parameters
    ----------
    store : FeatureStore
        As it was opened; a bucket is not asked for each image.
    written : iterable of str
        Images that must be whole.

    Raises
    ------
    TedmError
        If its metadata or one of the images is not there.
    """
    written = set(written)
    there = not isinstance(store.path, Path) or FeatureStore.is_store(store.path)
    gone = written.intersection(store.missing()) if there and written else ()
    if not there or gone:
        what = f"{len(gone)} images that were written to {store.path} are not there" if gone else f"{store.path} is not there"
        raise TedmError(
            f"{what} any more: it was moved or deleted during the work\n"
            "Move it back to where it was, if you still have it, and run the same command again; or begin anew elsewhere."
        )
