"""Ridge logistic regression on all pixels, exactly.

L-BFGS needs a loss and a gradient; both are sums over blocks, and a block gives them through products with its cells. Nothing
is sampled and nothing grows with the number of images but the time. The objective is scikit-learn's: the sum of the weighted
cross-entropies plus ridge / 2 times the squared weights, the intercepts free (C = 1 / ridge).

The strength may be chosen on a path of strengths. All strengths, for all images and for each fold, then advance together: a
pass over the blocks serves every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.special import expit, log_softmax
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.errors import TedmError
from tedm.heads.algebra import ArrayDesign, BlockDesign, Design
from tedm.heads.classifier import Classifier
from tedm.heads.kinds import Progress
from tedm.heads.linear import ArrayRows, Effort, Model, Rows, Sum, center_and_variance, losses, moments, working_bytes
from tedm.heads.rows import RowLayout
from tedm.heads.sampling import ClassWeight, class_weights
from tedm.heads.together import minimise_together
from tedm.heads.training import TrainingData
from tedm.heads.workers import HERE
from tedm.store import IGNORE, Block
from tedm.store.layout import Floats

WEIGHTS = "weights.safetensors"
# Strengths that "auto" chooses among: from hardly any penalty to hardly any weight, for sums over thousands of pixels and more.
PATH = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
DEFAULT_RIDGE = 1.0
FOLDS = 5
# Copies of the variables that L-BFGS keeps (ten pairs of steps and gradients, and its work arrays).
SOLVER_COPIES = 32


class LogisticHead(Classifier):
    """Ridge logistic regression, binary or multinomial.

    Parameters
    ----------
    ridge : float, sequence of float, or "auto"
        Strength of the penalty, at least 0; scikit-learn's `1 / C`. Of several ("auto": 0.01, 0.1, ... 10000), the one with the
        smallest mean cross-entropy on held-out images is taken.
    select : {"cv", "val"}
        What is held out: the folds of a cross-validation by group (five, or as many as there are groups), or the validation
        images. With fewer than three groups the default strength, 1, is taken.
    class_weight : {"balanced"}, mapping of label to weight, or None
        What a row of each class counts, as in scikit-learn.
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
    ridge_ : float
        The strength that was taken.
    path_ : list of dict
        Where it was chosen: each strength with its mean held-out cross-entropy (`ridge`, `loss`).
    chosen_by_ : str
        How, in words.
    n_iter_ : int
    objective_ : float
        The minimum found.
    converged_ : bool
        Whether the gradient is within ten times `tol`; where it is not, raise `max_iter`.
    """

    def __init__(
        self,
        ridge: float | Sequence[float] | Literal["auto"] = DEFAULT_RIDGE,
        *,
        select: Literal["cv", "val"] = "cv",
        class_weight: ClassWeight = None,
        standardize: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-6,
        dtype: str = "float32",
    ) -> None:
        self.ridge = ridge
        self.select = select
        self.class_weight = class_weight
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on rows in memory.

        Parameters
        ----------
        X : array of shape (rows, features)
        y : array of shape (rows,)
            Any labels.
        groups : array of shape (rows,) or None
            What must not be torn apart where the strength is chosen by cross-validation, a patient say; None takes rows.
        """
        X, indices = self._checked_rows(X, y, self.dtype)
        if self.select == "val":
            raise TedmError("select='val' needs validation images; rows in memory are cross-validated: select='cv'")
        numbers = np.zeros(len(X), np.intp)
        if groups is not None:
            numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
        elif not isinstance(self.ridge, (int, float)):
            numbers = np.arange(len(X)) % FOLDS
        rows = ArrayRows(X, indices.astype(np.uint8), numbers)
        return self._solve(_Source(rows, {name: name for name in rows.counts}, rows.counts), None, X.shape[1])

    def fit_blocks(self, data: TrainingData, validation: TrainingData | None = None, progress: Progress | None = None) -> Self:
        """Fit on features, out of core: one pass over the blocks for each evaluation of the loss.

        Parameters
        ----------
        data : TrainingData
            Images to learn from.
        validation : TrainingData or None
            Images that choose the strength, where `select` is "val".
        progress : callable (evaluations, `max_iter`, loss) or None
            Called after each pass.
        """
        self.n_features_in_ = data.n_features
        self.classes_ = np.arange(len(data.classes))
        if self.select == "val" and validation is None:
            raise TedmError("select='val' needs validation images to choose by; give some, or take 'cv'")
        held_out = _Source.of(validation) if validation is not None and self.select == "val" else None
        return self._solve(_Source.of(data), held_out, data.n_features, progress)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of shape (rows, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self.dtype, reset=False)
        return self._probabilities(ArrayDesign(X))

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float64]:
        """Probabilities for a block's rows: shape (1, rows, classes)."""
        check_is_fitted(self)
        return self._probabilities(BlockDesign(block, rows, self.dtype))[None]

    def account(self) -> dict[str, Any]:
        """What came of the fit."""
        chosen = {"ridge_chosen_by": self.chosen_by_, "ridge_path": self.path_} if self.chosen_by_ else {}
        return {
            "iterations": self.n_iter_,
            "objective": self.objective_,
            "converged": self.converged_,
            "ridge": self.ridge_,
            **chosen,
        }

    def constructor(self) -> dict[str, Any]:
        """Arguments that make an unfitted head like this one."""
        ridge = self.ridge if isinstance(self.ridge, (int, float, str)) else list(self.ridge)
        return {**super().constructor(), "ridge": ridge}

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

    # -- solving -----------------------------------------------------------------------------------------------------

    def _solve(self, source: _Source, held_out: _Source | None, n_features: int, progress: Progress | None = None) -> Self:
        strengths, folds = self._strengths(source, held_out)
        every = list(source.counts)
        # All strengths on all images, then all strengths on each fold's images.
        problems = [self._problem(source, every, strength) for strength in strengths]
        problems += [self._problem(source, inside, strength) for inside, _ in folds for strength in strengths]
        effort = source.effort(problems, n_features, self.dtype)
        of_image: dict[str, tuple[Floats, Floats, int]] = {}
        for name, sums, squares, total in source.rows.workers.over(moments, source.rows, every, effort):
            of_image[name] = (sums, squares, total)
        scaled = [_Scaled(problem, of_image, self.standardize) for problem in problems]
        passes = 0

        def evaluate(points: Mapping[int, NDArray[np.float64]]) -> dict[int, tuple[float, NDArray[np.float64]]]:
            nonlocal passes
            models = [scaled[number].model(point) for number, point in points.items()]
            sums = source.sums(models, effort)
            found = {
                number: scaled[number].objective(point, total)
                for (number, point), total in zip(points.items(), sums, strict=True)
            }
            passes += 1
            if progress is not None:
                progress(min(passes, self.max_iter), self.max_iter, next(iter(found.values()))[0])
            return found

        options: Any = {
            "maxiter": self.max_iter,
            "maxfun": 2 * self.max_iter,
            "gtol": self.tol,
            "ftol": 0,  # a loss of many rows changes little long before its gradient is small
        }
        starts = [np.zeros((n_features + 1) * problem.outputs) for problem in problems]
        results = minimise_together(evaluate, starts, options)
        best = 0
        self.path_ = []
        if len(strengths) > 1:
            models = [one.model(found.x) for one, found in zip(scaled, results, strict=True)]
            means = self._held_out_losses(models, source, held_out, folds, len(strengths), effort)
            self.path_ = [{"ridge": strength, "loss": mean} for strength, mean in zip(strengths, means, strict=True)]
            best = int(np.nanargmin(means))
        self.ridge_ = strengths[best]
        found, chosen = results[best], scaled[best]
        model = chosen.model(found.x)
        self.n_iter_, self.objective_ = int(found.nit), float(found.fun) * chosen.total
        # Products in float32 can end in a line search that improves nothing, or in equal losses; what counts is the gradient.
        self.converged_ = bool(np.abs(found.jac).max() <= 10 * self.tol)
        self.coef_, self.intercept_ = self._all_classes(model.weights.T, model.shift, problems[best].present)
        return self

    def _strengths(self, source: _Source, held_out: _Source | None) -> tuple[list[float], list[tuple[list[str], list[str]]]]:
        """The strengths to try, and the folds to try them on, as images inside and outside; says how in `chosen_by_`."""
        self.chosen_by_ = ""
        if isinstance(self.ridge, str) and self.ridge != "auto":
            raise TedmError(f"ridge is {self.ridge!r}; it must be a number, several, or auto")
        if self.select not in ("cv", "val"):
            raise TedmError(f"a strength cannot be chosen on {self.select!r}; choose cv or val")
        asked = [self.ridge] if isinstance(self.ridge, (int, float)) else PATH if self.ridge == "auto" else self.ridge
        strengths = [float(strength) for strength in asked]
        if not strengths or not all(strength >= 0 for strength in strengths):
            raise TedmError(f"ridge is {self.ridge}; it must be 0 or more")
        if len(strengths) == 1:
            return strengths, []
        if held_out is not None:
            self.chosen_by_ = f"the loss on {len(held_out.counts)} validation images"
            return strengths, []
        names = list(source.counts)
        groups = [source.groups[name] for name in names]
        folds = []
        if len(set(groups)) >= 3:
            cut = GroupKFold(min(FOLDS, len(set(groups)))).split(names, groups=groups)
            folds = [([names[n] for n in inside], [names[n] for n in outside]) for inside, outside in cut]
            folds = [fold for fold in folds if len(source.present(fold[0])) > 1]
        if not folds:
            self.chosen_by_ = f"default: {len(set(groups))} groups are too few for a cross-validation"
            return [DEFAULT_RIDGE], []
        self.chosen_by_ = f"a cross-validation of {len(folds)} folds by group"
        return strengths, folds

    def _problem(self, source: _Source, images: Sequence[str], strength: float) -> _Problem:
        present = source.present(images)
        counts = np.sum([source.counts[name] for name in images], axis=0)
        weights = np.ones(256)
        weights[: len(self.classes_)] = class_weights(self.class_weight, list(self.classes_), counts[: len(self.classes_)])
        return _Problem(tuple(images), strength, present, weights)

    def _held_out_losses(
        self,
        models: Sequence[Model],
        source: _Source,
        held_out: _Source | None,
        folds: Sequence[tuple[Sequence[str], Sequence[str]]],
        strengths: int,
        effort: Effort,
    ) -> list[float]:
        """For each strength, the mean loss of what was fitted without the images that it is tested on."""
        if held_out is not None:
            outside = frozenset(held_out.counts)
            tested = [_on(model, outside) for model in models[:strengths]]
            return [one.loss / one.total for one in held_out.sums(tested, effort, gradients=False)]
        tested = [
            _on(models[strengths * (1 + fold) + number], frozenset(outside))
            for fold, (_, outside) in enumerate(folds)
            for number in range(strengths)
        ]
        sums = source.sums(tested, effort, gradients=False)
        return [
            sum(one.loss for one in sums[number::strengths]) / sum(one.total for one in sums[number::strengths])
            for number in range(strengths)
        ]

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


