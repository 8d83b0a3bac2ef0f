"""Scikit-learn estimators as files that run nothing.

skops writes an estimator as plain data and the names of its classes; only the classes that it, or the list below, holds for
harmless are made again. The list is what the estimators that we promise consist of. Two of them skops leaves out because a
forged file could point outside an array: what is read is checked for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.neighbors import BallTree, KDTree
from sklearn.tree._tree import Tree
from skops import io
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from tedm.errors import TedmError

TRUSTED = (
    # decision trees, and all committees and boosters of them
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # calibration
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    # nearest neighbours
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree64",
    "sklearn.neighbors._kd_tree.KDTree32",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._ball_tree.BallTree64",
    "sklearn.neighbors._ball_tree.BallTree32",
    *(
        f"sklearn.metrics._dist_metrics.{metric}Distance{bits}"
        for metric in ("Euclidean", "Manhattan", "Chebyshev", "Minkowski")
        for bits in ("", "64", "32")
    ),
    # MLPClassifier
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    # VotingClassifier and StackingClassifier
    "sklearn.utils._bunch.Bunch",
)


def write_estimator(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises
    ------
    TedmError
        If it holds something that `read_estimator` would refuse; nothing is left behind then.
    """
    try:
        io.dump(estimator, path, compression=ZIP_DEFLATED, compresslevel=1)
        _refuse(io.get_untrusted_types(file=path), path)
    except UnsupportedTypeException as error:
        path.unlink(missing_ok=True)
        raise TedmError(f"{type(estimator).__name__} cannot be kept in a head: {str(error).splitlines()[0]}") from error
    except TedmError:
        path.unlink(missing_ok=True)
        raise


def read_estimator(path: Path) -> Any:
    """Read what `write_estimator` wrote; it predicts the same bits.

    Raises
    ------
    TedmError
        If the file names a type that is not on the list; nothing of it has run.
    ValueError
        If it is damaged.
    """
    try:
        _refuse(io.get_untrusted_types(file=path), path)
        estimator = io.load(path, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise TedmError(str(error).splitlines()[0]) from error
    except (BadZipFile, AttributeError, ImportError, IndexError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    for part, features in _parts(estimator, None):
        _require_inside(part, features)
    return estimator


def require_kept(estimator: Any) -> None:
    """Refuse an unfitted estimator that could not be read again, before anybody waits for its fit."""
    try:
        _refuse(io.get_untrusted_types(data=io.dumps(estimator)), type(estimator).__name__)
    except UnsupportedTypeException as error:
        raise TedmError(f"{type(estimator).__name__} cannot be kept in a head: {str(error).splitlines()[0]}") from error


def _refuse(types: Iterable[str], where: object) -> None:
    refused = sorted(set(types) - set(TRUSTED))
    if refused:
        raise TedmError(
            f"{where} holds {', '.join(refused)}, which a head may not: of classes in files, only scikit-learn's and what "
            "they consist of are trusted, so that a head from elsewhere cannot run anything; choose another estimator"
        )


def _parts(thing: Any, features: int | None) -> Iterator[tuple[Any, int | None]]:
    """Yield the trees of all sorts inside an estimator, each with the length of the rows that it will see."""
    if isinstance(thing, (Tree, TreePredictor, KDTree, BallTree)):
        yield thing, features
    elif isinstance(thing, dict):
        for inner in thing.values():
            yield from _parts(inner, features)
    elif isinstance(thing, (list, tuple)) or (isinstance(thing, np.ndarray) and thing.dtype == object):
        for inner in np.ravel(thing) if isinstance(thing, np.ndarray) else thing:
            yield from _parts(inner, features)
    elif type(thing).__module__.startswith("sklearn.") and hasattr(thing, "__dict__"):
        own = vars(thing).get("n_features_in_", features)
        if isinstance(thing, GradientBoostingClassifier):  # it walks down its trees without asking them
            for tree in thing.estimators_.ravel():
                yield tree.tree_, own
        for inner in vars(thing).values():
            yield from _parts(inner, own)


def _require_inside(part: Any, features: int | None) -> None:
    """Refuse a tree whose nodes point outside it, or in a circle: compiled code follows them unchecked."""
    if isinstance(part, Tree):
        inner = part.children_left != -1
        ahead = [part.children_left[inner], part.children_right[inner]]
        good = part.node_count == len(inner) > 0 and _forwards(ahead, inner, part.feature[inner], features)
    elif isinstance(part, TreePredictor):
        nodes = part.nodes
        inner = nodes["is_leaf"] == 0
        by_set = nodes["bitset_idx"][nodes["is_categorical"] != 0]
        ahead = [nodes["left"][inner].astype(int), nodes["right"][inner].astype(int)]
        good = bool((by_set < len(part.raw_left_cat_bitsets)).all()) and _forwards(
            ahead, inner, nodes["feature_idx"][inner], features
        )
    else:
        points, order, nodes, bounds = (np.asarray(array) for array in part.get_arrays())
        first, last = nodes["idx_start"], nodes["idx_end"]
        levels = part.__getstate__()[5:7]
        good = (
            len(nodes) == levels[1] == 2 ** levels[0] - 1
            and bounds.shape[1:] == (len(nodes), points.shape[1])
            and np.array_equal(np.sort(order), np.arange(len(points)))
            and bool(((first >= 0) & (first <= last) & (last <= len(points))).all())
        )
    if not good:
        raise ValueError(f"a {type(part).__name__} in estimator.skops points outside itself")


def _forwards(children: list[NDArray[Any]], inner: NDArray[np.bool_], feature: NDArray[Any], features: int | None) -> bool:
    """Tell whether every child comes after its node and is there, and every feature is one of the row's."""
    parents = np.flatnonzero(inner)
    return (
        len(inner) > 0
        and features is not None
        and all(bool(((child > parents) & (child < len(inner))).all()) for child in children)
        and bool(((feature >= 0) & (feature < features)).all())
    )
