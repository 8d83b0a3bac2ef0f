"""A skops file before skops reads it: how much is in it, and what its compiled parts would be made of.

The file is a ZIP: what is unpacked is counted while it is unpacked, whatever its directory says, and compressed no better than
any estimator is. Its arrays must be as long as their headers say. Decision trees are made of arrays by compiled code that
believes their counts, so that these are looked at in the description (`schema.json`).
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from tedm.foreign import array_header, plain_json, require_plain, unzipped, zipped

SCHEMA = "schema.json"
DEEPEST = 300
# What a file may unpack to: so many times its size, and something for small ones. Estimators come to ten times.
RATIO, ALLOWANCE = 100, 2**26
TREE = ("sklearn.tree._tree", "Tree")


def checked_archive(path: Path) -> bytes:
    """Return a skops file unpacked, as a ZIP that is not compressed.

    Raises
    ------
    OSError, BadZipFile
        If it cannot be read.
    ValueError
        If it unpacks to too much, or an array or a tree in it is not what it says.
    """
    most = RATIO * require_plain(path) + ALLOWANCE
    with ZipFile(path) as archive:
        contents = unzipped(archive, most=most)
    if SCHEMA not in contents:
        raise ValueError(f"it has no {SCHEMA}")
    _require_nodes(plain_json(contents[SCHEMA].decode("utf-8"), deepest=DEEPEST), contents)
    return zipped(contents)


def _require_nodes(schema: Any, contents: Mapping[str, bytes]) -> None:
    """Refuse descriptions in which one object is two, and trees whose counts are not those of their arrays."""
    same: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for node in _nodes(schema):
        loader, what = node.get("__loader__"), (node.get("__module__"), node.get("__class__"))
        if loader == "CachedNode" or (what == TREE and loader not in ("TreeNode", "TypeNode")):
            raise ValueError("an object is made in an unusual way")
        same[str(node.get("__id__"))].append(node)
    same.pop("None", None)
    for alike in same.values():
        if len({_told(node) for node in alike}) > 1:
            raise ValueError("two objects have one id")
    for node in _nodes(schema):
        if node.get("__loader__") == "TreeNode":
            _require_tree(node, contents)
            # skops takes the first object of an id for all
            for part in (node["__reduce__"]["args"], node["content"]):
                if any(other != part for other in same.get(str(part.get("__id__")), ())):
                    raise ValueError("two parts of trees have one id")


def _told(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what all nodes of one object share: its class, and what a number or an array is made of."""
    own = {"JsonNode": ("content",), "NdArrayNode": ("type", "file")}.get(str(node.get("__loader__")), ())
    return tuple(str(node.get(name)) for name in ("__class__", "__module__", "__loader__", *own))


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object in a description, without recursion."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _require_tree(node: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Refuse a decision tree of other counts than its arrays have."""
    try:
        (n_features, n_classes, n_outputs), state = node["__reduce__"]["args"]["content"], node["content"]["content"]
        features, outputs, count = (_whole(value) for value in (n_features, n_outputs, state["node_count"]))
        classes = np.load(io.BytesIO(contents[_file(n_classes)]), allow_pickle=False)
        nodes, values = (array_header(contents[_file(state[name])])[0] for name in ("nodes", "values"))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a tree is not described as trees are ({error!r})") from error
    good = features >= 1 and outputs == 1 and count >= 1 and classes.shape == (1,) and classes.dtype.kind in "iu"
    if not good or nodes != (count,) or values != (count, 1, int(classes[0])):
        raise ValueError("a tree has other counts than its arrays")


def _whole(node: Mapping[str, Any]) -> int:
    value = plain_json(node["content"]) if node["__loader__"] == "JsonNode" else None
    if type(value) is not int:
        raise ValueError("a count of a tree is no whole number")
    return value


def _file(node: Mapping[str, Any]) -> str:
    if node["__loader__"] != "NdArrayNode" or node["type"] != "numpy":
        raise ValueError("an array of a tree is none")
    return str(node["file"])
