"""A head with all that it takes to turn features into masks.

An estimator knows rows; a segmenter knows which timesteps and which layout its rows came from, what the features were, what the
classes are called, how the opinions vote, and what it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.budget import Budget
from tedm.heads.kinds import Head, Progress, make_head
from tedm.heads.methods import Method
from tedm.heads.sampling import Sampling
from tedm.heads.subsets import first_images
from tedm.heads.training import TrainingData
from tedm.heads.vote import VotingRule, vote
from tedm.heads.workers import HERE, Workers
from tedm.store import Arithmetic, Block, Features, FeatureSettings, Storage
from tedm.store.settings import require_same_features


@dataclass(frozen=True)
class Segmenter:
    """A fitted head and its circumstances.

    Parameters
    ----------
    method : Method
        Timesteps, row layout, vote.
    estimator : Head
        Fitted.
    settings, arithmetic, storage
        Those of the features that it was fitted on.
    classes : tuple of int
        Mask values; class k of the estimator is the k-th.
    provenance : dict
        Plain JSON values: training images, seed, labels used, losses, version.
    """

    method: Method
    estimator: Head
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
    sampling: Sampling = "uniform",
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    memory: int | None = None,
    workers: Workers = HERE,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
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
    sampling : {"uniform", "balanced", "boundary"}
        How pixels are drawn, where pixels are drawn.
    params : mapping or None
        Arguments of the head's class (of the estimator, for "sklearn:...") by their own names.
    seed : int
        Of the subset, the weights and the batches.
    device : str
        Where an MLP is trained, or XGBoost.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        A cluster that computes image by image, or this process.
    checkpoint : Path or None
        File of an MLP's fit under way: one that was stopped goes on from there. To be deleted when the head is safe.
    progress : callable (done, all, loss) or None
    **options
        iterations, learning_rate, batch, pixels_per_batch, images_per_batch, ridge, select, patience, class_weight: what the
        head's kind takes (`tedm.heads.kinds.KINDS`). None takes the method's or the head's own. With `patience`, or `select` of
        "val", the images of split "val" of the same domain decide; their labels count as used.

    Returns
    -------
    Segmenter

    Raises
    ------
    TedmError
        If timesteps, images, labels or classes are not there, the head does not take an option, or the budget is too small.
    """
    absent = [timestep for timestep in method.timesteps if timestep not in features.settings.timesteps]
    if absent:
        raise TedmError(
            f"{method.name} reads timesteps that are not there: {_listed(absent)}; the features have "
            f"{_listed(features.settings.timesteps)}\n"
            "Choose among these with --timesteps, or extract the others to a new store (a store's timesteps are fixed)."
        )
    fixed: dict[str, Any] = {}
    if method.head == "mlp":
        fixed = {"members": method.members, "vote": method.vote, "pixels_per_batch": method.pixels_per_batch}
    if options.get("class_weight") is not None:
        options["class_weight"] = _by_index(options["class_weight"], features.labels.classes)
    head = make_head(method.head, options, params or {}, seed=seed, device=device, **fixed)
    candidates = features.labels.select(split=split, domain=domain, labelled=True)
    names = first_images(candidates, features.labels.group_of(candidates), images, seed)
    of_rows: dict[str, Any] = {
        "rows": method.rows,
        "timesteps": method.timesteps,
        "sampling": sampling,
        "memory": Budget(memory),
        "workers": workers,
    }
    data = TrainingData(features, names, pixels_per_image=pixels_per_image, seed=seed, **of_rows)
    provenance: dict[str, Any] = {
        "tedm": version("tedm"),
        "images": names,
        "split": split or "",
        "domain": domain or "",
        "seed": seed,
        "pixels_per_image": pixels_per_image,
        "sampling": sampling,
        "labels_used": len(names),
    }
    validation = None
    if options.get("patience") is not None or options.get("select") == "val":
        val = features.labels.select(split="val", domain=domain, labelled=True)
        validation = TrainingData(features, val, **of_rows)
        provenance["labels_used"] += len(val)
        provenance["validation_images"] = val
    under_way: dict[str, Any] = {"checkpoint": checkpoint} if checkpoint is not None and method.head == "mlp" else {}
    head.fit_blocks(data, validation, progress, **under_way)
    provenance |= head.account()
    return Segmenter(
        method, head, features.settings, features.arithmetic, features.storage, features.labels.classes, provenance
    )


def _by_index(wanted: Any, classes: Sequence[int]) -> Any:
    """Class weights by mask value as weights by class index, which is what heads know."""
    if not isinstance(wanted, Mapping):
        return wanted
    index = {str(value): str(position) for position, value in enumerate(classes)}
    unknown = [value for value in wanted if str(value) not in index]
    if unknown:
        raise TedmError(f"--class-weight is for {unknown[0]}, which is no mask value here; these are {_listed(classes)}")
    return {index[str(value)]: weight for value, weight in wanted.items()}


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
