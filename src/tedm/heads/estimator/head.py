"""Any scikit-learn classifier as a head.

An estimator that learns in parts (`partial_fit`) sees all rows, a part of an image at a time. Any other wants its rows at once:
it gets the largest sample of pixels that the memory budget allows, every class of every image among them. What an estimator
takes besides its rows is not known in general; it was measured for those that people use, and is guessed high for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.errors import TedmError
from tedm.heads.base.head import Capabilities, FitReport, Progress
from tedm.heads.base.predictor import PART_BYTES, opinions_in_parts
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import ClassWeight, class_weights
from tedm.heads.estimator.described import described
from tedm.heads.estimator.groups import groups_of_rows, remark_on_folds, require_search
from tedm.heads.estimator.lookup import (
    built,
    name_of,
    named_classifier,
    one_line,
    require_classifier,
    require_known,
    require_valid,
)
from tedm.heads.estimator.memory import Need
from tedm.heads.estimator.persistence import read_estimator, require_kept, write_estimator
from tedm.heads.estimator.subsample import sample_sizes, sampled_rows
from tedm.heads.runtime.memory import SLACK
from tedm.jsons import JsonObject, JsonValue
from tedm.store import IGNORE, Block

FILE = "estimator.skops"
FROM_OBJECT = "an object: "

# Where scikit-learn computes in parts of its own (distances, say), their size in MiB; its own default is 1024.
WORKING_MEMORY = 64


def _has(method: str) -> Callable[[Any], bool]:
    def check(head: Any) -> bool:
        try:
            return hasattr(head.estimator_ if hasattr(head, "estimator_") else head.unfitted(), method)
        except TedmError:  # what is wrong with the estimator is said when it is fitted
            return False

    return check


class EstimatorHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier, by name or as an object.

    Parameters
    ----------
    estimator : str or classifier
        `ensemble.RandomForestClassifier`, with or without `sklearn.` before it; or an unfitted classifier of any package (only
        scikit-learn's can be saved).
    parameters : mapping or None
        JSON values for its constructor; `{"class": "preprocessing.StandardScaler", "params": {...}}` stands for an estimator.
    epochs : int
        Passes over the data where they are streamed.
    class_weight : {"balanced"}, mapping or None
        Handed on as weights of the rows.
    seed : int
        Of the order and the sample, and of every `random_state` that is not set.

    Attributes
    ----------
    estimator_ : classifier
        Fitted.
    classes_ : array of shape (classes,)
        Labels, sorted. After `fit_blocks`: class indices, with those that no pixel shows.
    rows_seen_, rows_there_ : int
        Rows that were learnt from, and labelled rows that there are; after `fit_blocks`.
    fitted_ : {"streamed", "all", "sampled"}
        Part by part, at once, or a sample of them at once; after `fit_blocks`.

    Notes
    -----
    A classifier without `predict_proba` (LinearSVC, say) votes with 0 and 1, and `report` says so; wrapped in
    `calibration.CalibratedClassifierCV` it has probabilities.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={"iterations": "epochs", "class_weight": "class_weight"},
        takes_rows=True,
        takes_seed=True,
        named_by="estimator",
        parameters="parameters",
    )

    def __init__(
        self,
        estimator: Any = "ensemble.RandomForestClassifier",
        parameters: Mapping[str, Any] | None = None,
        *,
        epochs: int = 1,
        class_weight: ClassWeight = None,
        seed: int = 0,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self.epochs = epochs
        self.class_weight = class_weight
        self.seed = seed

    @staticmethod
    def named(classifier: object) -> tuple[str, JsonObject]:
        """Return a classifier as the name of a head and its parameters; see `tedm.heads.estimator.described`."""
        return described(classifier)

    def unfitted(self) -> Any:
        """Return a new estimator as it will be fitted; a `TedmError` if what was asked for does not exist or make sense."""
        parameters = self.parameters or {}
        if isinstance(self.estimator, str):
            made = named_classifier(self.estimator, parameters)
        else:
            require_classifier(self.estimator)
            require_known(self.estimator, parameters)
            made = clone(self.estimator).set_params(**{name: built(value) for name, value in parameters.items()})
            require_valid(made)
        unset = [name for name, value in made.get_params().items() if name.endswith("random_state") and value is None]
        return made.set_params(**dict.fromkeys(unset, self.seed))

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, y = validate_data(self, X, y, ensure_all_finite=self._finite())
        check_classification_targets(y)
        made = self.unfitted()
        labels, indices = np.unique(y, return_inverse=True)
        weights = class_weights(self.class_weight, labels.tolist(), np.bincount(indices))
        made.fit(X, y, **self._weighted(made, "fit", weights, indices))
        self.estimator_, self.classes_ = made, made.classes_
        return self

    def require_settings(self) -> None:
        """Refuse an estimator that there is not, or that cannot be kept, and parameters that it does not take."""
        made = self.unfitted()
        if not self.epochs >= 1:
            raise TedmError(f"epochs is {self.epochs}; it must be at least 1")
        require_search(made)
        if isinstance(self.estimator, str):
            require_kept(made)

    def needs_validation(self) -> bool:
        """Tell that no images of the val split decide anything."""
        return False

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on features, out of core; a fit that was stopped begins anew.

        Raises
        ------
        TedmError
            If the estimator does not exist, refuses its parameters or the rows, takes no weights although there are some, or
            the budget does not hold the smallest sample.
        """
        self.require_settings()
        made = self.unfitted()
        streamed = hasattr(made, "partial_fit")
        self._weighted(made, "partial_fit" if streamed else "fit", self._weights(data.class_counts()), np.empty(0, int))
        self.rows_there_ = data.n_rows
        try:
            with config_context(working_memory=WORKING_MEMORY):
                if streamed:
                    self._stream(made, data, progress)
                else:
                    self._fit_sample(made, data)
        except TedmError:
            raise
        except ValueError as error:
            raise TedmError(f"{name_of(made)} cannot be fitted on these rows: {one_line(error)}") from error
        self.estimator_ = made
        self.n_features_in_ = data.n_features
        self.classes_ = np.arange(len(data.classes))
        return self

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Return probabilities of shape (rows, classes)."""
        X = self._checked(X)
        return self._all_classes(self.estimator_.predict_proba(X))

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Return the estimator's own scores."""
        X = self._checked(X)
        scores: NDArray[np.floating] = self.estimator_.decision_function(X)
        return scores

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label of each row."""
        X = self._checked(X)
        labels: NDArray[Any] = self.estimator_.predict(X)
        return labels

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Return probabilities, or votes of 0 and 1, for a block's rows: shape (1, rows, classes)."""
        check_is_fitted(self)
        with config_context(working_memory=WORKING_MEMORY):
            return opinions_in_parts(block, rows, len(self.classes_), self._probabilities)

    def report(self) -> FitReport:
        """Tell what came of the fit: the estimator, and the rows that it has seen."""
        check_is_fitted(self)
        return FitReport(
            details={
                "estimator": name_of(self.estimator_),
                "fitted": self.fitted_,
                "rows_seen": self.rows_seen_,
                "rows_there": self.rows_there_,
                "opinions": "probabilities" if hasattr(self.estimator_, "predict_proba") else "votes",
            }
        )

    def remarks(self) -> list[str]:
        """Tell that not all rows were learned from, and that folds of a search share patients."""
        rows = f"{self.rows_seen_} of {self.rows_there_} rows"
        sampled = [f"fitted on {rows}, the largest sample that the budget allows"] if self.fitted_ == "sampled" else []
        return [*sampled, *remark_on_folds(self.estimator_)]

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one; what a JSON value cannot say, `restore` fills in."""
        from_object = not isinstance(self.estimator, str)
        return {
            "estimator": FROM_OBJECT + name_of(self.estimator) if from_object else self.estimator,
            "parameters": None if from_object or self.parameters is None else dict(self.parameters),
            "epochs": self.epochs,
            "class_weight": dict(self.class_weight) if isinstance(self.class_weight, Mapping) else self.class_weight,
            "seed": self.seed,
        }

    def save(self, folder: Path) -> None:
        """Write the estimator; a `TedmError` if it is of a kind that could not be read again."""
        check_is_fitted(self)
        write_estimator(self.estimator_, folder / FILE)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the estimator; a `TedmError` that names what is not trusted in the file."""
        estimator = read_estimator(folder / FILE)
        require_classifier(estimator)
        known = np.asarray(estimator.classes_)
        inside = known.ndim == 1 and known.dtype.kind in "iu" and np.isin(known, np.arange(classes)).all()
        if estimator.n_features_in_ != features or not inside or len(np.unique(known)) < max(len(known), 1):
            raise ValueError(f"{FILE} is of other features or classes than head.json")
        named = str(self.estimator).removeprefix(FROM_OBJECT).rpartition(".")[2]
        if named != type(estimator).__name__:
            raise ValueError(f"{FILE} is a {type(estimator).__name__}, head.json says {named[:100]}")
        self.estimator_ = estimator
        self.classes_, self.n_features_in_ = np.arange(classes), features
        if isinstance(self.estimator, str) and self.estimator.startswith(FROM_OBJECT):
            self.estimator = clone(estimator)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._finite() == "allow-nan"
        return tags

    def _finite(self) -> bool | str:
        """Tell whether missing values are refused here, or left to the estimator."""
        try:
            return "allow-nan" if get_tags(self.unfitted()).input_tags.allow_nan else True
        except TedmError:
            return True

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, reset=False, ensure_all_finite=self._finite())

    def _probabilities(self, X: NDArray[np.float32]) -> NDArray[np.floating]:
        try:
            if not hasattr(self.estimator_, "predict_proba"):
                votes: NDArray[np.floating] = (self.estimator_.predict(X)[:, None] == self.classes_).astype(np.float64)
                return votes
            given = np.asarray(self.estimator_.predict_proba(X))
        except Exception as error:  # an estimator of others, perhaps from a file of others
            raise TedmError(f"{name_of(self.estimator_)} cannot predict from these rows: {one_line(error)}") from error
        if given.shape != (len(X), len(self.estimator_.classes_)):
            raise TedmError(f"{name_of(self.estimator_)} gives probabilities of another shape than rows and classes")
        return self._all_classes(given)

    def _all_classes(self, probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return probabilities with zeros for the classes that no row showed."""
        if probabilities.shape[1] == len(self.classes_):
            return probabilities
        full = np.zeros((len(probabilities), len(self.classes_)), probabilities.dtype)
        full[:, self.estimator_.classes_] = probabilities
        return full

    def _weights(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return class_weights(self.class_weight, range(len(counts)), counts)

    def _weighted(
        self, made: Any, method: str, weights: NDArray[np.float64], labels: NDArray[np.integer]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the argument that carries the rows' weights, if there are any."""
        if self.class_weight is None:
            return {}
        name, last = "sample_weight", made
        while isinstance(last, Pipeline):  # hands arguments on by the names of its steps, and an inner one's likewise
            step, last = last.steps[-1]
            name = f"{step}__{name}"
        if "sample_weight" not in signature(getattr(last, method)).parameters:
            own = "class_weight" in last.get_params()
            raise TedmError(
                f"class weights are handed on as weights of rows, and {name_of(last)} takes none; "
                + ("set its own parameter class_weight" if own else "leave them out, or draw pixels with --sampling balanced")
            )
        return {name: weights[labels]}

    def _stream(self, made: Any, data: TrainingData, progress: Progress | None) -> None:
        """Learn from all rows, a part of an image at a time: images in a new order at each pass, rows of a part shuffled."""
        need = Need.to_fit(made, data)
        reading = data.block_bytes + data.reading_bytes
        part = min(PART_BYTES, int(max(data.budget.left() / SLACK - reading, 0) / (need.factor + 1)))
        least = data.rows_per_pixel * data.n_features * 4
        data.budget.require(reading + int(least * (need.factor + 1)), "an image and one pixel's rows")
        counts = data.class_counts()
        present, weights = np.flatnonzero(counts), self._weights(counts)
        rng = np.random.default_rng(self.seed)
        self.fitted_, self.rows_seen_ = "streamed", 0
        for _ in range(self.epochs):
            names = [data.names[at] for at in rng.permutation(len(data.names))]
            for _, rows, labels in data.row_chunks(names, part, working=int(part * (need.factor + 1))):
                order = rng.permutation(len(rows))
                classes = labels[order].astype(np.intp)
                made.partial_fit(rows[order], classes, classes=present, **self._weighted(made, "partial_fit", weights, classes))
                self.rows_seen_ += len(rows)
                if progress is not None:
                    progress(self.rows_seen_, self.epochs * self.rows_there_, float("nan"))

    def _fit_sample(self, made: Any, data: TrainingData) -> None:
        """Learn from all rows if they fit; otherwise from pixels of every class of every image, as many as fit."""
        need = Need.to_fit(made, data)
        strata = sum(len(np.unique(mask[mask != IGNORE])) for mask in (data.masks[name] for name in data.names))
        part = min(PART_BYTES, max(data.budget.left() // 20, 1))
        fixed = data.block_bytes + data.reading_bytes + 2 * part
        data.budget.require(
            fixed + need.bytes_for(strata * data.rows_per_pixel),
            f"{name_of(made)} on one pixel of each class of each image",
            "choose an estimator with partial_fit, linear_model.SGDClassifier say",
        )
        pixels = need.most_rows(int(data.budget.left() / SLACK) - fixed) // data.rows_per_pixel
        quotas = sample_sizes(data, pixels)
        n_rows = sum(sum(quotas[name].values()) for name in data.names) * data.rows_per_pixel
        rows, labels, at = np.empty((n_rows, data.n_features), np.float32), np.empty(n_rows, np.intp), 0
        for some, theirs in data.workers.over(sampled_rows, data, data.names, quotas, self.seed, part):
            rows[at : at + len(some)], labels[at : at + len(some)] = some, theirs
            at += len(some)
        self.rows_seen_, self.fitted_ = n_rows, "all" if n_rows == self.rows_there_ else "sampled"
        weights = self._weights(np.bincount(labels, minlength=len(data.classes)))
        sizes = {name: sum(quotas[name].values()) * data.rows_per_pixel for name in data.names}
        groups = groups_of_rows(made, data.features.labels, sizes)
        made.fit(rows, labels, **self._weighted(made, "fit", weights, labels), **groups)
