"""Which heads there are, and which options each of them takes.

A head is a scikit-learn classifier that can also be fitted on features out of core, asked about a block, and kept in a folder.
Nothing else needs to know the classes: a new one is an entry of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.rows import RowLayout
from tedm.store import Block

if TYPE_CHECKING:
    from tedm.heads.data.dataset import TrainingData

Progress = Callable[[int, int, float], None]


class Head(Protocol):
    """What a fit, a prediction and a folder need of a classifier, besides scikit-learn's own methods."""

    classes_: NDArray[Any]
    n_features_in_: int

    def fit_blocks(self, data: TrainingData, validation: TrainingData | None = None, progress: Progress | None = None) -> Self:
        """Fit on features, out of core. Afterwards `classes_` are class indices, with those that no pixel shows.

        `validation` holds images that decide something (when to stop, say); `progress` is called with (done, all, loss).
        """

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Probabilities for a block's rows, in the order of `tedm.heads.data.rows`: shape (members, rows, classes)."""

    def account(self) -> dict[str, Any]:
        """Plain JSON values for the provenance: what came of the fit, beyond what was asked for."""

    def constructor(self) -> dict[str, Any]:
        """Plain JSON values: arguments that make an unfitted head like this one, without where it computes."""

    def save(self, folder: Path) -> None:
        """Write what was fitted into a folder that exists."""

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read what `save` wrote; predictions are the same bits."""


@dataclass(frozen=True)
class Kind:
    """A kind of head.

    Parameters
    ----------
    module, name : str
        Of its class; imported when needed.
    options : mapping of str to str
        Options of `tedm.heads.fit` that it takes, and the arguments of the class that these are.
    takes_rows : bool
        Whether it predicts from rows, which then exist some at a time, and not from cells.
    """

    module: str
    name: str
    options: Mapping[str, str]
    takes_rows: bool = False

    def load(self) -> Callable[..., Head]:
        """The class."""
        found: Callable[..., Head] = getattr(import_module(self.module), self.name)
        return found


KINDS = {
    "mlp": Kind(
        "tedm.heads.mlp.head",
        "MLPHead",
        {
            "iterations": "iterations",
            "learning_rate": "learning_rate",
            "batch": "batch",
            "pixels_per_batch": "pixels_per_batch",
            "images_per_batch": "images_per_batch",
            "patience": "patience",
            "class_weight": "class_weight",
        },
    ),
    "logistic": Kind(
        "tedm.heads.linear.logistic",
        "LogisticHead",
        {"iterations": "max_iter", "ridge": "ridge", "select": "select", "class_weight": "class_weight"},
    ),
    "xgboost": Kind(
        "tedm.heads.boosting.head",
        "XGBoostHead",
        {
            "iterations": "rounds",
            "learning_rate": "learning_rate",
            "patience": "patience",
            "class_weight": "class_weight",
        },
        takes_rows=True,
    ),
    "sklearn": Kind(
        "tedm.heads.estimator.head", "EstimatorHead", {"iterations": "epochs", "class_weight": "class_weight"}, takes_rows=True
    ),
}


def kind_of(head: str) -> str:
    """`sklearn` of `sklearn:ensemble.RandomForestClassifier`; a `TedmError` if there is no such kind."""
    kind = head.partition(":")[0]
    if kind not in KINDS or (":" in head) != (kind == "sklearn"):
        raise TedmError(
            f"there is no head {head!r}; choose one of mlp, logistic, xgboost or sklearn:module.Class, "
            "sklearn:ensemble.RandomForestClassifier say"
        )
    return kind


def make_head(
    head: str, options: Mapping[str, Any], params: Mapping[str, Any], *, seed: int, device: str, **fixed: Any
) -> Head:
    """An unfitted head.

    Parameters
    ----------
    head : str
        "mlp", "logistic", "xgboost" or "sklearn:module.Class".
    options : mapping
        Of `tedm.heads.fit`; None is not given.
    params : mapping
        Arguments of the class by their own names; of the estimator, for "sklearn".
    seed, device
        For those that draw numbers, or can compute elsewhere.
    **fixed
        Arguments that the method decides; `options` and `params` override them.

    Raises
    ------
    TedmError
        If there is no such head, or it does not take what was given.
    """
    kind = kind_of(head)
    about = KINDS[kind]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        takers = [name for name, other in KINDS.items() if option in other.options]
        if option not in about.options:
            raise TedmError(f"--{option.replace('_', '-')} is for --head {' or '.join(takers)}, not for {kind}")
    arguments = {**fixed, **{about.options[option]: value for option, value in given.items()}}
    if kind == "sklearn":
        arguments |= {"estimator": head.partition(":")[2], "parameters": dict(params), "seed": seed}
        return about.load()(**arguments)
    cls = about.load()
    known = signature(cls).parameters
    arguments |= {name: value for name, value in (("seed", seed), ("device", device)) if name in known}
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise TedmError(f"--params: {kind} heads know no {unknown[0]!r}; they know {', '.join(known)}")
    return cls(**{**arguments, **params})