@dataclass(frozen=True)
class _Source:
    """Rows to learn from.

    Parameters
    ----------
    rows : Rows
    groups : mapping of str to str
        Group of each image.
    counts : mapping of str to array of shape (256,)
        Labels of each image by class index.
    """

    rows: Rows
    groups: Mapping[str, str]
    counts: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, data: TrainingData) -> _Source:
        """Images of some features."""
        names = list(dict.fromkeys(data.names))
        groups = dict(zip(names, data.features.labels.group_of(names), strict=True))
        counts = {name: np.bincount(data.masks[name].ravel(), minlength=256) for name in names}
        for of_image in counts.values():
            of_image[IGNORE] = 0
        return cls(data, groups, counts)

    def present(self, images: Sequence[str]) -> NDArray[np.intp]:
        """Class indices that some of the images show."""
        return np.flatnonzero(np.sum([self.counts[name] for name in images], axis=0))

    def effort(self, problems: Sequence[_Problem], n_features: int, dtype: str) -> Effort:
        """As many outputs and images at once as the budget and the threads allow."""
        every, largest = sum(problem.outputs for problem in problems), max(problem.outputs for problem in problems)
        if not isinstance(self.rows, TrainingData):
            return Effort(dtype, every, 1)
        data = self.rows
        fixed = n_features * 8 * (every * SOLVER_COPIES + 4 * len(self.counts)) + 2 * data.block_bytes + data.reading_bytes
        gradient = n_features * 8 * every
        data.budget.require(
            fixed + gradient + working_bytes(data, largest),
            f"a logistic regression of {n_features} features x {every} outputs",
        )
        room = data.budget.left() - fixed
        columns, threads = largest, 1
        while columns < every and room > gradient + working_bytes(data, 2 * columns):
            columns *= 2
        each = gradient + working_bytes(data, min(columns, every))
        # On a cluster every part is one thread of a worker.
        most = torch.get_num_threads() if data.workers is HERE else 1
        while threads < min(most, len(self.counts)) and room > (threads + 1) * (each + data.block_bytes):
            threads += 1
        return Effort(dtype, min(columns, every), threads, threads * each)

    def sums(self, models: Sequence[Model], effort: Effort, *, gradients: bool = True) -> list[Sum]:
        """One pass."""
        wanted = frozenset().union(*(model.images for model in models))
        names = [name for name in self.counts if name in wanted]
        totals: list[Sum] | None = None
        for part in self.rows.workers.over(losses, self.rows, names, models, effort, gradients):
            if totals is None:
                totals = part
            else:
                for total, more in zip(totals, part, strict=True):
                    total.add(more)
        assert totals is not None  # a problem has images
        return totals


