"""What a store says of itself: the one JSON document in its own metadata, and the making of a store around it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue
from tedm.store.checks import checked, checked_classes, checked_legend, checked_provenance, damaged
from tedm.store.features import Storage
from tedm.store.place import PARTIAL, Location, Place, cause, is_remote, plain_errors
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import ROOT
from tedm.text import shown

if TYPE_CHECKING:
    import zarr

FORMAT = 1
# What two processes that share a store need not agree on: classes come with the images, and the origin is the first one's.
NOT_COMPARED = ("classes", "class_names", "class_colours", "provenance")


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
    class_names, class_colours : tuple of str
        What people call each class, and its colour as "#rrggbb"; empty where nothing is said of them.
    """

    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: Mapping[str, JsonValue]
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values, in the order in which they are written."""
        return {
            "format": FORMAT,
            "settings": self.settings.to_json(),
            "arithmetic": asdict(self.arithmetic),
            "storage": self.storage.to_json(),
            "classes": list(self.classes),
            "provenance": dict(self.provenance),
            # a store of which nobody said how its classes are called has the bytes that it always had
            **({"class_names": list(self.class_names)} if self.class_names else {}),
            **({"class_colours": list(self.class_colours)} if self.class_colours else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`; a `ValueError` that names the key if `values` cannot be so."""
        for key in ("settings", "arithmetic", "storage", "classes", "provenance"):
            if key not in values:
                raise ValueError(f"{key} is missing")
        classes = checked_classes(values["classes"])
        return cls(
            checked(FeatureSettings, values["settings"], "settings"),
            checked(Arithmetic, values["arithmetic"], "arithmetic"),
            checked(Storage, values["storage"], "storage"),
            classes,
            checked_provenance(values["provenance"]),
            checked_legend(values.get("class_names", []), classes, "class_names"),
            checked_legend(values.get("class_colours", []), classes, "class_colours"),
        )


def about_group(group: zarr.Group, address: Location) -> About:
    """Read what an open store says of itself.

    Raises
    ------
    TedmError
        If its metadata are not those of a store.
    """
    try:
        return About.from_json(_document(group))
    except ValueError as error:
        raise damaged(address, str(error)) from error


def open_group(where: Place) -> zarr.Group:
    """Open the group of a store; what is consolidated in it is not believed.

    Raises
    ------
    TedmError
        If its metadata are not those of a group.
    """
    import zarr

    try:
        return zarr.open_group(where.zarr(), mode="r+", zarr_format=3, use_consolidated=False)
    except Exception as error:  # Zarr raises this and that on documents that are not its own
        if isinstance(error, OSError) or is_remote(error):
            raise
        raise damaged(where.address, shown(cause(error))) from error


def about_place(where: Place) -> JsonObject | None:
    """Read the same document from its file, of any format; None if there is no store of ours.

    Raises
    ------
    TedmError
        If the file is no JSON.
    """
    content = where.read(ROOT)
    try:
        document: Any = json.loads(content) if content else None
    except (ValueError, RecursionError) as error:
        raise damaged(where.address, "no JSON, or too deep" if isinstance(error, RecursionError) else str(error)) from error
    try:
        about = document["attributes"]["tedm"]
    except (KeyError, TypeError):
        return None
    return about if isinstance(about, dict) and "format" in about else None


def require_store(where: Place) -> None:
    """Refuse a place where there is no store that this version can open.

    Raises
    ------
    TedmError
        If there is nothing, something else, a store without its first image, or one of a newer format.
    """
    with plain_errors(f"cannot open the store {where.address}"):
        about = about_place(where)
        if about is None:
            there = where.sizes()
            if is_unfinished(there):
                raise TedmError(f"{where.address} was left before its first image; run the same tedm-extract again")
            what = "is no feature store" if there else "does not exist"
            raise TedmError(f"{where.address} {what}; make one with tedm-extract IMAGES {where.address} --checkpoint FILE")
    if about.get("format") != FORMAT:
        raise TedmError(f"{where.address} has a format that this version of tedm does not know; install a newer tedm")


def set_classes(group: zarr.Group, classes: Sequence[int]) -> None:
    """Write the mask values; all else that the store says of itself stays, but for names of classes that are others now."""
    document = _document(group)
    if document.get("classes") != [int(value) for value in classes]:
        document = {key: value for key, value in document.items() if key not in ("class_names", "class_colours")}
    group.attrs.update({"tedm": {**document, "classes": [int(value) for value in classes]}})


def set_legend(group: zarr.Group, names: Sequence[str], colours: Sequence[str]) -> None:
    """Write what the classes are called and their colours; all else that the store says of itself stays."""
    legend = {"class_names": list(names), "class_colours": list(colours)}
    group.attrs.update({"tedm": {**_document(group), **{key: value for key, value in legend.items() if value}}})


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
    about: Any = group.attrs.get("tedm")
    return dict(about) if isinstance(about, Mapping) else {}


def _compared(about: JsonObject | None) -> JsonObject:
    return {key: value for key, value in (about or {}).items() if key not in NOT_COMPARED}
