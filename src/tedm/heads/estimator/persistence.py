"""Scikit-learn estimators as files that run nothing.

skops writes an estimator as plain data and the names of its classes; only the classes that it, or the list below, holds for
harmless are made again. The list is what the estimators that we promise consist of. Two of them skops leaves out because a
forged file could point outside an array: the file is looked at before (`archive`) and what it makes after (`compiled`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

from skops import io
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from tedm.errors import TedmError
from tedm.heads.estimator.archive import checked_archive
from tedm.heads.estimator.compiled import require_sound

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
    # a search: how it scores, and its folds, which nobody asks for again
    "sklearn.metrics._scorer._PassthroughScorer",
    *(
        f"sklearn.model_selection._split.{splitter}"
        for splitter in ("GroupKFold", "KFold", "LeaveOneGroupOut", "StratifiedGroupKFold", "StratifiedKFold")
    ),
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
        unpacked = checked_archive(path)
        _refuse(io.get_untrusted_types(data=unpacked), path)
        estimator = io.loads(unpacked, trusted=list(TRUSTED))
        require_sound(estimator)
    except UntrustedTypesFoundException as error:
        raise TedmError(str(error).splitlines()[0]) from error
    except TedmError:
        raise
    except Exception as error:  # classes of scikit-learn are made of whatever the file holds, and fail in any way
        raise ValueError(f"{path.name}: {str(error) or repr(error)}") from error
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