@dataclass(frozen=True)
class _Problem:
    """What is minimised: the loss on some images with one strength."""

    images: tuple[str, ...]
    strength: float
    present: NDArray[np.intp]
    row_weights: NDArray[np.float64]

    @property
    def outputs(self) -> int:
        """One for two classes, else one for each."""
        return 1 if len(self.present) == 2 else len(self.present)


class _Scaled:
    """A problem in the solver's variables.

    These are weights of centred features of deviation one, whatever the penalty is on: of features as they are, a mean or a
    spread far from one costs thousands of passes. Weak features take their scale from the penalty.
    """

    def __init__(self, problem: _Problem, of_image: Mapping[str, tuple[Floats, Floats, int]], standardize: bool) -> None:
        self._problem = problem
        self._center, variance, self.total = center_and_variance(of_image, problem.images)
        scale = np.sqrt(variance if standardize else variance + problem.strength / self.total)
        self._scale = np.where(scale > 0, scale, 1.0)[:, None]
        self._strength = problem.strength if standardize else problem.strength / self._scale**2
        self._position = np.full(256, IGNORE, np.uint8)
        self._position[problem.present] = np.arange(len(problem.present))

    def model(self, point: NDArray[np.float64]) -> Model:
        """Weights and intercepts for features as they are."""
        weights = self._weights(point) / self._scale
        shift = point[-self._problem.outputs :] - self._center @ weights
        return Model(weights, shift, frozenset(self._problem.images), self._position, self._problem.row_weights)

    def objective(self, point: NDArray[np.float64], total: Sum) -> tuple[float, NDArray[np.float64]]:
        """Value and gradient, divided by the number of rows, so that a tolerance means the same for one image and for many."""
        weights = self._weights(point)
        gradient = (total.gradient - np.outer(self._center, total.offset)) / self._scale + self._strength * weights
        value = total.loss + 0.5 * float((self._strength * weights**2).sum())
        return value / self.total, np.concatenate([gradient.ravel(), total.offset]) / self.total

    def _weights(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return point[: -self._problem.outputs].reshape(-1, self._problem.outputs)


def _on(model: Model, images: frozenset[str]) -> Model:
    """The same model on other images."""
    return Model(model.weights, model.shift, images, model.position, model.row_weights)
