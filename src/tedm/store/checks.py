"""Whether what a store says of itself can be so, before anything is made of it.

A store may come from elsewhere, be damaged, or be of a newer tedm. Its settings are checked by themselves (types, ranges,
nothing missing, nothing unknown), its arrays against those of a new store with these settings, its labels against both.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue
from tedm.names import problem_of, quoted
from tedm.store.features import Storage
from tedm.store.labels import IGNORE, SPLITS, Labels
from tedm.store.place import Location
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import LABEL_ARRAYS, ROOT, skeleton
from tedm.text import listed, shown

MOST_PIXELS = 2**28  # of an image's file
MOST_CLASSES = 255  # a mask has as many indices beside the one for pixels without a label
LONGEST_NAME = 200  # of what people call a class
DEEPEST = 32  # lists in lists of what is kept for people
# Largest values that make sense; the smallest is 1.
LIMITS = {"image_size": 2**16, "image_channels": 2**12, "draws": 2**16}
CHANNELS, TIMESTEP, BATCH, THREADS = 2**20, 10**6, 2**20, 2**12
# Names of arrays that no level can have.
TAKEN = frozenset({*LABEL_ARRAYS, "source", "volume", "slice", "image", "mask", "timestep", "features"})

T = TypeVar("T")


def checked(kind: type[T], values: JsonValue, where: str) -> T:
    """Return JSON as a dataclass of settings.

    Parameters
    ----------
    kind : type
        `FeatureSettings`, `Arithmetic` or `Storage`.
    values : JSON value
    where : str
        The key under which they stand, for messages.

    Raises
    ------
    ValueError
        Which names the key, if a value is missing, unknown, of another type or out of its range.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} is no object")
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ValueError(f"{where}.{shown(key)} is unknown here; is it of a newer tedm? Then install that")
    for name, field in known.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise ValueError(f"{where}.{name} is missing")
    try:
        made = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise ValueError(f"{where}{path.rstrip('`')}: {text[:1].lower()}{text[1:]}") from error
    for key, problem in _problems(made):
        raise ValueError(f"{where}.{key} {problem}")
    return made


def problems_of_settings(settings: FeatureSettings) -> Iterator[tuple[str, str]]:
    """Yield what cannot be so in settings of the right types: a key, and what is wrong with it."""
    for key, most in LIMITS.items():
        if not 1 <= (value := getattr(settings, key)) <= most:
            yield key, f"is {value}, not a number from 1 to {most}"
    names = [level.name for level in settings.levels]
    if not names or len(set(names)) < len(names):
        yield "levels", "names no level, or one twice"
    for at, level in enumerate(settings.levels):
        if problem_of(level.name) or level.name in TAKEN:
            yield f"levels[{at}].name", f"is {quoted(level.name)}, which no level can be called"
        if not 1 <= level.channels <= CHANNELS:
            yield f"levels[{at}].channels", f"is {level.channels}, not a number from 1 to {CHANNELS}"
        if not 1 <= level.stride <= max(settings.image_size, 1) or settings.image_size % level.stride:
            yield f"levels[{at}].stride", f"is {level.stride}, which does not divide the image size {settings.image_size}"
    for key, ends in (("input_range", settings.input_range), ("intensity_range", settings.intensity_range)):
        if ends is not None and (not all(map(math.isfinite, ends)) or ends[0] == ends[1]):
            yield key, f"is {listed(ends)}, not two different numbers"
    if settings.normalisation is not None:
        for problem in settings.normalisation.problems(settings.image_channels):
            yield "normalisation", problem
    if isinstance(settings.crop, int) and not 1 <= settings.crop <= LIMITS["image_size"]:
        yield "crop", f"is {settings.crop}, not a number from 1 to {LIMITS['image_size']}"
    named = settings.channel_names
    if named and (len(named) != settings.image_channels or len(set(named)) < len(named) or not "".join(named).isprintable()):
        yield "channel_names", f"are {listed(map(quoted, named), most=8)}, no names of {settings.image_channels} channels"
    times = settings.timesteps
    if not times or len(set(times)) < len(times) or not 0 <= min(times) <= max(times) <= TIMESTEP:
        yield "timesteps", f"are {listed(times, most=12)}, not different numbers from 0 to {TIMESTEP}"


