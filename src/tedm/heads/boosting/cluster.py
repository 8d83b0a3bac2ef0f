"""XGBoost on a Dask cluster: its own interface, in which each worker holds the bins of some of the images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.boosting.external_memory import positions_of
from tedm.heads.boosting.xgboost_calls import WorkerLostError, speaking
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import rows_at
from tedm.heads.runtime.workers import Cluster, plain_cluster_errors
from tedm.store import IGNORE
from tedm.text import gigabytes

# What XGBoost's Dask interface has in memory, as a multiple of the rows as float32: these twice, and their bins.
HELD_ON_WORKERS = 2.5
# How often training starts when workers are lost.
ATTEMPTS = 3


def train_on_cluster(
    settings: Mapping[str, object],
    rounds: int,
    patience: int | None,
    workers: Cluster,
    data: TrainingData,
    validation: TrainingData | None,
    present: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> tuple[xgboost.Booster, Mapping[str, Any]]:
    """Train on the workers of a cluster.

    Parameters
    ----------
    settings : mapping
        XGBoost's parameters.
    rounds, patience
        See `XGBoostHead`.
    workers : Cluster
    data, validation : TrainingData
        Images to learn from, and those that decide when to stop.
    present : array of shape (classes,)
        Class indices that rows show.
    weights : array of shape (classes,)
        What a row of each class index counts.

    Returns
    -------
    booster : xgboost.Booster
    curves : mapping
        Losses by round, as XGBoost gives them.

    Raises
    ------
    TedmError
        If the workers' memory does not hold the rows, Dask's data frames are not installed, or workers are lost again and
        again.
    """
    try:
        import xgboost.dask as dask_interface
    except ImportError as error:
        raise TedmError(
            f"XGBoost on a cluster needs Dask's data frames, which are not there ({error}); "
            "pip install 'dask[dataframe]', or leave the scheduler out"
        ) from error
    client, max_bin = workers.client, settings["max_bin"]
    require_workers(client, data)

    def train() -> tuple[xgboost.Booster, Mapping[str, Any]]:
        rows, labels, row_weights = _dask_rows(workers, data, present, weights)
        matrix = dask_interface.DaskQuantileDMatrix(client, rows, labels, weight=row_weights, max_bin=max_bin)
        evals = [(matrix, "train")]
        if validation is not None:
            rows, labels, row_weights = _dask_rows(workers, validation, present, weights)
            held_out = dask_interface.DaskQuantileDMatrix(client, rows, labels, weight=row_weights, ref=matrix, max_bin=max_bin)
            evals.append((held_out, "validation"))
        done = dask_interface.train(
            client,
            dict(settings),
            matrix,
            rounds,
            evals=evals,
            early_stopping_rounds=patience,
            verbose_eval=False,
        )
        return done["booster"], done["history"]

    with plain_cluster_errors(), client.as_current():  # XGBoost asks for the current one, whatever it is given
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(WorkerLostError):
                return speaking(train)
        return speaking(train)


def require_workers(client: Any, data: TrainingData) -> None:
    """Refuse workers whose memory does not hold their part of the rows."""
    limits = [about["memory_limit"] for about in client.scheduler_info(n_workers=-1)["workers"].values()]
    least = min((limit for limit in limits if limit), default=None)
    each = HELD_ON_WORKERS * 4 * data.n_rows * data.n_features / len(limits)
    if least is not None and each > least:
        raise TedmError(
            f"XGBoost holds all rows in the cluster's memory: {gigabytes(each)} on each of {len(limits)} workers, and one may "
            f"have {gigabytes(least)}; start more or larger ones (dask worker --memory-limit), or use fewer pixels "
            "(--pixels-per-image)"
        )


def _dask_rows(
    workers: Cluster, data: TrainingData, present: NDArray[np.intp], weights: NDArray[np.float64]
) -> tuple[Any, Any, Any]:
    """Return rows, labels and weights as Dask arrays, an image a chunk; each worker reads its own."""
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
    position = positions_of(present)
    return (
        da.concatenate(rows),
        every.map_blocks(lambda own: position[own], dtype=np.int64),
        every.map_blocks(lambda own: weights[own], dtype=np.float64),
    )


def _rows_of(data: TrainingData, name: str) -> NDArray[np.float32]:
    """Return all labelled rows of an image."""
    (labelled,) = data.read([name], keep=False)
    return rows_at(labelled.block, np.flatnonzero(labelled.mask.ravel() != IGNORE), data.rows)
