"""What the house asks of a head: a scikit-learn classifier that also learns from features, votes on blocks and can be kept.

A head states what it can do and what it must be given (`Capabilities`); nobody asks for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import ClassWeight
from tedm.jsons import JsonObject, JsonValue
from tedm.store import Block, Features

if TYPE_CHECKING:
    from tedm.heads.data.dataset import TrainingData
    from tedm.networks.pretrained import Pretrained

# Called with (done, all, loss) while a head is being fitted.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class HeadOptions:
    """What can be asked of a fit; None leaves it to the method or to the head.

    Parameters
    ----------
    iterations : int or None
        Optimiser steps, the solver's limit, boosting rounds or passes, as the head counts.
    learning_rate : float or None
    batch : {"pixels", "images"} or None
    pixels_per_batch, images_per_batch : int or None
    ridge : float, sequence of float, "auto" or None
        Penalty of a linear model.
    select : {"cv", "val"} or None
        What chooses among several penalties.
    patience : int or None
        Stop early by the val split.
    class_weight : {"balanced"}, mapping of class to weight, or None
    precision : {"auto", "float32", "bfloat16"} or None
        Of what a fit multiplies most.
    """

    iterations: int | None = None
    learning_rate: float | None = None
    batch: Literal["pixels", "images"] | None = None
    pixels_per_batch: int | None = None
    images_per_batch: int | None = None
    ridge: Any = None
    select: Literal["cv", "val"] | None = None
    patience: int | None = None
    class_weight: ClassWeight = None
    precision: Literal["auto", "float32", "bfloat16"] | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a kind of head can do, and what it must be given.

    Parameters
    ----------
    options : mapping of str to str
        The fields of `HeadOptions` that it takes, and the constructor's arguments that these are.
    from_method : frozenset of {"members", "vote", "pixels_per_batch"}
        What it takes of a `Method`; a head that takes "members" is an ensemble if asked for one.
    takes_rows : bool
        Whether it predicts from rows, which then exist some at a time, and not from cells.
    takes_seed, takes_device : bool
        Whether its constructor has these arguments.
    resumes : bool
        Whether a fit that was stopped goes on from a checkpoint.
    looks_at_images : bool
        Whether it looks at the image itself (`Block.image`, `Features.image`) and at no activations.
    starts : bool
        Whether it can start from pretrained weights (`start_from`).
    parts : bool
        Whether it is made of heads whose opinions it merges itself (`PartedHead`): each of them is one voter of its vote.
    named_by : str or None
        The constructor's argument for what stands behind the colon of `sklearn:ensemble.RandomForestClassifier`; None for heads
        that have no such name.
    parameters : str or None
        The constructor's argument that takes further parameters as a mapping; None if each is an argument of its own.
    """

    options: Mapping[str, str]
    from_method: frozenset[str] = frozenset()
    takes_rows: bool = False
    takes_seed: bool = False
    takes_device: bool = False
    resumes: bool = False
    looks_at_images: bool = False
    starts: bool = False
    parts: bool = False
    named_by: str | None = None
    parameters: str | None = None

    @property
    def members(self) -> bool:
        """Whether it can be an ensemble."""
        return "members" in self.from_method

    def voting_draws(self, draws: int) -> int:
        """Return how many opinions a voter has of a pixel with so many draws of noise: one where it merges them."""
        return 1 if self.looks_at_images or self.parts else draws


@dataclass(frozen=True)
class FitReport:
    """What came of a fit, beyond what was asked for; it is kept with the head.

    Parameters
    ----------
    iterations : int or None
        Those behind what was kept.
    loss_curve, validation_curve : tuple of float
        Losses on the way, of the training and the val images; empty where there are none.
    converged : bool or None
        Whether a solver reached its tolerance; None where nothing converges.
    details : mapping of str to JSON values
        What only this kind of head tells.
    """

    iterations: int | None = None
    loss_curve: tuple[float, ...] = ()
    validation_curve: tuple[float, ...] = ()
    converged: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # msgspec reads it, and knows no recursive types

    @property
    def fall(self) -> float | None:
        """How much the training loss still fell: its last tenth against the tenth before, relative; None without a curve.

        Near zero when flat, negative where it rose.

        Examples
        --------
        >>> FitReport(loss_curve=(1.0, 0.5)).fall
        0.5
        """
        curve = self.loss_curve
        if not curve:
            return None
        tenth = max(1, len(curve) // 10)
        before = curve[-2 * tenth : -tenth] if len(curve) > tenth else curve[:1]
        last, earlier = float(np.mean(curve[-tenth:])), float(np.mean(before))
        return (earlier - last) / max(earlier, 1e-12)


class Head(Protocol):
    """What a fit, a prediction and a folder need of a classifier, besides scikit-learn's own methods."""

    capabilities: ClassVar[Capabilities]
    classes_: NDArray[Any]
    n_features_in_: int

    def needs_validation(self) -> bool:
        """Tell whether images of the val split decide something in its fit, when to stop say."""

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on features, out of core. Afterwards `classes_` are class indices, with those that no pixel shows.

        `validation` holds the images that decide something; `progress` is called with (done, all, loss); `checkpoint` is where
        a fit which was stopped goes on from, a file or a folder (`tedm.files.discard`), of no use to heads that do not resume.
        """

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Return probabilities for a block's rows, in the order of `tedm.heads.data.rows`: shape (members, rows, classes)."""

    def report(self) -> FitReport:
        """Tell what came of the fit."""

    def remarks(self) -> list[str]:
        """Tell in sentences what whoever fitted should know: that a solver did not converge, that rows were sampled."""

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one, without where it computes, as JSON values."""

    def save(self, folder: Path) -> None:
        """Write what was fitted into a folder that exists."""

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read what `save` wrote; predictions are the same bits."""


@runtime_checkable
class ChecksSettings(Protocol):
    """A head that can tell, before it is given anything to learn from, whether its settings make a fit."""

    def require_settings(self) -> None:
        """Refuse settings of which nothing can be learned.

        Raises
        ------
        TedmError
            Which says what is wrong, and what to do.
        """


class StartingHead(Head, Protocol):
    """A head whose fit can start from weights that were trained before (`Capabilities.starts`)."""

    def needs_weights(self) -> bool:
        """Tell whether it cannot be fitted without such weights."""

    def start_from(self, weights: Pretrained) -> None:
        """Take the weights that the next fit starts from.

        Raises
        ------
        TedmError
            If they have learned something else than this head starts from, or are for other images.
        """


class NamingHead(Head, Protocol):
    """A head that can name the classifiers of others (`Capabilities.named_by`)."""

    @staticmethod
    def named(classifier: object) -> tuple[str, JsonObject]:
        """Return the name of the head that is such a classifier, and the parameters that make it one, as JSON values.

        Raises
        ------
        TedmError
            If it is none, or cannot be said so.
        """


class PartedHead(Head, Protocol):
    """A head that is made of others (`Capabilities.parts`); its opinions are of shape (parts, pixels, classes)."""

    @property
    def sees_images(self) -> bool:
        """Whether a part looks at images: blocks need theirs then, beside their activations."""

    def part_bytes(self, features: Features) -> int:
        """Return what the opinions of a part on an image of such features take at most, and merging them."""