def problems_of_arithmetic(arithmetic: Arithmetic) -> Iterator[tuple[str, str]]:
    """Yield what cannot be so in an arithmetic of the right types."""
    for key, most in (("batch_size", BATCH), ("threads", THREADS)):
        if not 1 <= (value := getattr(arithmetic, key)) <= most:
            yield key, f"is {value}, not a number from 1 to {most}"


def checked_classes(values: JsonValue) -> tuple[int, ...]:
    """Return the values of masks; a `ValueError` if they are no different whole numbers."""
    try:
        classes = msgspec.convert(values, tuple[int, ...])
    except msgspec.ValidationError as error:
        raise ValueError("classes are no whole numbers") from error
    if len(classes) > MOST_CLASSES or len(set(classes)) < len(classes) or any(abs(value) > 2**31 for value in classes):
        raise ValueError(f"classes are {listed(classes, most=12)}, not up to {MOST_CLASSES} different numbers")
    return classes


def checked_legend(values: JsonValue, classes: Sequence[int], where: str) -> tuple[str, ...]:
    """Return names or colours of classes; a `ValueError` if they are no lines of text, one for each class, or none at all."""
    try:
        legend = msgspec.convert(values, tuple[str, ...])
    except msgspec.ValidationError as error:
        raise ValueError(f"{where} are no list of texts") from error
    if legend and len(legend) != len(classes):
        raise ValueError(f"{where} are {len(legend)} for {len(classes)} classes")
    if any(len(each) > LONGEST_NAME or not each.isprintable() for each in legend):
        raise ValueError(f"{where} hold something longer than {LONGEST_NAME} characters, or that cannot be printed")
    if where == "class_colours" and not all(re.fullmatch("#[0-9a-f]{6}", each) for each in legend):
        raise ValueError(f"{where} hold something that is no colour such as #ff8000")
    return legend


def checked_provenance(values: JsonValue) -> dict[str, JsonValue]:
    """Return what is kept for people; a `ValueError` if it is no object, or lists in lists without end."""
    if not isinstance(values, Mapping):
        raise ValueError("provenance is no object")
    level: list[JsonValue] = [values]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, Mapping | list | tuple)
            for inner in (each.values() if isinstance(each, Mapping) else each)
        ]
    if any(isinstance(each, Mapping | list | tuple) for each in level):
        raise ValueError(f"provenance is deeper than {DEEPEST} lists in lists")
    return dict(values)


def require_arrays(documents: Mapping[str, Any], settings: FeatureSettings, storage: Storage, address: Location) -> None:
    """Refuse arrays that are not those of a store with these settings.

    Parameters
    ----------
    documents : mapping of str to JSON objects
        The metadata of each array.
    settings, storage
        What the store says of itself.
    address : str or Path
        The store, for messages.

    Raises
    ------
    TedmError
        One that names each contradiction.
    """
    from tedm.chunks.decoding import KNOWN  # with Zarr, which a head alone does not need

    expected = _documents(settings, storage)
    problems = []
    for name, document in documents.items():
        for key, read in _COMPARED.items():
            here, there = read(document), read(expected[name])
            if here != there:
                problems.append(f"{name}/{ROOT}: {key} {_brief(here)}, and by the settings {_brief(there)}")
        if foreign := sorted(_codecs(document["codecs"]) - KNOWN):
            problems.append(f"{name}/{ROOT}: its codecs {listed(foreign)} are none of tedm's")
    _refuse(address, "its arrays contradict its settings", problems)


