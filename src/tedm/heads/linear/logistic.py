"""Ridge logistic regression on all pixels, exactly.

The head as scikit-learn and the folders know it; `tedm.heads.linear.solver` solves. The strength may be chosen on a path of
strengths, which costs the passes of the slowest of them: all strengths, for all images and for each fold, advance together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport, Progress
from tedm.heads.base.weights import length_of, read_weights, require_finite, write_weights
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import ArrayDesign, BlockDesign, Design
from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import ClassWeight
from tedm.heads.linear.selection import DEFAULT_RIDGE, FOLDS, Job, require_strengths
from tedm.heads.linear.source import ArrayRows, Source
from tedm.jsons import JsonValue
from tedm.store import Block

WEIGHTS = "weights.safetensors"
DTYPES = ("float32", "float64")
# Strengths that "auto" chooses among: from hardly any penalty to hardly any weight, for sums over thousands of pixels and more.
PATH = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)


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
        L-BFGS iterations at most over all rows, and before them over a sample (`tedm.heads.linear.sampled`).
    tol : float
        Stop when no entry of the mean loss's gradient is larger, by weights of features scaled to a deviation of about one; or,
        within thirty times it, when rounding hides what an iteration gains.
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
        The minimum that was reached.
    converged_ : bool
        Whether the gradient is within thirty times `tol`; where it is not, raise `max_iter`.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={"iterations": "max_iter", "ridge": "ridge", "select": "select", "class_weight": "class_weight"}
    )

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
        return self._solve(Source(rows, {name: name for name in rows.counts}, rows.counts), None, X.shape[1])

    def needs_validation(self) -> bool:
        """Tell whether validation images choose the strength."""
        return self.select == "val"

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on features, out of core: one pass over the blocks for each evaluation of the loss.

        Parameters
        ----------
        data : TrainingData
            Images to learn from.
        validation : TrainingData or None
            Images that choose the strength, where `select` is "val".
        progress : callable (evaluations, `max_iter`, loss) or None
            Called after each pass.
        checkpoint : Path or None
            Not used: a fit that was stopped begins anew.
        """
        self.n_features_in_ = data.n_features
        self.classes_ = np.arange(len(data.classes))
        if self.select == "val" and validation is None:
            raise TedmError("select='val' needs validation images to choose by; give some, or take 'cv'")
        held_out = Source.from_training_data(validation) if validation is not None and self.select == "val" else None
        return self._solve(Source.from_training_data(data), held_out, data.n_features, progress)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of shape (rows, classes)."""
        self._require_fitted()
        X = self._rows_to_predict(X, self.dtype)
        return self._probabilities(ArrayDesign(X))

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float64]:
        """Return probabilities for a block's rows: shape (1, rows, classes)."""
        self._require_fitted()
        return self._probabilities(BlockDesign(block, rows, self.dtype))[None]

    def report(self) -> FitReport:
        """Tell what came of the fit: the strength and how it was chosen, the objective."""
        details: dict[str, JsonValue] = {"objective": self.objective_, "ridge": self.ridge_}
        if self.chosen_by_:
            details |= {"ridge_chosen_by": self.chosen_by_, "ridge_path": self.path_}
        return FitReport(iterations=self.n_iter_, converged=self.converged_, details=details)

    def remarks(self) -> list[str]:
        """Tell that the solver did not converge, and how the strength was chosen."""
        remarks = []
        if not self.converged_:
            stopped = f"the solver stopped after {self.n_iter_} iterations before it had converged"
            remarks.append(f"{stopped}; raise --iterations")
        if self.chosen_by_:
            remarks.append(f"ridge {self.ridge_:g}, chosen by {self.chosen_by_}")
        return remarks

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one."""
        ridge = self.ridge if isinstance(self.ridge, (int, float, str)) else list(self.ridge)
        return {**super().constructor(), "ridge": ridge}

    def save(self, folder: Path) -> None:
        """Write the weights."""
        write_weights(folder / WEIGHTS, {"coef": self.coef_, "intercept": self.intercept_})

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        if self.dtype not in DTYPES:
            raise ValueError(f"its dtype is {self.dtype!r}")
        outputs = 1 if classes == 2 and length_of(folder / WEIGHTS, "intercept") == 1 else classes  # one stands for two classes
        arrays = read_weights(folder / WEIGHTS, {"coef": (outputs, features), "intercept": (outputs,)})
        require_finite(arrays, where=WEIGHTS)
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        self.classes_, self.n_features_in_ = np.arange(classes), features

    def _probabilities(self, design: Design) -> NDArray[np.float64]:
        return class_probabilities(design.matmat(self.coef_.T).astype(np.float64) + self.intercept_)

    # -- solving -----------------------------------------------------------------------------------------------------

    def _solve(self, source: Source, held_out: Source | None, n_features: int, progress: Progress | None = None) -> Self:
        if self.dtype not in DTYPES:
            raise TedmError(f"dtype is {self.dtype!r}; it must be float32 or float64")
        from tedm.heads.linear.solver import Solver, solve  # with torch, which prediction does without

        solver = Solver(self.classes_, n_features, self.class_weight, self.standardize, self.max_iter, self.tol, self.dtype)
        (solution,) = solve(source, [self._job(source, held_out)], solver, held_out=held_out, progress=progress)
        self.coef_, self.intercept_ = solution.coef, solution.intercept
        self.ridge_, self.path_, self.chosen_by_ = solution.ridge, solution.path, solution.chosen_by
        self.n_iter_, self.objective_, self.converged_ = solution.n_iter, solution.objective, solution.converged
        return self

    def require_settings(self) -> None:
        """Refuse penalties that there are not."""
        self._strengths()

    def _strengths(self) -> list[float]:
        """Return the penalties to try."""
        if isinstance(self.ridge, str) and self.ridge != "auto":
            raise TedmError(f"ridge is {self.ridge!r}; it must be a number, several, or auto")
        if self.select not in ("cv", "val"):
            raise TedmError(f"a strength cannot be chosen on {self.select!r}; choose cv or val")
        asked = [self.ridge] if isinstance(self.ridge, (int, float)) else PATH if self.ridge == "auto" else self.ridge
        strengths = [float(strength) for strength in asked]
        require_strengths(strengths, self.ridge)
        return strengths

    def _job(self, source: Source, held_out: Source | None) -> Job:
        """Make the job of all images and the strengths to try."""
        strengths = self._strengths()
        images = list(source.counts)
        if len(strengths) > 1 and held_out is not None:
            return Job(tuple(images), tuple(strengths), (), f"the loss on {len(held_out.counts)} validation images")
        return Job.cross_validated(source, images, strengths)


def class_probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of shape (rows, classes) from logits of shape (rows, outputs): one output stands for two classes."""
    from scipy.special import expit, log_softmax

    if logits.shape[1] == 1:
        positive = expit(logits[:, 0])
        return np.stack([1 - positive, positive], axis=1)
    return np.asarray(np.exp(log_softmax(logits, axis=1)))
