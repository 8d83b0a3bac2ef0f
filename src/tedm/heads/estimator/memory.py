"""What a scikit-learn estimator takes in memory to fit.

No estimator says so. It was measured for those that people use, as a multiple of the rows, and is guessed high for the others.
Decision trees that nothing holds back grow with the rows, whatever the number of features: their nodes count apart.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.estimator.lookup import name_of

# Most that fitting takes, rows included, in sizes of the float32 rows (measured: 60 features and 10, 3 classes).
NEED = {
    "CalibratedClassifierCV": 11.0,  # of LinearSVC, its own choice
    "ExtraTreesClassifier": 1.5,
    "GradientBoostingClassifier": 2.5,
    "HistGradientBoostingClassifier": 7.0,
    "KNeighborsClassifier": 4.5,
    "LinearDiscriminantAnalysis": 6.0,
    "LinearSVC": 9.0,
    "LogisticRegression": 2.0,
    "MinMaxScaler": 1.0,
    "PCA": 4.0,
    "QuadraticDiscriminantAnalysis": 7.0,
    "RandomForestClassifier": 1.5,
    "RidgeClassifier": 4.0,
    "StandardScaler": 1.0,
}
UNKNOWN_NEED = 8.0
# Pipelines, calibration and committees hold the rows as they came and parts of them as copies, besides what they hold.
WRAPPER_NEED = 2.5
# Labels, weights, positions and scores of a row.
BYTES_PER_ROW = 64
# A tree that is not held back ends in leaves of one class: with labels at random, 0.6 nodes a row of a bootstrap, 1.5 without.
BOOTSTRAPPED_NODES, NODES = 1.0, 2.0
NODE_BYTES = 64
# Trees are held twice when they are written: skops copies all of them before it is done.
TREE_COPIES = 2

# Their memory grows with the square of the rows, and no part of an image is small enough for that.
QUADRATIC = ("GaussianProcessClassifier", "LabelPropagation", "LabelSpreading")


class Need:
    """Bytes that fitting takes, rows included: a part in proportion to the rows, and trees, which may stop growing with them.

    Parameters
    ----------
    row_bytes : int
        A row's features, as float32.
    factor : float
        Sizes of these that are held at once.
    other_bytes : int
        Of a row's labels, weights and scores.
    tree_bytes, most_tree_bytes : float
        Of all decision trees: for each row, and at most.
    """

    def __init__(
        self, row_bytes: int, factor: float, other_bytes: int = 0, tree_bytes: float = 0.0, most_tree_bytes: float = 0.0
    ) -> None:
        self.factor = factor
        self._per_row = row_bytes * factor + other_bytes
        self._trees_per_row, self._trees = tree_bytes, most_tree_bytes

    @classmethod
    def to_fit(cls, made: Any, data: TrainingData) -> Need:
        """Tell what an unfitted estimator takes; a `TedmError` if no number of rows would do."""
        if type(made).__name__ in QUADRATIC:
            raise TedmError(
                f"{name_of(made)} takes memory that grows with the square of the rows, too much for pixels; choose another, "
                "ensemble.RandomForestClassifier say"
            )
        node = TREE_COPIES * (NODE_BYTES + 8 * len(data.classes))
        each, at_most = _nodes(made)
        other = BYTES_PER_ROW + 16 * len(data.classes)
        return cls(data.n_features * 4, _factor(made), other, each * node, at_most * node)

    def bytes_for(self, rows: int) -> int:
        """Return the bytes that so many rows take."""
        return int(rows * self._per_row + min(rows * self._trees_per_row, self._trees))

    def most_rows(self, nbytes: int) -> int:
        """Return how many rows so many bytes hold."""
        held_back = (nbytes - self._trees) / self._per_row if self._trees < float("inf") else 0
        return max(0, int(max(nbytes / (self._per_row + self._trees_per_row), held_back)))


def _factor(made: Any) -> float:
    """Return what an estimator holds at once, in sizes of the float32 rows."""
    inside = [_factor(part) for part in _held(made)]
    return WRAPPER_NEED + max(inside) if inside else NEED.get(type(made).__name__, UNKNOWN_NEED)


def _nodes(made: Any) -> tuple[float, float]:
    """Count the nodes of all decision trees: for each row, and at most."""
    about = made.get_params(deep=False)
    copies = about.get("n_estimators") or 1
    held = [_nodes(part) for part in _held(made)]
    if held:
        folds = about.get("cv", 1)
        copies *= folds if isinstance(folds, int) else 5
        return copies * sum(each for each, _ in held), copies * sum(most for _, most in held)
    if type(made).__name__ == "BaggingClassifier":  # of decision trees, its own choice
        return copies * BOOTSTRAPPED_NODES, float("inf")
    if "max_leaf_nodes" not in about or "criterion" not in about:
        return 0.0, 0.0
    most = float("inf")
    if about["max_leaf_nodes"] is not None:
        most = 2.0 * about["max_leaf_nodes"]
    elif about["max_depth"] is not None:
        most = 2.0 ** min(about["max_depth"] + 1, 60)
    return copies * (BOOTSTRAPPED_NODES if about.get("bootstrap") else NODES), copies * most


def _held(made: Any) -> list[Any]:
    """Return the estimators inside one: steps, members, what is calibrated."""
    inside = []
    for value in made.get_params(deep=False).values():
        for one in value if isinstance(value, list) else [value]:
            inside += [part for part in (one if isinstance(one, (list, tuple)) else [one]) if isinstance(part, BaseEstimator)]
    return inside