def require_labels(labels: Labels, rooms: Mapping[str, int], size: int, address: Location) -> None:
    """Refuse labels that cannot be so.

    Parameters
    ----------
    labels : Labels
    rooms : mapping of str to int
        For how many images each array has room.
    size : int
        Side of the masks, in pixels.
    address : str or Path
        The store, for messages.

    Raises
    ------
    TedmError
        One that names the columns and the images.
    """
    count = len(labels)
    problems = [f"{name}: room for {room} of {count} images" for name, room in rooms.items() if room < count]
    if twice := [name for name, times in Counter(labels.names).items() if times > 1]:
        problems.append(f"name: {quoted(twice[0])} is there twice")
    for name, split, (height, width), pixels in zip(
        labels.names, labels.splits, labels.original_sizes, labels.labelled, strict=True
    ):
        if split and split not in SPLITS:
            problems.append(f"split: image {quoted(name)} is in {quoted(split)}, none of {listed(SPLITS)}")
        if not (height > 0 and width > 0 and height * width <= MOST_PIXELS):
            problems.append(f"original_size: image {quoted(name)} has {height} x {width} pixels, not 1 to {MOST_PIXELS}")
        if not 0 <= pixels <= size**2:
            problems.append(f"labelled: image {quoted(name)} has {pixels} labelled pixels of {size**2}")
    _refuse(address, "its labels cannot be so", problems)


def damaged(address: Location, what: str) -> TedmError:
    """Return the refusal of a store whose metadata cannot be used."""
    return TedmError(
        f"the store {address} is damaged: its metadata {ROOT}: {what}; bring {ROOT} back from a copy, or extract to a new path"
    )


def _refuse(address: Location, what: str, problems: Sequence[str], most: int = 3) -> None:
    if problems:
        more = f" (and {len(problems) - most} more)" if len(problems) > most else ""
        raise TedmError(
            f"the store {address} is damaged: {what}: {'; '.join(problems[:most])}{more}; "
            "bring it back from a copy, or extract to a new path"
        )


def _problems(made: object) -> Iterator[tuple[str, str]]:
    if isinstance(made, FeatureSettings):
        yield from problems_of_settings(made)
    elif isinstance(made, Arithmetic):
        yield from problems_of_arithmetic(made)


@lru_cache(maxsize=8)
def _documents(settings: FeatureSettings, storage: Storage) -> dict[str, JsonObject]:
    """Return the metadata of the arrays of a new store, by their names."""
    files = skeleton(settings, storage, {})
    return {key.removesuffix(f"/{ROOT}"): json.loads(content) for key, content in files.items() if key.endswith(f"/{ROOT}")}


# What must be as in a new store: chunks inside a file, and how they are packed, may be those of another version.
_COMPARED: dict[str, Callable[[Any], object]] = {
    "entries of shape": lambda document: list(document["shape"][1:]),
    "numbers of type": lambda document: document["data_type"],
    "files of shape": lambda document: document["chunk_grid"],
    "files named by": lambda document: document["chunk_key_encoding"],
    "an empty value of": lambda document: document["fill_value"],
}


def _codecs(codecs: Sequence[Any]) -> set[str]:
    """Return the names of codecs, those inside a shard too."""
    found = set()
    for codec in codecs:
        found.add(str(codec["name"]))
        for key in ("codecs", "index_codecs"):
            inside = _codecs(codec.get("configuration", {}).get(key, ()))
            found |= {f"{name} in a shard" if name == "sharding_indexed" else name for name in inside}
    return found


def _brief(value: object) -> str:
    text = shown(json.dumps(value))
    return text if len(text) <= 60 else text[:57] + "..."


def problem_of_mask(mask: NDArray[np.uint8], labels: Labels) -> str | None:
    """Return what is wrong with the class indices of a mask; None if each is a class, or no label."""
    strange = mask[(mask >= len(labels.classes)) & (mask != IGNORE)]
    return f"it has the class index {strange.flat[0]}, and the store {len(labels.classes)} classes" if strange.size else None
