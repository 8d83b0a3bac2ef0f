"""Stores as earlier versions made them: format 1, the images in the array `image` and their names in `name`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tedm.jsons import JsonValue
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Storage
from tedm.store.about import About, put_skeleton
from tedm.store.formats.naming import FIRST
from tedm.store.place import place
from tedm.store.skeleton import skeleton


def first_format(
    path: Path, settings: FeatureSettings, arithmetic: Arithmetic, storage: Storage, provenance: Mapping[str, JsonValue]
) -> FeatureStore:
    """An empty store of format 1, which `FeatureStore.create` opens like any other that is there."""
    about = About(settings, arithmetic, storage, (), provenance, form=FIRST)
    put_skeleton(place(path), skeleton(settings, storage, about.to_json(), FIRST))
    return FeatureStore.create(path, settings, arithmetic, storage, provenance)
