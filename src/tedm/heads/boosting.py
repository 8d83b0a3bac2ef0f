"""Gradient-boosted trees with XGBoost, from a cache on disk.

Trees need rows, which do not fit in memory. XGBoost's histogram method needs them as bin numbers only: each pass over the store
becomes pages of bytes in a temporary folder, and training reads those. Where the bins lie is decided first, from random rows of
all images. What all this takes follows from shapes alone (`_Plan`), so that a budget is refused, or kept, before work starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
import xgboost
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.errors import TedmError
from tedm.heads.budget import SLACK, gigabytes
from tedm.heads.kinds import Progress
from tedm.heads.rows import RowLayout, rows_at
from tedm.heads.sampling import ClassWeight, class_weights
from tedm.heads.training import TrainingData
from tedm.heads.workers import Cluster, plain_cluster_errors
from tedm.store import IGNORE, Block, FeatureSettings

MODEL = "model.ubj"
# Rows that decide where bins lie, at most and at least: more move no cut by a bin's width, fewer leave bins empty.
CUT_ROWS = (2**14, 2**10)
# Rows of a page, at least: each page repeats the cuts.
LEAST_PAGE = 2**8
# Bytes of a page's rows as float32, at most.
LARGEST_PAGE = 2**27
# Bytes of the rows that are predicted at once.
PREDICTED_BYTES = 2**25
# Gathering rows holds their levels, these side by side, and for bilinear upsampling the corners of a level.
GATHERED = 4
# What XGBoost takes whatever the shapes.
XGBOOST_BYTES = 2**25

# How often training on a cluster starts when workers are lost.
ATTEMPTS = 3

T = TypeVar("T")


class XGBoostHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
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
        See `tedm.heads.sampling.class_weights`.
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
        X, y = validate_data(self, X, y, dtype="float32")
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"XGBoostHead needs samples of at least 2 classes, got one class: {self.classes_[0]!r}")
        self._check(None)
        weights = class_weights(self.class_weight, list(self.classes_), np.bincount(indices))
        threads = torch.get_num_threads()
        self._about: dict[str, Any] = {"rows": len(X), "threads": threads}
        present = np.arange(len(self.classes_))
        settings = self._settings(len(present), threads)

        def train() -> tuple[xgboost.Booster, dict[str, Any]]:
            of_rows = {"label": indices, "weight": weights[indices]}
            matrix = xgboost.QuantileDMatrix(X, **of_rows, max_bin=self.max_bin, nthread=threads)
            return self._boost(settings, matrix, None, None, None)

        return self._keep(*_speaking(train), present)

    def fit_blocks(self, data: TrainingData, validation: TrainingData | None = None, progress: Progress | None = None) -> Self:
        """Fit on features: out of core, or on the workers of a cluster.

        Parameters
        ----------
        data : TrainingData
            Images to learn from; read three times, their rows once as bytes in a temporary folder (`TMPDIR` says where).
        validation : TrainingData or None
            Images that decide when to stop; used if `patience` is set.
        progress : callable (round, rounds, loss) or None
            Called after each round; on a cluster once, at the end.

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
        self._about = {"rows": _rows(data)}
        if isinstance(data.workers, Cluster):
            self._keep(*self._on_cluster(data.workers, data, validation, present, weights), present)
            if progress is not None:
                progress(self.n_iter_, self.rounds, self.loss_curve_[-1])
        else:
            self._keep(*self._out_of_core(data, validation, present, weights, progress), present)
        self._about["feature_importance"] = feature_importance(self, data.features.settings, data.rows, data.timesteps)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probabilities of shape (rows, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float32", reset=False)
        return self._probabilities(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float32]:
        """Probabilities for a block's rows: shape (1, rows, classes). The rows exist some pixels at a time."""
        check_is_fitted(self)
        voters = block.draws * (len(block.timesteps) if rows == "share" else 1)
        at_once = max(1, PREDICTED_BYTES // (voters * self.n_features_in_ * 4))
        # Voter by voter, as the rows of `dense_rows` are; a pixel's rows come as neighbours.
        opinions = np.empty((voters, block.size**2, len(self.classes_)), np.float32)
        for start in range(0, block.size**2, at_once):
            pixels = np.arange(start, min(start + at_once, block.size**2))
            own = self._probabilities(rows_at(block, pixels, rows)).reshape(len(pixels), voters, -1)
            opinions[:, pixels] = own.transpose(1, 0, 2)
        return opinions.reshape(1, voters * block.size**2, -1)

    def account(self) -> dict[str, Any]:
        """What came of the fit: rounds, losses, rows, the cache on disk, importance by timestep and level."""
        return {
            "iterations": self.n_iter_,
            "loss_curve": self.loss_curve_,
            "validation_curve": self.validation_curve_,
            "device": self.device,
            **self._about,
        }

    def constructor(self) -> dict[str, Any]:
        """Arguments that make an unfitted head like this one; where it was trained is not what it is."""
        return {name: value for name, value in self.get_params().items() if name != "device"}

    def save(self, folder: Path) -> None:
        """Write the trees, in XGBoost's own format."""
        self.booster_.save_model(folder / MODEL)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the trees."""
        self.classes_, self.n_features_in_ = np.arange(classes), features
        self.booster_ = xgboost.Booster({"verbosity": 0}, model_file=folder / MODEL)
        shown = self.booster_.attr("classes")
        if shown is None or self.booster_.num_features() != features:
            raise ValueError(f"{MODEL} is not of this head")
        self._present = np.array([int(index) for index in shown.split(",")])
        self.n_iter_ = self.booster_.num_boosted_rounds()

    def _probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of all classes: those that no row showed get zero."""
        found = self.booster_.inplace_predict(rows)
        if found.ndim == 1:
            found = np.stack([1 - found, found], axis=1)
        everything = np.zeros((len(rows), len(self.classes_)), np.float32)
        everything[:, self._present] = found
        return everything

    # -- training ----------------------------------------------------------------------------------------------------

    def _check(self, validation: TrainingData | None) -> None:
        whole = {"rounds": (1, None), "max_depth": (1, 16), "max_bin": (2, 256)}
        for what, (least, most) in whole.items():
            value = getattr(self, what)
            if value < least or (most is not None and value > most):
                raise TedmError(f"{what} is {value}; it must be at least {least}" + (f" and at most {most}" if most else ""))
        for what in ("subsample", "colsample_bytree"):
            if not 0 < getattr(self, what) <= 1:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be above 0 and at most 1")
        if not self.learning_rate > 0:
            raise TedmError(f"the learning rate is {self.learning_rate}; it must be above 0")
        for what in ("reg_lambda", "min_child_weight"):
            if not getattr(self, what) >= 0:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be 0 or more")
        if self.patience is not None and validation is None:
            raise TedmError("patience needs validation images to stop by; give some, or leave patience out")

    def _settings(self, classes: int, threads: int | None) -> dict[str, Any]:
        """XGBoost's parameters; `threads` of None leaves them to Dask."""
        several = {"objective": "multi:softprob", "num_class": classes, "eval_metric": "mlogloss"}
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
        settings: dict[str, Any],
        matrix: xgboost.DMatrix,
        held_out: xgboost.DMatrix | None,
        progress: Progress | None,
        stop: threading.Event | None,
    ) -> tuple[xgboost.Booster, dict[str, Any]]:
        """Train; returns the booster and its loss curves."""
        curves: dict[str, Any] = {}
        booster = xgboost.train(
            settings,
            matrix,
            self.rounds,
            evals=[(matrix, "train")] + ([(held_out, "validation")] if held_out is not None else []),
            evals_result=curves,
            early_stopping_rounds=self.patience,
            verbose_eval=False,
            callbacks=[_Report(self.rounds, progress, stop)],
        )
        return booster, curves

    def _keep(self, booster: xgboost.Booster, curves: dict[str, Any], present: NDArray[np.intp]) -> Self:
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
    ) -> tuple[xgboost.Booster, dict[str, Any]]:
        plan = _plan(data, validation, classes=len(present), bins=self.max_bin, depth=self.max_depth)
        folder = Path(tempfile.mkdtemp(prefix="tedm-xgboost-"))
        stop = threading.Event()
        # Bins that a GPU works on must be in memory: it takes none from pages that were made of NumPy's arrays.
        kind = xgboost.ExtMemQuantileDMatrix if self.device == "cpu" else xgboost.QuantileDMatrix

        def binned(of: TrainingData, name: str, cuts: xgboost.DMatrix) -> xgboost.DMatrix:
            cache = str(folder / name) if self.device == "cpu" else None
            pages = _Pages(of, _positions(present), weights, plan, cache, stop)
            return kind(pages, ref=cuts, max_bin=self.max_bin, nthread=plan.threads)

        def train() -> tuple[xgboost.Booster, dict[str, Any]]:
            some = _some_rows(data, plan.cut_rows, self.seed, stop)
            cuts = xgboost.QuantileDMatrix(some, max_bin=self.max_bin, nthread=plan.threads)
            del some
            _give_back()
            matrix = binned(data, "train", cuts)
            held_out = binned(validation, "validation", matrix) if validation is not None else None
            del cuts
            _give_back()
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
                _require_disk(folder, plan.disk_bytes)
            return _interruptible(lambda: _speaking(train), give_up)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _on_cluster(
        self,
        workers: Cluster,
        data: TrainingData,
        validation: TrainingData | None,
        present: NDArray[np.intp],
        weights: NDArray[np.float64],
    ) -> tuple[xgboost.Booster, dict[str, Any]]:
        """XGBoost's own Dask interface; each worker holds the bins of some of the images."""
        try:
            import xgboost.dask as cluster
        except ImportError as error:
            raise TedmError(
                f"XGBoost on a cluster needs Dask's data frames, which are not there ({error}); "
                "pip install 'dask[dataframe]', or leave the scheduler out"
            ) from error
        client = workers.client
        about = {"max_bin": self.max_bin}

        def train() -> tuple[xgboost.Booster, dict[str, Any]]:
            rows, labels, of_rows = _dask_rows(workers, data, present, weights)
            matrix = cluster.DaskQuantileDMatrix(client, rows, labels, weight=of_rows, **about)
            evals = [(matrix, "train")]
            if validation is not None:
                rows, labels, of_rows = _dask_rows(workers, validation, present, weights)
                held_out = cluster.DaskQuantileDMatrix(client, rows, labels, weight=of_rows, ref=matrix, **about)
                evals.append((held_out, "validation"))
            done = cluster.train(
                client,
                self._settings(len(present), None),
                matrix,
                self.rounds,
                evals=evals,
                early_stopping_rounds=self.patience,
                verbose_eval=False,
            )
            return done["booster"], done["history"]

        self._about["workers"] = len(client.scheduler_info(n_workers=-1)["workers"])
        with plain_cluster_errors():
            for _ in range(ATTEMPTS - 1):
                with contextlib.suppress(_WorkerLostError):
                    return _speaking(train)
            return _speaking(train)


