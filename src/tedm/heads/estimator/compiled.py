"""Parts of a scikit-learn estimator that compiled code follows without a look: their indices and sizes.

A forged file could point outside an array, and a prediction would read, or write, what is not its own. Every such part of an
estimator that was read is looked at here; what is computed by NumPy checks itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.neighbors import BallTree, KDTree
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM
from sklearn.tree._tree import Tree

MOST_JOBS = 1024


def require_sound(estimator: Any) -> None:
    """Refuse an estimator in which an index points outside its array.

    Raises
    ------
    ValueError
        If there is one; the message names the part.
    """
    for part, features in _parts(estimator, None, set()):
        check = next((check for kind, check in CHECKS.items() if isinstance(part, kind)), None)
        jobs = getattr(part, "n_jobs", None)
        good = jobs is None or (isinstance(jobs, int) and abs(jobs) <= MOST_JOBS)
        if not good or (check is not None and not check(part, features)):
            raise ValueError(f"a {type(part).__name__} in estimator.skops points outside itself")


def _parts(thing: Any, features: int | None, seen: set[tuple[int, int | None]]) -> Iterator[tuple[Any, int | None]]:
    """Yield everything of scikit-learn inside an estimator, each with the length of the rows that it will see."""
    if isinstance(thing, (Tree, TreePredictor, KDTree, BallTree)):
        yield thing, features
        return
    if isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, (list, tuple, set)):
        inside = list(thing)
    elif isinstance(thing, np.ndarray) and thing.dtype == object:
        inside = list(thing.ravel())
    elif type(thing).__module__.startswith("sklearn.") and hasattr(thing, "__dict__"):
        own = vars(thing).get("n_features_in_", features)
        yield thing, own
        inside = list(vars(thing).values())
        if isinstance(thing, (BaseForest, GradientBoostingClassifier)):  # these walk down their trees without asking them
            inside += [getattr(tree, "tree_", None) for tree in np.ravel(np.array(thing.estimators_, object))]
        features = own
    else:
        return
    if (id(thing), features) in seen:
        return
    seen.add((id(thing), features))
    for inner in inside:
        yield from _parts(inner, features, seen)


def _sound_tree(tree: Any, features: int | None) -> bool:
    inner = tree.children_left != -1
    ahead = [tree.children_left[inner], tree.children_right[inner]]
    return _forwards(ahead, inner, tree.feature[inner], features)


def _sound_predictor(tree: Any, features: int | None) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    by_set = nodes["bitset_idx"][nodes["is_categorical"] != 0]
    ahead = [nodes["left"][inner].astype(int), nodes["right"][inner].astype(int)]
    asked = nodes["feature_idx"][inner]
    return bool((by_set < len(tree.raw_left_cat_bitsets)).all()) and _forwards(ahead, inner, asked, features)


def _sound_neighbours(tree: Any, features: int | None) -> bool:
    points, order, nodes, bounds = (np.asarray(array) for array in tree.get_arrays())
    first, last = nodes["idx_start"], nodes["idx_end"]
    levels = tree.__getstate__()[5:7]
    without_children = np.arange(len(nodes)) * 2 + 2 >= len(nodes)
    return (
        len(nodes) == levels[1] == 2 ** min(max(levels[0], 0), 60) - 1
        and bounds.shape == (2 if isinstance(tree, KDTree) else 1, len(nodes), points.shape[1])
        and np.array_equal(np.sort(order), np.arange(len(points)))
        and bool(((first >= 0) & (first <= last) & (last <= len(points))).all())
        and bool((nodes["is_leaf"][without_children] != 0).all())
    )


def _sound_histograms(model: Any, features: int | None) -> bool:
    """Tell whether trees of every round have the classes' number, and split by categories only where there are some."""
    outputs = 1 if len(model.classes_) == 2 else len(model.classes_)
    rounds = model._predictors
    if model.n_trees_per_iteration_ != outputs or any(len(trees) != outputs for trees in rounds):
        return False
    by_category = np.asarray(model._bin_mapper.is_categorical_, bool)
    asked = [tree.nodes["feature_idx"][tree.nodes["is_categorical"] != 0] for trees in rounds for tree in trees]
    return len(by_category) == features and all(bool(by_category[each].all()) for each in asked)


def _sound_boosting(model: Any, features: int | None) -> bool:
    outputs = 1 if len(model.classes_) == 2 else len(model.classes_)
    return bool(
        np.ndim(model.estimators_) == 2
        and model.estimators_.shape[1] == outputs
        and vars(model).get("n_trees_per_iteration_", outputs) == outputs
        and all(tree.tree_.value.shape[1:] == (1, 1) for tree in model.estimators_.ravel())
    )


def _sound_memory(model: Any, features: int | None) -> bool:
    """Tell whether neighbours that were kept have a class each."""
    if not hasattr(model, "_y"):  # one that looks for outliers, say
        return True
    kept, labels = np.asarray(model._fit_X), np.asarray(model._y)
    found = getattr(model, "_tree", None)
    return bool(
        kept.ndim == 2
        and kept.shape[1] == features
        and labels.dtype.kind in "iu"
        and labels.shape == (len(kept),)
        and labels.size
        and 0 <= labels.min() <= labels.max() < len(model.classes_)
        and getattr(model, "n_neighbors", 1) <= len(kept)
        and (found is None or np.asarray(found.data).shape == kept.shape)
    )


def _sound_vectors(model: Any, features: int | None) -> bool:
    """Tell whether a support vector machine's arrays are of one number of classes and of vectors."""
    classes, vectors = len(model.classes_), np.asarray(model.support_vectors_)
    pairs, coefficients = classes * (classes - 1) // 2, np.shape(model._dual_coef_)
    per_class = np.asarray(model._n_support)
    return bool(
        "_impl" not in vars(model)
        and not model._sparse
        and isinstance(model.kernel, str)
        and model.kernel != "precomputed"
        and vectors.ndim == 2
        and vectors.shape[1] == features
        and per_class.shape == (classes,)
        and (per_class >= 0).all()
        and int(per_class.sum()) == len(vectors) == len(model.support_)
        and coefficients == (classes - 1, len(vectors))
        and np.shape(model._intercept_) == (pairs,)
        and np.shape(model._probA) == np.shape(model._probB)
        and np.shape(model._probA) in ((0,), (pairs,))
    )


CHECKS = {
    Tree: _sound_tree,
    TreePredictor: _sound_predictor,
    (KDTree, BallTree): _sound_neighbours,
    HistGradientBoostingClassifier: _sound_histograms,
    GradientBoostingClassifier: _sound_boosting,
    NeighborsBase: _sound_memory,
    BaseLibSVM: _sound_vectors,
}


def _forwards(children: list[NDArray[Any]], inner: NDArray[np.bool_], feature: NDArray[Any], features: int | None) -> bool:
    """Tell whether every child comes after its node and is there, and every feature is one of the row's."""
    parents = np.flatnonzero(inner)
    return (
        len(inner) > 0
        and features is not None
        and all(bool(((child > parents) & (child < len(inner))).all()) for child in children)
        and bool(((feature >= 0) & (feature < features)).all())
    )
