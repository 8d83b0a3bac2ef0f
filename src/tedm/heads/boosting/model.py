"""A file of boosted trees, checked before XGBoost sees it: compiled code follows its indices unchecked.

A tree's nodes are arrays of one length. Every child is a node, no node is the child of two, and the root is nobody's: whoever
walks down from it comes to a leaf. Every split asks for a feature that a row has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from tedm.foreign import bytes_of
from tedm.heads.boosting.ubjson import read_ubjson

MOST_BYTES = 2**31
NOBODY = 2**31 - 1  # the parent of a root
NODES = ("left_children", "right_children", "parents", "split_indices", "default_left", "split_type")
NUMBERS = ("split_conditions", "base_weights", "loss_changes", "sum_hessian")
CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_WHOLE = re.compile(r"\d{1,9}")
_NUMBER = re.compile(r"[-+]?\d{1,20}(\.\d{0,20})?([eE][-+]?\d{1,2})?")


@dataclass(frozen=True)
class Trees:
    """What a file of trees holds, checked.

    Parameters
    ----------
    booster : xgboost.Booster
    present : array of int
        The class indices that its outputs stand for.
    """

    booster: xgboost.Booster
    present: NDArray[np.intp]


def read_trees(path: Path, *, features: int, classes: int) -> Trees:
    """Read a model that `XGBoostHead.save` wrote.

    Parameters
    ----------
    path : Path
    features, classes : int
        What the head's description says.

    Raises
    ------
    OSError, ValueError
        If it is damaged, or of another kind; XGBoost has not seen it then.
    """
    content = bytes_of(path, most=MOST_BYTES)
    try:
        model = read_ubjson(content)
        present = _checked(model, features, classes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path.name}: {cause}") from error
    return Trees(xgboost.Booster({"verbosity": 0}, model_file=bytearray(content)), present)


def _checked(model: Mapping[str, Any], features: int, classes: int) -> NDArray[np.intp]:
    """Look at everything that a prediction depends on, and return the classes that it knows."""
    learner = model["learner"]
    about, booster, objective = learner["learner_model_param"], learner["gradient_booster"], learner["objective"]
    if booster["name"] != "gbtree" or objective["name"] not in ("binary:logistic", "multi:softprob"):
        raise ValueError("it is no booster of trees that tell classes apart")
    outputs = _whole(about, "num_class")
    groups = max(outputs, 1)
    several = objective["name"] == "multi:softprob"
    if several and (outputs < 3 or _whole(objective["softmax_multiclass_param"], "num_class") != outputs):
        raise ValueError("its numbers of classes differ")
    if not several and outputs > 1:
        raise ValueError("its objective is for two classes")
    if _whole(about, "num_feature") != features or _whole(about, "num_target") != 1:
        raise ValueError(f"it is not of this head: of {about['num_feature']} features, not {features}")
    base = str(about["base_score"]).removeprefix("[").removesuffix("]").split(",")
    if len(base) not in (1, groups) or not all(map(_NUMBER.fullmatch, base)):
        raise ValueError("its base score is no number")
    _require_trees(booster["model"], features, groups)
    shown = learner["attributes"]["classes"].split(",")
    if len(shown) != (outputs if several else 2) or not all(map(_WHOLE.fullmatch, shown)):
        raise ValueError("its classes are others than its outputs")
    present = np.array([int(index) for index in shown], np.intp)
    if not (np.diff(present) > 0).all() or present[-1] >= classes:
        raise ValueError(f"its classes {', '.join(shown)} are not among those of the head")
    return present


def _require_trees(model: Mapping[str, Any], features: int, groups: int) -> None:
    """Refuse trees that are not counted as they are there, or that lead outside themselves."""
    trees, count = model["trees"], _whole(model["gbtree_model_param"], "num_trees")
    ends, owners = np.asarray(model["iteration_indptr"]), np.asarray(model["tree_info"])
    if _whole(model["gbtree_model_param"], "num_parallel_tree") != 1 or not count == len(trees) == len(owners) > 0:
        raise ValueError("its trees are not as many as it says")
    if not np.array_equal(ends, np.arange(0, count + 1, groups)) or not np.array_equal(owners, np.arange(count) % groups):
        raise ValueError("its trees are not in rounds of one for each class")
    if any(len(part) for part in model.get("cats", {}).values()):
        raise ValueError("it splits by categories")
    for number, tree in enumerate(trees):
        try:
            _require_tree(tree, number, features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from error


def _require_tree(tree: Mapping[str, Any], number: int, features: int) -> None:
    about = tree["tree_param"]
    count = _whole(about, "num_nodes")
    if tree["id"] != number or _whole(about, "num_feature") != features or _whole(about, "size_leaf_vector") > 1:
        raise ValueError("it is of another model")
    arrays = {name: np.asarray(tree[name]) for name in (*NODES, *NUMBERS)}
    if count < 1 or _whole(about, "num_deleted") or any(array.shape != (count,) for array in arrays.values()):
        raise ValueError(f"it should have {count} nodes, none of them deleted")
    if any(array.dtype.kind not in "iu" for name, array in arrays.items() if name in NODES):
        raise ValueError("an index is no whole number")
    if any(len(tree[name]) for name in CATEGORIES) or arrays["split_type"].any():
        raise ValueError("it splits by categories")
    if not all(np.isfinite(arrays[name]).all() for name in NUMBERS):
        raise ValueError("it holds values that are no finite numbers")
    left, right, parents = (arrays[name].astype(np.int64) for name in NODES[:3])
    inner = np.flatnonzero(left != -1)
    children = np.concatenate([left[inner], right[inner]])
    leads = np.array_equal(np.sort(children), np.arange(1, count))  # each node but the root is the child of one
    if not leads or (right[left == -1] != -1).any() or parents[0] != NOBODY:
        raise ValueError("a node points outside it, or in a circle")
    if not np.array_equal(parents[children], np.concatenate([inner, inner])):
        raise ValueError("a node's parent is another")
    asked = arrays["split_indices"][inner].astype(np.int64)
    if not ((asked >= 0) & (asked < features)).all() or arrays["default_left"].max() > 1:
        raise ValueError(f"a split asks for a feature that is none of {features}")


def _whole(values: Mapping[str, Any], name: str) -> int:
    """Return a count, which XGBoost writes as text."""
    if not isinstance(values[name], str) or not _WHOLE.fullmatch(values[name]):
        raise ValueError(f"{name} is no count")
    return int(values[name])
