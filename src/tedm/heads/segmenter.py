"""A head with all that it takes to turn features into masks.

An estimator knows rows; a segmenter knows which timesteps and which layout its rows came from, what the features were, what the
classes are called, how the opinions vote, and what it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.logistic import LogisticHead
from tedm.heads.methods import Method
from tedm.heads.mlp import MLPHead, flatness
from tedm.heads.subsets import first_images
from tedm.heads.training import TrainingData
from tedm.heads.vote import VotingRule, vote
from tedm.store import Arithmetic, Block, Features, FeatureSettings, Storage
from tedm.store.settings import require_same_features

Estimator = LogisticHead | MLPHead


@dataclass(frozen=True)
class Segmenter:
    """A fitted head and its circumstances.

    Parameters
    ----------
    method : Method
        Timesteps, row layout, vote.
    estimator : LogisticHead or MLPHead
        Fitted.
    settings, arithmetic, storage
        Those of the features that it was fitted on.
    classes : tuple of int
        Mask values; class k of the estimator is the k-th.
    provenance : dict
        Plain JSON values: training images, seed, labels used, losses, version.
    """

    method: Method
    estimator: Estimator
    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: dict[str, Any]

    def opinions(self, block: Block, timesteps: Sequence[int] | None = None) -> NDArray[np.floating]:
        """What every voter thinks of every pixel.

        Parameters
        ----------
        block : Block
            An image's activations at least at the timesteps that are used.
        timesteps : sequence of int or None
            Some of the head's timesteps, if it shares one classifier; None takes all.

        Returns
        -------
        array of shape (voters, pixels, classes)
            Voters are members x timesteps x draws, or members x draws if the timesteps are concatenated.
        """
        block = block.at(self.timesteps(timesteps))
        probabilities = self.estimator.opinions(block, self.method.rows)
        return probabilities.reshape(-1, block.size**2, len(self.classes))

    def probabilities(
        self, block: Block, *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
    ) -> NDArray[np.floating]:
        """The committee's probabilities of shape (size, size, classes); `rule` of None votes as the method does."""
        merged = vote(self.opinions(block, timesteps), rule=rule or self.method.vote)
        return merged.reshape(block.size, block.size, len(self.classes))

    def timesteps(self, asked: Sequence[int] | None) -> tuple[int, ...]:
        """The timesteps that a prediction uses; a `TedmError` if the head cannot use those asked for."""
        if asked is None or tuple(asked) == self.method.timesteps:
            return self.method.timesteps
        if self.method.rows == "concatenate":
            raise TedmError(
                f"a {self.method.name} head reads its timesteps {_listed(self.method.timesteps)} side by side "
                f"and cannot do with {_listed(asked)}; leave --timesteps out, or use a head of shared rows (tedm)"
            )
        if not asked:
            raise TedmError("there is no timestep to vote; --timesteps takes one or more of the head's")
        # A shared classifier can be asked about any timestep that the features have: whether it should is the user's question.
        return tuple(asked)

    def require(self, features: Features, timesteps: Sequence[int] | None = None, *, what: str) -> None:
        """Refuse features that this head was not made for."""
        require_same_features(self.settings, features.settings, self.timesteps(timesteps), what=what)


def fit(
    features: Features,
    method: Method,
    *,
    split: str | None = "train",
    domain: str | None = None,
    images: int | None = None,
    pixels_per_image: int | None = None,
    iterations: int | None = None,
    learning_rate: float | None = None,
    batch: str | None = None,
    pixels_per_batch: int | None = None,
    ridge: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    memory: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Segmenter:
    """Fit a method's head on labelled images of some features.

    Parameters
    ----------
    features : Features
        A store, say.
    method : Method
        See `method_named`.
    split, domain : str or None
        Where the images are taken from; None takes all.
    images : int or None
        Training images: the first of a permutation by `seed`, by group, so that larger subsets contain smaller ones.
        None takes all.
    pixels_per_image : int or None
        Labelled pixels used of each image; None takes all.
    iterations, learning_rate, batch, pixels_per_batch : or None
        Of an MLP (see `MLPHead`); `iterations` bounds a logistic regression's solver. None takes the method's or the head's.
    ridge : float or None
        Strength of a logistic regression's penalty; None takes 1.
    patience : int or None
        Let an MLP stop early by the loss on the images of split "val" of the same domain; their labels count as used.
    seed : int
        Of the subset, the weights and the batches.
    device : str
        Where an MLP is trained.
    memory : int or None
        Bytes of activations that may stay in memory; None takes half of what is free.
    progress : callable (iteration, iterations, loss) or None

    Returns
    -------
    Segmenter

    Raises
    ------
    TedmError
        If timesteps, images, labels or classes are not there.
    """
    absent = [timestep for timestep in method.timesteps if timestep not in features.settings.timesteps]
    if absent:
        raise TedmError(
            f"{method.name} reads timesteps that are not there: {_listed(absent)}; the features have "
            f"{_listed(features.settings.timesteps)}\n"
            "Choose among these with --timesteps, or extract the others to a new store (a store's timesteps are fixed)."
        )
    candidates = features.labels.select(split=split, domain=domain, labelled=True)
    names = first_images(candidates, features.labels.group_of(candidates), images, seed)
    of_rows: dict[str, Any] = {"rows": method.rows, "timesteps": method.timesteps, "memory": memory}
    data = TrainingData(features, names, pixels_per_image=pixels_per_image, seed=seed, **of_rows)
    provenance: dict[str, Any] = {
        "tedm": version("tedm"),
        "images": names,
        "split": split or "",
        "domain": domain or "",
        "seed": seed,
        "pixels_per_image": pixels_per_image,
        "labels_used": len(names),
    }
    estimator: Estimator
    if method.head == "logistic":
        for option, value in (
            ("--learning-rate", learning_rate),
            ("--batch", batch),
            ("--pixels-per-batch", pixels_per_batch),
            ("--patience", patience),
        ):
            if value is not None:
                raise TedmError(f"{option} is for --head mlp; a logistic regression is solved exactly")
        logistic = LogisticHead(**_given(ridge=ridge, max_iter=iterations)).fit_blocks(data)
        estimator = logistic
        provenance |= {"iterations": logistic.n_iter_, "objective": logistic.objective_, "converged": logistic.converged_}
    else:
        if ridge is not None:
            raise TedmError("--ridge is for --head logistic; an MLP has no penalty")
        mlp = MLPHead(
            method.members,
            pixels_per_batch=pixels_per_batch or method.pixels_per_batch,
            vote=method.vote,
            seed=seed,
            device=device,
            **_given(iterations=iterations, learning_rate=learning_rate, batch=batch, patience=patience),
        )
        validation = None
        if patience is not None:
            val = features.labels.select(split="val", domain=domain, labelled=True)
            validation = TrainingData(features, val, **of_rows)
            provenance["labels_used"] += len(val)
            provenance["validation_images"] = val
        estimator = mlp = mlp.fit_blocks(data, validation, progress)
        provenance |= {
            "iterations": mlp.n_iter_,
            "loss_curve": mlp.loss_curve_,
            "validation_curve": mlp.validation_curve_,
            "relative_fall_of_the_loss_in_its_last_tenth": flatness(mlp.loss_curve_),
            "device": device,
            "threads": torch.get_num_threads(),  # another number sums in another order: other last bits, another path
        }
    return Segmenter(
        method, estimator, features.settings, features.arithmetic, features.storage, features.labels.classes, provenance
    )


def _given(**options: Any) -> dict[str, Any]:
    """Only the options that were named."""
    return {name: value for name, value in options.items() if value is not None}


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
