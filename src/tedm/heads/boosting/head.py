"""Gradient-boosted trees with XGBoost, from a cache on disk.

On one machine rows become pages of bins in a temporary folder (`external_memory`), and training reads those; on a cluster each
worker makes the rows of some of the images, and XGBoost's own Dask interface trains on them (`cluster`).
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import xgboost
from numpy.typing import NDArray

from tedm.allocator import give_back
from tedm.errors import TedmError
from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport, Progress
from tedm.heads.base.predictor import opinions_in_parts
from tedm.heads.base.settings import require_rate
from tedm.heads.boosting.cluster import train_on_cluster
from tedm.heads.boosting.external_memory import Pages, plan_pages, positions_of, require_disk, some_rows
from tedm.heads.boosting.importance import feature_importance
from tedm.heads.boosting.model import read_trees
from tedm.heads.boosting.xgboost_calls import interruptible, speaking
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import ClassWeight, class_weights
from tedm.jsons import JsonValue
from tedm.store import Block

MODEL = "model.ubj"


class XGBoostHead(Classifier):
    """Gradient-boosted trees: one a round for two classes, else one a round and class.

    Parameters
    ----------
    rounds : int
        Boosting rounds, at least 1.
    max_depth : int
        Splits from a tree's root to a leaf, 1 to 16.
    learning_rate : float
        How much of each tree counts.
    max_bin : int
        Bins of each feature, 2 to 256 (a byte).
    subsample, colsample_bytree : float
        Part of the rows and of the features that each tree sees, above 0.
    reg_lambda : float
        Ridge strength on the leaves.
    min_child_weight : float
        Least sum of second derivatives in a leaf.
    class_weight : {"balanced"}, mapping of label to weight, or None
        See `tedm.heads.data.sampling.class_weights`.
    patience : int or None
        Needs validation images: stop when that many rounds bring no better loss on them, and keep the best number of rounds.
        None never stops early.
    seed : int
        Of the rows that decide the bins, and of `subsample` and `colsample_bytree`.
    device : {"cpu", "cuda"}
        Where to train. Prediction is the processor's: a GPU's last bits differ.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    booster_ : xgboost.Booster
        Of the classes that rows show.
    n_iter_ : int
        Rounds that were kept.
    loss_curve_, validation_curve_ : list of float
        Cross-entropy after each round; the second is empty without validation images.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={
            "iterations": "rounds",
            "learning_rate": "learning_rate",
            "patience": "patience",
            "class_weight": "class_weight",
        },
        takes_rows=True,
        takes_seed=True,
        takes_device=True,
    )

    def __init__(
        self,
        rounds: int = 100,
        *,
        max_depth: int = 6,
        learning_rate: float = 0.3,
        max_bin: int = 256,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_lambda: float = 1.0,
        min_child_weight: float = 1.0,
        class_weight: ClassWeight = None,
        patience: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.rounds = rounds
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_bin = max_bin
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.min_child_weight = min_child_weight
        self.class_weight = class_weight
        self.patience = patience
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, indices = self._checked_rows(X, y, "float32")
        self._check(None)
        weights = class_weights(self.class_weight, list(self.classes_), np.bincount(indices))
        threads = torch.get_num_threads()
        self._about: dict[str, JsonValue] = {"rows": len(X), "threads": threads}
        present = np.arange(len(self.classes_))
        settings = self._settings(len(present), threads)

        def train() -> tuple[xgboost.Booster, Mapping[str, Any]]:
            about_rows = {"label": indices, "weight": weights[indices]}
            matrix = xgboost.QuantileDMatrix(X, **about_rows, max_bin=self.max_bin, nthread=threads)
            return self._boost(settings, matrix, None, None, None)

        return self._keep(*speaking(train), present)

    def needs_validation(self) -> bool:
        """Tell whether validation images decide when to stop."""
        return self.patience is not None

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on features: out of core, or on the workers of a cluster.

        Parameters
        ----------
        data : TrainingData
            Images to learn from; read three times, their rows once as bytes in a temporary folder (`TMPDIR` says where).
        validation : TrainingData or None
            Images that decide when to stop; used if `patience` is set.
        progress : callable (round, rounds, loss) or None
            Called after each round; on a cluster once, at the end.
        checkpoint : Path or None
            Not used: a fit that was stopped begins anew.

        Raises
        ------
        TedmError
            If the memory budget or the disk is too small; the message names what would do.
        """
        self.n_features_in_ = data.n_features
        self.classes_ = np.arange(len(data.classes))
        self._check(validation)
        validation = validation if self.patience is not None else None
        counts = data.class_counts()
        present = np.flatnonzero(counts)
        weights = class_weights(self.class_weight, self.classes_.tolist(), counts * data.rows_per_pixel)
        self._about = {"rows": data.n_rows}
        cluster = data.workers.cluster
        if cluster is not None:
            settings = self._settings(len(present), None)
            self._keep(
                *train_on_cluster(settings, self.rounds, self.patience, cluster, data, validation, present, weights), present
            )
            self._about["workers"] = cluster.size
            if progress is not None:
                progress(self.n_iter_, self.rounds, self.loss_curve_[-1])
        else:
            self._keep(*self._out_of_core(data, validation, present, weights, progress), present)
        importance = feature_importance(self, data.features.settings, data.rows, data.timesteps)
        self._about["feature_importance"] = importance
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Return probabilities of shape (rows, classes)."""
        self._require_fitted()
        X = self._rows_to_predict(X, "float32")
        return self._probabilities(X)

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Return probabilities for a block's rows: shape (1, rows, classes). The rows exist some pixels at a time."""
        self._require_fitted()
        return opinions_in_parts(block, rows, len(self.classes_), self._probabilities)

    def report(self) -> FitReport:
        """Tell what came of the fit: rounds, losses, rows, the cache on disk, importance by timestep and level."""
        return FitReport(
            iterations=self.n_iter_,
            loss_curve=tuple(self.loss_curve_),
            validation_curve=tuple(self.validation_curve_),
            details={"device": self.device, **self._about},
        )

    def save(self, folder: Path) -> None:
        """Write the trees, in XGBoost's own format."""
        self.booster_.save_model(folder / MODEL)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the trees."""
        trees = read_trees(folder / MODEL, features=features, classes=classes)
        self.classes_, self.n_features_in_ = np.arange(classes), features
        self.booster_, self._present = trees.booster, trees.present
        self.n_iter_ = self.booster_.num_boosted_rounds()

    def _probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities of all classes: those that no row showed get zero."""
        shown = self.booster_.inplace_predict(rows)
        if shown.ndim == 1:
            shown = np.stack([1 - shown, shown], axis=1)
        everything = np.zeros((len(rows), len(self.classes_)), np.float32)
        everything[:, self._present] = shown
        return everything

    # -- training ----------------------------------------------------------------------------------------------------

    def require_settings(self) -> None:
        """Refuse numbers out of their range."""
        whole = {"rounds": (1, None), "max_depth": (1, 16), "max_bin": (2, 256)}
        for what, (least, most) in whole.items():
            value = getattr(self, what)
            if value < least or (most is not None and value > most):
                raise TedmError(f"{what} is {value}; it must be at least {least}" + (f" and at most {most}" if most else ""))
        for what in ("subsample", "colsample_bytree"):
            if not 0 < getattr(self, what) <= 1:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be above 0 and at most 1")
        require_rate(self.learning_rate)
        for what in ("reg_lambda", "min_child_weight"):
            if not getattr(self, what) >= 0:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be 0 or more")

    def _check(self, validation: TrainingData | None) -> None:
        self.require_settings()
        if self.patience is not None and validation is None:
            raise TedmError("patience needs validation images to stop by; give some, or leave patience out")

    def _settings(self, classes: int, threads: int | None) -> dict[str, object]:
        """Return XGBoost's parameters; `threads` of None leaves them to Dask."""
        several: dict[str, object] = {"objective": "multi:softprob", "num_class": classes, "eval_metric": "mlogloss"}
        return {
            **(several if classes > 2 else {"objective": "binary:logistic", "eval_metric": "logloss"}),
            **({} if threads is None else {"nthread": threads}),
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "max_bin": self.max_bin,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "reg_lambda": self.reg_lambda,
            "min_child_weight": self.min_child_weight,
            "seed": self.seed,
            "device": self.device,
            "verbosity": 0,
        }

    def _boost(
        self,
        settings: Mapping[str, object],
        matrix: xgboost.DMatrix,
        held_out: xgboost.DMatrix | None,
        progress: Progress | None,
        stop: threading.Event | None,
    ) -> tuple[xgboost.Booster, Mapping[str, Any]]:
        """Train; return the booster and its loss curves."""
        curves: dict[str, Any] = {}
        booster = xgboost.train(
            dict(settings),
            matrix,
            self.rounds,
            evals=[(matrix, "train")] + ([(held_out, "validation")] if held_out is not None else []),
            evals_result=curves,
            early_stopping_rounds=self.patience,
            verbose_eval=False,
            callbacks=[_Report(self.rounds, progress, stop)],
        )
        return booster, curves

    def _keep(self, booster: xgboost.Booster, curves: Mapping[str, Any], present: NDArray[np.intp]) -> Self:
        """Take over what was trained, up to the best round."""
        curve = {name: [float(loss) for losses in of.values() for loss in losses] for name, of in curves.items()}
        self.loss_curve_, self.validation_curve_ = curve["train"], curve.get("validation", [])
        self.n_iter_ = booster.num_boosted_rounds()
        if self.patience is not None:
            self.n_iter_ = booster.best_iteration + 1
            booster = booster[: self.n_iter_]
        booster.set_param({"device": "cpu"})
        booster.set_attr(classes=",".join(map(str, present)))
        self.booster_, self._present = booster, present
        return self

    def _out_of_core(
        self,
        data: TrainingData,
        validation: TrainingData | None,
        present: NDArray[np.intp],
        weights: NDArray[np.float64],
        progress: Progress | None,
    ) -> tuple[xgboost.Booster, Mapping[str, Any]]:
        plan = plan_pages(data, validation, classes=len(present), bins=self.max_bin, depth=self.max_depth)
        folder = Path(tempfile.mkdtemp(prefix="tedm-xgboost-"))
        stop = threading.Event()
        # Bins that a GPU works on must be in memory: it takes none from pages that were made of NumPy's arrays.
        kind = xgboost.ExtMemQuantileDMatrix if self.device == "cpu" else xgboost.QuantileDMatrix

        def binned(of: TrainingData, name: str, cuts: xgboost.DMatrix) -> xgboost.DMatrix:
            cache = str(folder / name) if self.device == "cpu" else None
            pages = Pages(of, positions_of(present), weights, plan, cache, stop)
            return kind(pages, ref=cuts, max_bin=self.max_bin, nthread=plan.threads)

        def train() -> tuple[xgboost.Booster, Mapping[str, Any]]:
            some = some_rows(data, plan.cut_rows, self.seed, stop)
            cuts = xgboost.QuantileDMatrix(some, max_bin=self.max_bin, nthread=plan.threads)
            del some
            give_back()
            matrix = binned(data, "train", cuts)
            held_out = binned(validation, "validation", matrix) if validation is not None else None
            del cuts
            give_back()
            self._about |= {
                "threads": plan.threads,
                "cut_rows": plan.cut_rows,
                "page_rows": plan.page_rows,
                "cache_folder": str(folder.parent),
                "cache_bytes": sum(file.stat().st_size for file in folder.iterdir()),
            }
            settings = self._settings(len(present), plan.threads)
            return self._boost(settings | {"max_cached_hist_node": plan.nodes}, matrix, held_out, progress, stop)

        def give_up() -> None:
            stop.set()
            shutil.rmtree(
                folder, ignore_errors=True
            )  # the next page that XGBoost asks for is not there: it need not end a round

        try:
            if self.device == "cpu":
                require_disk(folder, plan.disk_bytes)
            return interruptible(lambda: speaking(train), give_up)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Report(xgboost.callback.TrainingCallback):
    """Tell the caller of each round, and XGBoost when to stop."""

    def __init__(self, rounds: int, progress: Progress | None, stop: threading.Event | None) -> None:
        self._rounds, self._progress, self._stop = rounds, progress, stop

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report a round; return whether to stop."""
        if self._progress is not None:
            (losses,) = evals_log["train"].values()
            self._progress(epoch + 1, self._rounds, losses[-1])
        return self._stop is not None and self._stop.is_set()
