"""The metadata of all arrays as they stand in the root document, where xarray looks for them.

They are a copy: whoever lets arrays grow writes it again, and nothing here believes it. So that it is whole at every moment, it
shows as many images as have a name, although a process that is registering more may have enlarged some arrays already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from tedm.jsons import JsonObject, JsonValue

KEY = "consolidated_metadata"


def consolidated(documents: Mapping[str, JsonObject], images: int) -> JsonObject:
    """Return the document that Zarr reads in place of those of the arrays.

    Parameters
    ----------
    documents : mapping of str to JSON objects
        The metadata of each array.
    images : int
        How many there are. An array that has no room for all of them is left out: only records of sources may be behind.
    """
    metadata: dict[str, JsonObject] = {}
    for name in sorted(documents):
        document = documents[name]
        shape, dimensions = document.get("shape"), document.get("dimension_names")
        if not _is_shape(shape) or not isinstance(dimensions, list):
            continue  # damaged, and none of those that are read here: tedm-verify names it
        if dimensions[:1] == ["image"]:
            if shape[0] < images:
                continue
            document = {**document, "shape": [images, *shape[1:]]}
        metadata[name] = document
    return {"kind": "inline", "must_understand": False, "metadata": metadata}


def _is_shape(value: JsonValue) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(isinstance(each, int) for each in value)
