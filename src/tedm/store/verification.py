"""What is whole in a store and what is not: every file is read again.

A file is damaged if it is not there although others of its image are, if its checksum or its codec refuses it, if an activation
in it is not finite, or if a mask has not the classes or the labelled pixels that the store says. Images of which nothing is
there yet are missing, not damaged. A file that is whole but belongs to another image has a sound checksum; only computing it
again can tell (`tedm.extract.recompute`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tedm.store.arrays import DamagedError
from tedm.store.disk import FeatureStore
from tedm.store.labels import IGNORE
from tedm.store.place import PARTIAL
from tedm.text import listed as as_list
from tedm.text import shown


@dataclass(frozen=True)
class Damage:
    """Something in a store that should not be as it is.

    Parameters
    ----------
    image : str
        Name of the image; empty for a file that belongs to none.
    array : str
        Name of the array, or the file that belongs to no image.
    cause : str
        What is wrong with it.
    """

    image: str
    array: str
    cause: str

    def __str__(self) -> str:
        where = f"image {shown(self.image)}: array {self.array}" if self.image else f"file {shown(self.array)}"
        return f"{where}: {shown(self.cause)}"


def verify(
    store: FeatureStore, names: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None
) -> list[Damage]:
    """Read every file of a store again, and list the damage.

    Parameters
    ----------
    store : FeatureStore
        The store; nothing in it is changed.
    names : sequence of str or None
        Only these images, and no look at files that belong to none; None reads all.
    progress : callable (done, all) or None
        Called after each image.

    Returns
    -------
    list of Damage
        In the order of the images and of their arrays; stray files come last.

    Raises
    ------
    TedmError
        If the store cannot be listed, or an object store refuses to answer.
    """
    sizes = store.files()
    chosen = store.labels.names if names is None else tuple(names)
    found: list[Damage] = []
    for done, name in enumerate(chosen, start=1):
        gone = _gone(store, name, sizes)
        found += gone
        found += [damage for array in _there(store, name, sizes) if (damage := _unreadable(store, name, array))]
        if progress is not None:
            progress(done, len(chosen))
    return found if names is not None else found + _coordinates(store) + _strays(store, sizes)


def listed(store: FeatureStore) -> list[Damage]:
    """Return what one listing shows without reading a file: those that are gone or empty, and stray ones."""
    sizes = store.files()
    return [damage for name in store.labels.names for damage in _gone(store, name, sizes)] + _strays(store, sizes)


def to_recompute(damage: Iterable[Damage]) -> list[str]:
    """Return the images to `discard`, those with damaged activations, each once; a damaged mask is no reason to compute."""
    return list(dict.fromkeys(each.image for each in damage if each.image and each.array != "mask"))


def _there(store: FeatureStore, name: str, sizes: Mapping[str, int]) -> list[str]:
    """Return the arrays that have a file for an image."""
    return [array for array, key in store.files_of(name).items() if sizes.get(key)]


def _gone(store: FeatureStore, name: str, sizes: Mapping[str, int]) -> list[Damage]:
    """Return files that are absent or empty; nothing but the mask is expected of an image that is still to be computed."""
    files = store.files_of(name)
    expected = ["mask"] if not any(key in sizes for array, key in files.items() if array != "mask") else list(files)
    return [
        Damage(name, array, "its file is empty" if files[array] in sizes else "its file is gone")
        for array in expected
        if not sizes.get(files[array])
    ]


def _unreadable(store: FeatureStore, name: str, array: str) -> Damage | None:
    """Return what reading one array of an image meets."""
    try:
        values = store.read_file(array, name)
    except DamagedError as error:
        return Damage(name, array, error.cause)
    if array == "mask":
        labelled, told = int((values != IGNORE).sum()), store.labels.labelled[store.labels.index(name)]
        return (
            None if labelled == told else Damage(name, array, f"it has {labelled} labelled pixels, and the labels say {told}")
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return Damage(name, array, "it has values that are not finite")
    return None


def _coordinates(store: FeatureStore) -> list[Damage]:
    """Return what is wrong with the array that tells other readers the timesteps; nothing here reads it but this."""
    there = store.coordinates()
    if there == store.settings.timesteps:
        return []
    what = "it cannot be read" if there is None else f"it has the timesteps {as_list(there, most=12)}"
    return [Damage("", "timestep/c.0", f"{what}, and the settings {as_list(store.settings.timesteps, most=12)}")]


def _strays(store: FeatureStore, sizes: Mapping[str, int]) -> list[Damage]:
    """Return files in the store's tree that belong neither to an image nor to the store as a whole."""
    known = store.files_of_all().union(*(store.files_of(name).values() for name in store.labels.names))
    left = "left by a write that was killed or is under way; tedm-extract removes it"
    foreign = "it is none of the store's; if the same tedm-extract does not make use of it, delete it"
    return [Damage("", key, left if key.endswith(PARTIAL) else foreign) for key in sorted(sizes) if key not in known]