def feature_importance(
    head: XGBoostHead, settings: FeatureSettings, rows: RowLayout, timesteps: Sequence[int]
) -> list[dict[str, Any]]:
    """How much the splits on each timestep's and level's features gained.

    Parameters
    ----------
    head : XGBoostHead
        Fitted on rows of that layout and those timesteps.
    settings : FeatureSettings
        Of the features.
    rows : {"share", "concatenate"}
    timesteps : sequence of int

    Returns
    -------
    list of {"timestep": int or None, "level": str, "gain": float}
        Shares of the total gain, which sum to one (zeros if no tree has a split); the timestep is None for shared rows, whose
        trees serve all alike.
    """
    check_is_fitted(head)
    gains = np.zeros(head.n_features_in_)
    for feature, gain in head.booster_.get_score(importance_type="total_gain").items():
        gains[int(feature[1:])] = gain
    gains /= max(gains.sum(), np.finfo(float).tiny)
    ends = np.cumsum([level.channels for level in settings.levels])
    found = []
    for number, timestep in enumerate(timesteps if rows == "concatenate" else [None]):
        own = gains[number * ends[-1] : (number + 1) * ends[-1]]
        for level, part in zip(settings.levels, np.split(own, ends[:-1]), strict=True):
            found.append({"timestep": timestep, "level": level.name, "gain": float(part.sum())})
    return found


