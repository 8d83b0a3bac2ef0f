"""What a store says of itself: the one JSON document in its own metadata, and the making of a store around it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import zarr

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue
from tedm.store.features import Storage
from tedm.store.place import PARTIAL, Place
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import ROOT

FORMAT = 1
# What two processes that share a store need not agree on: classes come with the images, and the origin is the first one's.
NOT_COMPARED = ("classes", "provenance")


@dataclass(frozen=True)
class About:
    """What a store says of itself.

    Parameters
    ----------
    settings : FeatureSettings
        What its features are.
    arithmetic : Arithmetic
        How they were computed.
    storage : Storage
        How they are rounded and laid out.
    classes : tuple of int
        Mask values, sorted; empty as long as there is no mask.
    provenance : mapping of str to JSON values
        Where the store comes from, for people.
    """

    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: Mapping[str, JsonValue]

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values, in the order in which they are written."""
        return {
            "format": FORMAT,
            "settings": self.settings.to_json(),
            "arithmetic": asdict(self.arithmetic),
            "storage": self.storage.to_json(),
            "classes": list(self.classes),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`; raise `KeyError` or `TypeError` if `values` is something else."""
        return cls(
            FeatureSettings.from_json(values["settings"]),
            Arithmetic(**values["arithmetic"]),
            Storage(**values["storage"]),
            tuple(values["classes"]),
            dict(values["provenance"]),
        )


def about_group(group: zarr.Group, address: object) -> About:
    """Read what an open store says of itself.

    Raises
    ------
    TedmError
        If its metadata are not those of a store.
    """
    try:
        return About.from_json(_document(group))
    except (KeyError, TypeError) as error:
        raise TedmError(
            f"the store {address} is damaged: its metadata {ROOT} lack or do not know {error}\n"
            f"Bring {ROOT} back from a copy, or extract to a new path."
        ) from error


def about_place(where: Place) -> JsonObject | None:
    """Read the same document from its file, of any format; None if there is no store of ours."""
    content = where.read(ROOT)
    try:
        about = json.loads(content)["attributes"]["tedm"] if content else None
    except (ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) and "format" in about else None


def set_classes(group: zarr.Group, classes: Sequence[int]) -> None:
    """Write the mask values; all else that the store says of itself stays."""
    group.attrs.update({"tedm": {**_document(group), "classes": [int(value) for value in classes]}})


def same_store(one: JsonObject | None, other: JsonObject | None) -> bool:
    """Whether two processes with these documents may share a store: all but classes and provenance are equal."""
    return _compared(one) == _compared(other)


def put_skeleton(where: Place, files: Mapping[str, bytes]) -> None:
    """Write those files of an empty store that are not there yet, its own metadata last.

    Raises
    ------
    TedmError
        If something else lies at the place.
    """
    if where.read(ROOT) is not None:
        return
    others = [key for key in where.sizes() if key not in files and not key.endswith(PARTIAL)]
    for key, content in files.items():
        if key != ROOT and not others:
            where.put_new(key, content)
            if where.read(key) != content:
                others.append(key)
    # What differs may be the work of a process that was faster: then the root is there by now, and the store is judged by it.
    if others and where.read(ROOT) is None:
        raise TedmError(f"{where.address} exists and is not empty (it has {others[0]}); name another folder, or delete it")
    where.put_new(ROOT, files[ROOT])


def is_unfinished(keys: Collection[str]) -> bool:
    """Whether these files are an empty store whose making was interrupted, and nothing else."""
    others = [key for key in keys if not key.endswith((f"/{ROOT}", "timestep/c.0", PARTIAL))]
    return not others and any(key.endswith(f"/{ROOT}") for key in keys)


def _document(group: zarr.Group) -> JsonObject:
    about: Any = group.attrs["tedm"]
    return dict(about)


def _compared(about: JsonObject | None) -> JsonObject:
    return {key: value for key, value in (about or {}).items() if key not in NOT_COMPARED}
