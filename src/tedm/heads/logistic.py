"""Ridge logistic regression on all pixels, exactly.

L-BFGS needs a loss and a gradient; both are sums over blocks, and a block gives them through products with its cells. Nothing
is sampled and nothing grows with the number of images but the time. The objective is scikit-learn's: the sum of the
cross-entropies plus ridge / 2 times the squared weights, the intercepts free (C = 1 / ridge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.errors import TedmError
from tedm.heads.algebra import ArrayDesign, BlockDesign, Design
from tedm.heads.kinds import Progress
from tedm.heads.rows import RowLayout, row_labels
from tedm.heads.training import TrainingData
from tedm.store import IGNORE, Block
from tedm.store.layout import Floats

WEIGHTS = "weights.safetensors"

Pass = Callable[[], Iterable[tuple[Design, NDArray[np.uint8]]]]


class LogisticHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge logistic regression, binary or multinomial.

    Parameters
    ----------
    ridge : float
        Strength of the penalty, at least 0; scikit-learn's `1 / C`.
    standardize : bool
        Give every feature mean 0 and deviation 1 over the labelled rows before the penalty applies to its weight, as
        `make_pipeline(StandardScaler(), LogisticRegression())` does.
    max_iter : int
        L-BFGS iterations at most.
    tol : float
        Stop when no entry of the mean loss's gradient is larger, by weights of features scaled to a deviation of about one.
    dtype : {"float32", "float64"}
        Type of the products; sums are float64 in either case.

    Attributes
    ----------
    classes_ : array of shape (classes,)
        Labels, sorted. After `fit_blocks`: class indices, with those that no pixel shows.
    coef_ : array of shape (1 or classes, features)
        Weights for features as they are (not standardised), float64. One row for two classes.
    intercept_ : array of shape (1 or classes,)
    n_iter_ : int
    objective_ : float
        The minimum found.
    converged_ : bool
        Whether the gradient is within ten times `tol`; where it is not, raise `max_iter`.
    """

    def __init__(
        self,
        ridge: float = 1.0,
        *,
        standardize: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-6,
        dtype: str = "float32",
    ) -> None:
        self.ridge = ridge
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, y = validate_data(self, X, y, dtype=self.dtype)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"LogisticHead needs samples of at least 2 classes, got one class: {self.classes_[0]!r}")
        if len(self.classes_) > IGNORE:
            raise ValueError(
                f"LogisticHead takes {IGNORE} classes at most, got {len(self.classes_)}; is y a regression target?"
            )
        design, labels = ArrayDesign(X), indices.astype(np.uint8)
        return self._solve(lambda: [(design, labels)], X.shape[1], np.arange(len(self.classes_)))

    def fit_blocks(self, data: TrainingData, validation: TrainingData | None = None, progress: Progress | None = None) -> Self:
        """Fit on features, out of core: one pass over the blocks for each evaluation of the loss."""
        self.n_features_in_ = data.n_features
        self.classes_ = np.arange(len(data.classes))
        return self._solve(lambda: _designs(data, self.dtype), data.n_features, np.flatnonzero(data.class_counts()))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of shape (rows, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self.dtype, reset=False)
        return self._probabilities(ArrayDesign(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float64]:
        """Probabilities for a block's rows: shape (1, rows, classes)."""
        check_is_fitted(self)
        return self._probabilities(BlockDesign(block, rows, self.dtype))[None]

    def account(self) -> dict[str, Any]:
        """What came of the fit."""
        return {"iterations": self.n_iter_, "objective": self.objective_, "converged": self.converged_}

    def constructor(self) -> dict[str, Any]:
        """Arguments that make an unfitted head like this one."""
        return dict(self.get_params())

    def save(self, folder: Path) -> None:
        """Write the weights."""
        arrays = {"coef": np.ascontiguousarray(self.coef_), "intercept": np.ascontiguousarray(self.intercept_)}
        save_file(arrays, folder / WEIGHTS)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        arrays = load_file(folder / WEIGHTS)
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        self.classes_, self.n_features_in_ = np.arange(classes), features

    def _probabilities(self, design: Design) -> NDArray[np.float64]:
        logits = design.matmat(self.coef_.T).astype(np.float64) + self.intercept_
        if logits.shape[1] == 1 and len(self.classes_) == 2:
            positive = expit(logits[:, 0])
            return np.stack([1 - positive, positive], axis=1)
        return np.asarray(np.exp(log_softmax(logits, axis=1)))

    def _solve(self, one_pass: Pass, n_features: int, present: NDArray[np.intp]) -> Self:
        """Minimise over the classes that are present; the others get probability zero."""
        if not self.ridge >= 0:
            raise TedmError(f"ridge is {self.ridge}; it must be 0 or more")
        center, variance, total = _moments(one_pass, n_features)
        # The solver's variables are weights of centred features of deviation one, whatever the penalty is on: of features as
        # they are, a mean or a spread far from one costs thousands of passes. Weak features take their scale from the penalty.
        scale = np.sqrt(variance if self.standardize else variance + self.ridge / total)
        scale = np.where(scale > 0, scale, 1.0)
        strength = self.ridge if self.standardize else self.ridge / scale[:, None] ** 2
        outputs = 1 if len(present) == 2 else len(present)
        position = np.full(256, IGNORE, np.uint8)
        position[present] = np.arange(len(present))

        def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights, intercept = theta[:-outputs].reshape(n_features, outputs), theta[-outputs:]
            loss, gradient, offset = 0.0, np.zeros_like(weights), np.zeros(outputs)
            plain = weights / scale[:, None]
            shift = intercept - center @ plain
            for design, labels in one_pass():
                logits = design.matmat(plain).astype(np.float64) + shift
                block_loss, residuals = _loss(logits, position[labels])
                loss += block_loss
                gradient += design.rmatmat(residuals)
                offset += residuals.sum(axis=0)
            gradient = (gradient - np.outer(center, offset)) / scale[:, None] + strength * weights
            loss += 0.5 * float((strength * weights**2).sum())
            # Divided by the number of rows, so that the tolerance means the same for one image and for a hundred.
            return loss / total, np.concatenate([gradient.ravel(), offset]) / total

        start = np.zeros((n_features + 1) * outputs)
        options: Any = {
            "maxiter": self.max_iter,
            "maxfun": 2 * self.max_iter,
            "gtol": self.tol,
            "ftol": 0,  # a loss of many rows changes little long before its gradient is small
        }
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        weights = found.x[:-outputs].reshape(n_features, outputs) / scale[:, None]
        intercept = found.x[-outputs:] - center @ weights
        self.n_iter_, self.objective_ = int(found.nit), float(found.fun) * total
        # Products in float32 can end in a line search that improves nothing, or in equal losses; what counts is the gradient.
        self.converged_ = bool(np.abs(found.jac).max() <= 10 * self.tol)
        self.coef_, self.intercept_ = self._all_classes(weights.T, intercept, present)
        return self

    def _all_classes(self, coef: Floats, intercept: Floats, present: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Weights for every class: those that no row shows get an intercept that leaves them nothing."""
        classes = len(self.classes_)
        if len(present) == classes:
            return coef, intercept
        if len(present) == 2:  # one column for the second class; as a softmax, the first has logit zero
            coef, intercept = np.concatenate([0 * coef, coef]), np.concatenate([0 * intercept, intercept])
        all_coef, all_intercept = np.zeros((classes, coef.shape[1])), np.full(classes, -1e9)
        all_coef[present], all_intercept[present] = coef, intercept
        return all_coef, all_intercept


def _designs(data: TrainingData, dtype: str) -> Iterator[tuple[BlockDesign, NDArray[np.uint8]]]:
    for labelled in data:
        block = labelled.block
        labels = row_labels(labelled.mask, len(block.timesteps), block.draws, data.rows)
        yield BlockDesign(block, data.rows, dtype), labels


def _moments(one_pass: Pass, n_features: int) -> tuple[Floats, Floats, int]:
    """Mean and variance of each feature over the labelled rows, and the number of these."""
    sums, squares, total = np.zeros(n_features), np.zeros(n_features), 0
    for design, labels in one_pass():
        used = labels != IGNORE
        total += int(used.sum())
        first, second = design.moments(used.astype(np.float64))
        sums += first
        squares += second
    center = sums / total
    variance = np.maximum(squares / total - center**2, 0)
    # A feature that does not vary says nothing; what is left of it is rounding of the sums, below what float32 tells apart.
    return center, np.where(variance <= 1e-13 * (squares / total), 0.0, variance), total


def _loss(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float64]]:
    """Summed cross-entropy and its derivative; rows without a label count nothing. One column means two classes."""
    used = labels != IGNORE
    if logits.shape[1] == 1:
        column = logits[:, 0]
        positive = labels == 1
        loss = np.logaddexp(0, np.where(positive, -column, column))
        return float(loss[used].sum()), np.where(used, expit(column) - positive, 0.0)[:, None]
    safe = np.where(used, labels, 0)[:, None]
    normaliser = logsumexp(logits, axis=1, keepdims=True)
    loss = (normaliser - np.take_along_axis(logits, safe, axis=1))[:, 0]
    residuals = np.exp(logits - normaliser)
    np.put_along_axis(residuals, safe, np.take_along_axis(residuals, safe, axis=1) - 1, axis=1)
    return float(loss[used].sum()), residuals * used[:, None]
