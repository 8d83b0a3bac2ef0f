"""What is tried before a store is made, and looked for when it is said to be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tedm.errors import TedmError, raise_listed
from tedm.extract.arriving import Computed
from tedm.extract.backbones import Backbone
from tedm.extract.images import ManifestEntry
from tedm.extract.live import square_image
from tedm.extract.pipeline import compute
from tedm.files import free_space
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Location, Storage
from tedm.store.place import is_url
from tedm.store.settings import StorageType
from tedm.text import counted, size

MAKE_ROOM = "Make room, name another disk, use --layout native, or take fewer timesteps."
LEAST = 0.5  # of the activations' size at their own resolution: what compressed activations at least take (0.93 was measured)


def rehearse(
    entries: Sequence[ManifestEntry],
    settings: FeatureSettings,
    backbone: Backbone,
    arithmetic: Arithmetic,
    dtype: StorageType = "float32",
) -> list[Computed]:
    """Compute the first image that can be read: what fails for every image fails before there is a store.

    Parameters
    ----------
    entries : sequence of ManifestEntry
    settings, backbone, arithmetic, dtype
        See `tedm.extract.pipeline.compute`.

    Returns
    -------
    list of Computed
        The image, for the store; empty if there are no entries.

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
        return list(compute(backbone, settings, arithmetic, [(entry.name, image)], dtype=dtype, alone=True))
    raise_listed(f"{len(failures)} of {len(entries)} images could not be read; no store was made", failures)
    return []


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


def require_room(
    path: Location, there: FeatureStore | None, settings: FeatureSettings, storage: Storage, names: Iterable[str]
) -> None:
    """Refuse an extraction that cannot fit on its disk, however well its activations compress.

    What it really takes depends on the images: `tedm.extract.estimate` measures it.

    Parameters
    ----------
    path : str or Path
        Where the store is, or is to be; of a bucket nothing is known.
    there : FeatureStore or None
        The store, if it is there: what it has takes nothing.
    settings : FeatureSettings
    storage : Storage
    names : iterable of str
        Images that it is to have.

    Raises
    ------
    TedmError
        If less than half of the activations' size at their own resolution is free.
    """
    if is_url(path):
        return
    images = len(set(names) - (set() if there is None else set(there.labels.names).difference(there.missing())))
    cells = sum(level.channels * (settings.image_size // level.stride) ** 2 for level in settings.levels)
    entries = images * len(settings.timesteps) * settings.draws
    least = int(LEAST * entries * cells * (4 if storage.dtype == "float32" else 2))
    free = free_space(Path(path))
    if least > free:
        raise TedmError(
            f"{path} will need at least {size(least)} for {counted(images, 'image')}, and its disk has {size(free)} free\n"
            + MAKE_ROOM
        )
