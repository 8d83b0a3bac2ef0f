"""What a store says of itself: the one JSON document in its own metadata, and the making of a store around it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue
from tedm.store.checks import checked, checked_classes, checked_legend, checked_provenance, damaged
from tedm.store.features import Storage
from tedm.store.formats.consolidated import KEY, consolidated
from tedm.store.formats.coordinates import is_of_coordinate
from tedm.store.formats.naming import NEWEST, ROOT, StoreFormat, format_of
from tedm.store.place import PARTIAL, Place, cause, is_remote, plain_errors, write_again
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import as_written, clashing, skeleton
from tedm.text import listed, shown

# What two processes that share a store need not agree on: classes come with the images, format and origin are the first one's.
NOT_COMPARED = ("format", "classes", "class_names", "class_colours", "provenance")

# How often the metadata of arrays are written while other processes let them grow.
ATTEMPTS = 50


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
    form : StoreFormat
        What its arrays are called.
    """

    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: Mapping[str, JsonValue]
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    form: StoreFormat = NEWEST

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON values, in the order in which they are written."""
        return {
            "format": self.form.number,
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
        if (form := format_of(values.get("format"))) is None:
            raise ValueError(f"format is {shown(str(values.get('format')))}, which this version of tedm does not know")
        classes = checked_classes(values["classes"])
        about = cls(
            checked(FeatureSettings, values["settings"], "settings"),
            checked(Arithmetic, values["arithmetic"], "arithmetic"),
            checked(Storage, values["storage"], "storage"),
            classes,
            checked_provenance(values["provenance"]),
            checked_legend(values.get("class_names", []), classes, "class_names"),
            checked_legend(values.get("class_colours", []), classes, "class_colours"),
            form,
        )
        if taken := clashing(about.settings, about.storage, form):
            raise ValueError(f"settings.levels name {listed(taken)}, which no level can be called")
        return about


def read_about(where: Place) -> About:
    """Read what a store says of itself.

    Raises
    ------
    TedmError
        If its metadata are not those of a store.
    """
    try:
        return About.from_json(about_place(where) or {})
    except ValueError as error:
        raise damaged(where.address, str(error)) from error


def open_group(where: Place) -> zarr.Group:
    """Open the group of a store; what is consolidated in it is not believed.

    Raises
    ------
    TedmError
        If its metadata are not those of a group.
    """
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
    try:
        about = _root(where)["attributes"]["tedm"]
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
    if format_of(about.get("format")) is None:
        raise TedmError(f"{where.address} has a format that this version of tedm does not know; install a newer tedm")


def set_classes(where: Place, classes: Sequence[int]) -> None:
    """Write the mask values; all else that the store says of itself stays, but for names of classes that are others now."""

    def change(document: JsonObject) -> JsonObject:
        if document.get("classes") != [int(value) for value in classes]:
            document = {key: value for key, value in document.items() if key not in ("class_names", "class_colours")}
        return {**document, "classes": [int(value) for value in classes]}

    _change(where, change)


def set_legend(where: Place, names: Sequence[str], colours: Sequence[str]) -> None:
    """Write what the classes are called and their colours; all else that the store says of itself stays."""
    legend = {"class_names": list(names), "class_colours": list(colours)}
    _change(where, lambda document: {**document, **{key: value for key, value in legend.items() if value}})


def consolidate(where: Place, form: StoreFormat, arrays: Sequence[str], images: Callable[[], int]) -> None:
    """Write the metadata of the arrays into the root document, unless they stand there already; nothing of the first format.

    Two processes may do so at once: each looks again after it has written, until what is there is what it should be.

    Parameters
    ----------
    where : Place
    form : StoreFormat
    arrays : sequence of str
        All of the store; one without metadata is left out.
    images : callable
        Counts those that have a name, anew each time.
    """
    for _ in range(ATTEMPTS if form.labelled else 0):
        wanted = _consolidated(where, arrays, images())
        root = _root(where)
        if root.get(KEY) == wanted:
            return
        _put_root(where, {**root, KEY: wanted})


def is_consolidated(where: Place, form: StoreFormat, arrays: Sequence[str], images: int) -> bool:
    """Whether the root document has the metadata of the arrays as they are, where it should have them."""
    return not form.labelled or _root(where).get(KEY) == _consolidated(where, arrays, images)


def make(where: Place, about: About) -> None:
    """Make an empty store; nothing happens if there is one of the same settings, of whatever format.

    Raises
    ------
    TedmError
        If something else lies at the place, or a level has a name that xarray would misunderstand.
    """
    document = about.to_json()
    if isinstance(where.address, Path) and where.address.exists() and not where.address.is_dir():
        raise TedmError(f"{where.address} is a file; name a folder that does not exist yet")
    with plain_errors(f"cannot create the store {where.address}"):
        there = about_place(where)
        if there is None and (taken := clashing(about.settings, about.storage, about.form)):
            raise TedmError(
                f"no level of a store can be called {listed(taken)}, which another array or a dimension is called; "
                "give the level another name"
            )
        if there is None:
            files = skeleton(about.settings, about.storage, document, about.form)
            write_again(lambda: put_skeleton(where, files))
    require_store(where)
    if not same_store(about_place(where), json.loads(json.dumps(document))):
        raise TedmError(
            f"{where.address} is a store of other settings already (tedm-inspect shows them)\n"
            "Run the same command again to see what differs, or name another folder."
        )


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
    others = [key for key in keys if not (key.endswith((f"/{ROOT}", PARTIAL)) or is_of_coordinate(key))]
    return not others and any(key.endswith(f"/{ROOT}") for key in keys)


def _root(where: Place) -> Any:
    content = where.read(ROOT)
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError) as error:
        raise damaged(where.address, "no JSON, or too deep" if isinstance(error, RecursionError) else str(error)) from error


def _put_root(where: Place, document: JsonObject) -> None:
    sync(where.zarr().set(ROOT, default_buffer_prototype().buffer.from_bytes(as_written(document))))


def _change(where: Place, change: Callable[[JsonObject], JsonObject]) -> None:
    """Change what the store says of itself; metadata of arrays that stand beside it stay where the format has them."""
    if (document := about_place(where)) is None:
        raise damaged(where.address, "they are gone")
    root = _root(where)
    changed = {**root, "attributes": {**root["attributes"], "tedm": change(document)}}
    form = format_of(document["format"])
    _put_root(where, changed if form is not None and form.labelled else {k: v for k, v in changed.items() if k != KEY})


def _consolidated(where: Place, arrays: Sequence[str], images: int) -> JsonObject:
    keys = [f"{name}/{ROOT}" for name in arrays]
    with ThreadPoolExecutor(min(8, len(keys))) as pool:  # a bucket takes a while to answer each
        contents = dict(zip(arrays, pool.map(where.read, keys), strict=True))
    documents: dict[str, JsonObject] = {}
    for name, content in contents.items():
        with contextlib.suppress(ValueError, RecursionError):  # damaged, and none of those that are read here
            if content and isinstance(document := json.loads(content), dict):
                documents[name] = document
    return consolidated(documents, images)


def _compared(about: JsonObject | None) -> JsonObject:
    return {key: value for key, value in (about or {}).items() if key not in NOT_COMPARED}