@dataclass(frozen=True)
class _Plan:
    """What a fit out of core takes, from shapes alone; stages follow one another, so that the largest counts.

    Parameters
    ----------
    features, bins, outputs, rows : int
        Of the rows; outputs are columns of scores, rows those of training and validation.
    depth : int
        Of the trees.
    reading : int
        Bytes of two blocks and of what reading one takes.
    threads, cut_rows, page_rows, nodes : int
        What can be chosen; nodes are those whose histograms are kept.
    """

    features: int
    bins: int
    outputs: int
    rows: int
    depth: int
    reading: int
    threads: int
    cut_rows: int
    page_rows: int
    nodes: int

    @property
    def cutting(self) -> int:
        """Choosing the bins. XGBoost's sketches were measured at 40 bytes a value up to 2048 rows, 16 from there on."""
        sketched = 40 * min(self.cut_rows, 2048) + 16 * max(0, self.cut_rows - 2048)
        return self.reading + self.features * (self.cut_rows * 4 + sketched)

    @property
    def paging(self) -> int:
        """Making pages: the rows, those that are being gathered (a quarter), and their bins."""
        dense = self.page_rows * self.features * 4
        return self.reading + dense + GATHERED * dense // 4 + self._page + self.features * self.bins * 8 * self.threads

    @property
    def boosting(self) -> int:
        """Training: histograms of gradient and second derivative, pages that are used and fetched, what each row has."""
        # Where not all nodes are kept, no histogram is a difference of two others: all of the last nodes are summed.
        whole = self.nodes >= 2**self.depth - 1
        summed: int = 2 ** max(0, self.depth - (2 if whole else 1))
        histograms = self.features * self.bins * 16 * (self.nodes + (self.threads - 1) * summed)
        # The cuts are held twice besides, by the matrix and by what reads its pages.
        pages = (min(self.threads, 3) + 1) * self._page + 2 * self._cuts
        # What reading took is free by now, but not all of it goes back to the system.
        return histograms + pages + self.rows * (24 * self.outputs + 64) + XGBOOST_BYTES + self.reading

    @property
    def disk_bytes(self) -> int:
        """Of all pages."""
        pages = -(-self.rows // self.page_rows) + 1
        return int(self.rows * self.features * 2.25) + pages * self._cuts

    @property
    def bytes(self) -> int:
        """The most at a time."""
        return max(self.cutting, self.paging, self.boosting)

    @property
    def _page(self) -> int:
        """A page has its bins by row and by column, with bits for what is missing."""
        return int(self.page_rows * self.features * 2.25) + self._cuts

    @property
    def _cuts(self) -> int:
        return self.features * self.bins * 12


def _plan(data: TrainingData, validation: TrainingData | None, *, classes: int, bins: int, depth: int) -> _Plan:
    """The fastest plan that the budget holds; a `TedmError` if none does."""
    rows = _rows(data)
    # Blocks that stay in memory between passes are taken from what is left.
    kept = min(data.budget.keepable(), len(data) * data.block_bytes)
    least = _Plan(
        features=data.n_features,
        bins=bins,
        outputs=classes if classes > 2 else 1,
        rows=rows + (0 if validation is None else _rows(validation)),
        depth=depth,
        reading=data.block_bytes + data.reading_bytes,
        threads=1,
        cut_rows=min(rows, CUT_ROWS[1]),
        page_rows=max(LEAST_PAGE, GATHERED * data.rows_per_pixel),
        nodes=2 ** (depth - 1),
    )
    data.budget.require(
        least.bytes + kept,
        f"XGBoost ({gigabytes(least.boosting)} to train, with histograms of {data.n_features} features x {bins} bins, "
        f"{gigabytes(least.cutting)} to choose the bins)",
        "give --params a smaller max_bin or max_depth",
    )
    left = int(data.budget.left() / SLACK) - kept
    # A block that is read ahead, if there is room for it.
    plan = replace(least, reading=2 * data.block_bytes + data.reading_bytes)
    plan = plan if plan.bytes <= left else least
    for threads in range(torch.get_num_threads(), 0, -1):
        better = replace(plan, threads=threads, nodes=2**depth - 1)
        if better.bytes <= left:
            plan = better
            break
    # A half of what is left for each of these: the rest is what a computation stands on.
    plan = replace(plan, page_rows=_largest(plan, "page_rows", LARGEST_PAGE // (data.n_features * 4), left))
    return replace(plan, cut_rows=_largest(plan, "cut_rows", min(rows, CUT_ROWS[0]), left))


def _largest(plan: _Plan, what: str, most: int, left: int) -> int:
    """The most of something that memory holds, by halving."""
    least = value = int(getattr(plan, what))
    most = max(least, most)
    while most > least:
        if replace(plan, **{what: most}).bytes <= left:
            return most
        most = max(least, most // 2)
    return value


class _Pages(xgboost.DataIter):
    """Labelled rows as XGBoost asks for them: pass after pass, a page at a time."""

    def __init__(
        self,
        data: TrainingData,
        positions: NDArray[np.int64],
        weights: NDArray[np.float64],
        plan: _Plan,
        cache: str | None,
        stop: threading.Event,
    ) -> None:
        super().__init__(cache_prefix=cache)
        self._data, self._positions, self._weights, self._plan, self._stop = data, positions, weights, plan, stop
        self._pages = self._one_pass()

    def reset(self) -> None:
        """Start a pass."""
        self._pages.close()
        self._pages = self._one_pass()

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand over a page; whether there was one."""
        _go_on(self._stop)
        for rows, labels in self._pages:
            input_data(data=rows, label=self._positions[labels], weight=self._weights[labels])
            return True
        return False

    def _one_pass(self) -> Generator[tuple[NDArray[np.float32], NDArray[np.uint8]], None, None]:
        """Parts of images put together until a page is full: small pages cost time and disk."""
        size, features = self._plan.page_rows, self._data.n_features
        rows, labels, filled = np.empty((size, features), np.float32), np.empty(size, np.uint8), 0
        for _, some, own in self._data.row_chunks(self._data.names, size * features):
            while len(some):
                taken = min(len(some), size - filled)
                rows[filled : filled + taken], labels[filled : filled + taken] = some[:taken], own[:taken]
                some, own, filled = some[taken:], own[taken:], filled + taken
                if filled == size:
                    yield rows[:filled], labels[:filled]
                    filled = 0
            del some, own
        if filled:
            yield rows[:filled], labels[:filled]


class _Report(xgboost.callback.TrainingCallback):
    """Tells the caller of each round, and XGBoost when to stop."""

    def __init__(self, rounds: int, progress: Progress | None, stop: threading.Event | None) -> None:
        self._rounds, self._progress, self._stop = rounds, progress, stop

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """After each round; true stops."""
        if self._progress is not None:
            (losses,) = evals_log["train"].values()
            self._progress(epoch + 1, self._rounds, losses[-1])
        return self._stop is not None and self._stop.is_set()


def _rows(data: TrainingData) -> int:
    return sum(data.labelled_pixels(name) for name in data.names) * data.rows_per_pixel


def _positions(present: NDArray[np.intp]) -> NDArray[np.int64]:
    """Of class indices among the classes that are present; the others are no class."""
    positions = np.full(256, -1, np.int64)
    positions[present] = np.arange(len(present))
    return positions


def _some_rows(data: TrainingData, wanted: int, seed: int, stop: threading.Event) -> NDArray[np.float32]:
    """Random rows, from each image as many as its part of all."""
    total, seen, filled = _rows(data) // data.rows_per_pixel, 0, 0
    pixels = min(total, max(1, wanted // data.rows_per_pixel))
    rows = np.empty((pixels * data.rows_per_pixel, data.n_features), np.float32)
    for labelled in data.read(data.names, working=rows.nbytes):
        _go_on(stop)
        labels = np.flatnonzero(labelled.mask.ravel() != IGNORE)
        # Rounded such that the parts add up.
        own = (seen + len(labels)) * pixels // total - seen * pixels // total
        seen += len(labels)
        # In their order, so that all rows give the bins that they give in memory.
        chosen = np.sort(np.random.default_rng([seed, *labelled.block.name.encode()]).permutation(labels)[:own])
        at_once = max(1, own // 8)  # what gathering takes besides stays small
        for start in range(0, own, at_once):
            part = rows_at(labelled.block, chosen[start : start + at_once], data.rows)
            rows[filled : filled + len(part)] = part
            filled += len(part)
    return rows


def _dask_rows(
    workers: Cluster, data: TrainingData, present: NDArray[np.intp], weights: NDArray[np.float64]
) -> tuple[Any, Any, Any]:
    """Rows, labels and weights as Dask arrays, an image a chunk; each worker reads its own."""
    da: Any = import_module("dask.array")  # neither has complete annotations
    delayed: Any = import_module("dask").delayed
    there = workers.send(data)
    read, rows, labels = delayed(_rows_of, pure=False), [], []
    for name in data.names:
        mask = data.masks[name].ravel()
        own = np.repeat(mask[mask != IGNORE], data.rows_per_pixel)
        rows.append(da.from_delayed(read(there, name), (len(own), data.n_features), dtype=np.float32))
        labels.append(da.from_array(own, chunks=-1))
    every = da.concatenate(labels)
    position = _positions(present)
    return (
        da.concatenate(rows),
        every.map_blocks(lambda own: position[own], dtype=np.int64),
        every.map_blocks(lambda own: weights[own], dtype=np.float64),
    )


def _rows_of(data: TrainingData, name: str) -> NDArray[np.float32]:
    """All labelled rows of an image."""
    (labelled,) = data.read([name], keep=False)
    return rows_at(labelled.block, np.flatnonzero(labelled.mask.ravel() != IGNORE), data.rows)


def _require_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TedmError(
            f"XGBoost's cache takes {gigabytes(needed)} and {folder.parent} has {gigabytes(free)} left; "
            "set TMPDIR to a folder with more, or use fewer pixels (--pixels-per-image)"
        )


def _give_back() -> None:
    """Freed memory to the system, where the C library keeps it for itself: glibc does with a sketch's many small parts."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise InterruptedError("stopped by the caller")


class _WorkerLostError(TedmError):
    """Training on a cluster stops with any of its workers; Dask makes the rows again."""


def _speaking(work: Callable[[], T]) -> T:
    """XGBoost's errors as one line, its warnings left out."""
    try:
        with xgboost.config_context(verbosity=0):
            return work()
    except ValueError as error:  # XGBoost's own is one
        if "/collective/" in str(error) or "Invalid worker address" in str(
            error
        ):  # the workers' own network, or another worker
            raise _WorkerLostError(
                "XGBoost lost a worker of the cluster while it was training, again and again; are they killed for memory? "
                "Give workers more memory (dask worker --memory-limit), or use fewer pixels (--pixels-per-image)"
            ) from error
        if not isinstance(error, xgboost.core.XGBoostError):
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        cause = re.sub(r"^(\[[\d:]+\]\s*)?(\S+:\d+:\s*)?", "", first)
        raise TedmError(f"XGBoost failed: {cause}") from error


def _interruptible(work: Callable[[], T], give_up: Callable[[], None]) -> T:
    """Do it in a thread of its own: Ctrl-C comes to this one, which is free to answer.

    XGBoost calls back from C, where an interrupt would be printed and taken for the end of the data.
    """

    def tidy() -> T:
        try:
            return work()
        except BaseException as error:
            # The frames hold matrices, which hold files: they must go before the folder does.
            each: BaseException | None = error
            while each is not None:
                traceback.clear_frames(each.__traceback__)
                each = each.__cause__
            raise

    with ThreadPoolExecutor(1, thread_name_prefix="tedm-xgboost") as thread:
        done = thread.submit(tidy)
        try:
            while not wait(
                [done], timeout=0.2
            ).done:  # a signal may come to the other thread, and wakes this one at its next look
                pass
            return done.result()
        except KeyboardInterrupt:
            give_up()
            raise
