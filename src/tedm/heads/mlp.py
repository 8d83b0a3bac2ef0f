"""The MLP head: Adam on random pixels, or on whole images as in the paper.

TEDM's loss is the mean cross-entropy over images, pixels and timesteps of one shared classifier; concatenated rows give LEDM's.
Members of an ensemble start from different weights and see different random pixels. All randomness follows from the seed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.nn.functional import cross_entropy

from tedm.errors import TedmError
from tedm.heads.network import Committee, hidden_sizes
from tedm.heads.rows import RowLayout, gather_rows, row_labels
from tedm.heads.training import Labelled, TrainingData
from tedm.heads.vote import VotingRule, vote
from tedm.store import IGNORE, Block

WEIGHTS = "weights.safetensors"
# Points of the recorded loss curve.
CURVE_POINTS = 100
# Validation loss is looked at this often while stopping early.
CHECKS = 50
# Rows in memory that are predicted at once.
ROWS_AT_ONCE = 2**14


class MLPHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A small MLP, or an ensemble of them.

    Parameters
    ----------
    members : int
        Size of the ensemble.
    hidden : tuple of int or None
        Widths of the hidden layers; None takes (128, 32), or (256, 128) from 30 classes on.
    batch : {"pixels", "images"}
        Random pixels of all images, or whole images (the paper's).
    pixels_per_batch, images_per_batch : int
        Size of a batch: pixels (with all their timesteps and draws) for each member, or images (all, where there are fewer).
    iterations : int
        Optimiser steps, at least 1.
    learning_rate : float
        Adam's.
    patience : int or None
        Needs validation images: stop when that many of 50 equally spaced looks in a row bring no better loss, and keep the best
        weights. None never stops early.
    vote : {"soft", "hard", "geometric"}
        How members merge in `predict_proba`.
    seed : int
        Of weights and batches.
    device : {"cpu", "cuda"}
        Where to train and predict.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    network_ : Committee
    loss_curve_ : list of float
        Mean training loss over each hundredth of the iterations, over all members.
    validation_curve_ : list of float
        Losses of the looks, if there was a validation set.
    n_iter_ : int
        Iterations behind the weights that were kept.
    """

    def __init__(
        self,
        members: int = 1,
        *,
        hidden: tuple[int, ...] | None = None,
        batch: Literal["pixels", "images"] = "pixels",
        pixels_per_batch: int = 512,
        images_per_batch: int = 16,
        iterations: int = 2000,
        learning_rate: float = 1e-3,
        patience: int | None = None,
        vote: VotingRule = "soft",
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.members = members
        self.hidden = hidden
        self.batch = batch
        self.pixels_per_batch = pixels_per_batch
        self.images_per_batch = images_per_batch
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.patience = patience
        self.vote = vote
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, y = validate_data(self, X, y, dtype="float32")
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"MLPHead needs samples of at least 2 classes, got one class: {self.classes_[0]!r}")
        if len(self.classes_) > IGNORE:
            raise ValueError(f"MLPHead takes {IGNORE} classes at most, got {len(self.classes_)}; is y a regression target?")
        rows, labels = _tensor(X).to(self.device), torch.from_numpy(indices).to(self.device)
        generator = self._begin(X.shape[1], len(self.classes_))

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            while True:
                chosen = torch.randint(len(rows), (self.members, self.pixels_per_batch), generator=generator).to(self.device)
                yield self.network_(rows[chosen]), labels[chosen]

        return self._train(batches(), None, None)

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Self:
        """Fit on features.

        Parameters
        ----------
        data : TrainingData
            Images to learn from. Those that fit its memory budget stay in memory; of more, random groups take turns.
        validation : TrainingData or None
            Images that decide when to stop; used if `patience` is set.
        progress : callable (iteration, iterations, loss) or None
            Called a hundred times.
        """
        self.classes_ = np.arange(len(data.classes))
        self.n_features_in_ = data.n_features
        generator = self._begin(data.n_features, len(self.classes_))
        draw = self._image_batches if self.batch == "images" else self._pixel_batches
        return self._train(draw(data, generator), validation, progress)

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Probabilities of shape (rows, classes), the members merged by `vote`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float32", reset=False)
        network = self.network_.eval()
        with torch.inference_mode():
            logits = [network(rows[None].to(self.device)).cpu() for rows in torch.split(_tensor(X), ROWS_AT_ONCE)]
        return vote(torch.cat(logits, dim=1).softmax(dim=-1).numpy(), rule=self.vote)

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float32]:
        """Probabilities for a block's rows: shape (members, rows, classes)."""
        check_is_fitted(self)
        cells = [_tensor(level).to(self.device).float() for level in block.cells]
        probabilities = self.network_.probabilities(cells, block.size, block.upsampling, rows)
        return np.asarray(probabilities.cpu().numpy())

    def account(self) -> dict[str, Any]:
        """What came of the fit."""
        return {
            "iterations": self.n_iter_,
            "loss_curve": self.loss_curve_,
            "validation_curve": self.validation_curve_,
            "relative_fall_of_the_loss_in_its_last_tenth": flatness(self.loss_curve_),
            "device": self.device,
            "threads": torch.get_num_threads(),  # another number sums in another order: other last bits, another path
        }

    def constructor(self) -> dict[str, Any]:
        """Arguments that make an unfitted head like this one; where it was trained is not what it is."""
        return {name: value for name, value in self.get_params().items() if name != "device"}

    def save(self, folder: Path) -> None:
        """Write the weights."""
        state = self.network_.state_dict()
        save_file({name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in state.items()}, folder / WEIGHTS)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        if self.hidden is not None:
            self.hidden = tuple(self.hidden)  # JSON knows lists only
        network = Committee(self.members, features, self.hidden or hidden_sizes(classes), classes, torch.Generator())
        network.load_state_dict({name: torch.from_numpy(array) for name, array in load_file(folder / WEIGHTS).items()})
        self.network_ = network.to(self.device).eval()
        self.classes_, self.n_features_in_ = np.arange(classes), features

    # -- training ----------------------------------------------------------------------------------------------------

    def _begin(self, features: int, classes: int) -> torch.Generator:
        for what in ("members", "pixels_per_batch", "images_per_batch", "iterations"):
            if getattr(self, what) < 1:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be at least 1")
        if self.batch not in ("pixels", "images"):
            raise TedmError(f"there are no batches of {self.batch!r}; choose pixels or images")
        if not self.learning_rate > 0:
            raise TedmError(f"the learning rate is {self.learning_rate}; it must be above 0")
        generator = torch.Generator().manual_seed(self.seed)
        hidden = self.hidden or hidden_sizes(classes)
        self.network_ = Committee(self.members, features, hidden, classes, generator).to(self.device)
        return generator

    def _train(
        self,
        batches: Iterator[tuple[Tensor, Tensor]],
        validation: TrainingData | None,
        progress: Callable[[int, int, float], None] | None,
    ) -> Self:
        """Adam until the iterations are used up, or the validation loss has stopped falling."""
        if self.patience is not None and validation is None:
            raise TedmError("patience needs validation images to stop by; give some, or leave patience out")
        # fused: one pass over the weights; they outweigh the rows of an ensemble's small batches
        optimiser = torch.optim.Adam(self.network_.parameters(), lr=self.learning_rate, fused=True)
        stop = _EarlyStop(self.patience) if self.patience is not None else None
        look_every = max(1, self.iterations // CHECKS)
        self.loss_curve_, self.validation_curve_, self.n_iter_ = [], [], self.iterations
        running, since = torch.zeros((), device=self.device), 0
        for iteration in range(1, self.iterations + 1):
            self.network_.train()
            logits, labels = next(batches)
            # The members share no weight: the sum of their mean losses trains each as if it were alone.
            each = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE)
            optimiser.zero_grad(set_to_none=True)
            (each * self.members).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            running, since = running + each.detach(), since + 1
            if iteration * CURVE_POINTS // self.iterations > (iteration - 1) * CURVE_POINTS // self.iterations:
                self.loss_curve_.append(float(running) / since)
                running, since = torch.zeros((), device=self.device), 0
                if not np.isfinite(self.loss_curve_[-1]):
                    raise TedmError(f"the loss is no longer finite after {iteration} iterations; lower the learning rate")
                if progress is not None:
                    progress(iteration, self.iterations, self.loss_curve_[-1])
            if stop is not None and validation is not None and iteration % look_every == 0:
                self.validation_curve_.append(self._loss_on(validation))
                if stop.look(self.validation_curve_[-1], iteration, self.network_):
                    break
        if stop is not None and stop.weights is not None:
            self.network_.load_state_dict(stop.weights)
            self.n_iter_ = stop.iteration
        self.network_.eval()
        return self

    def _pixel_batches(self, data: TrainingData, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of random labelled pixels, each member its own."""
        upsampling = data.features.settings.upsampling
        size = data.features.settings.image_size
        for cells, masks, all_of_them in self._groups(data, generator):
            labels = masks.reshape(-1)
            labelled = (labels != IGNORE).nonzero()[:, 0]
            rounds = None if all_of_them else max(1, len(labelled) // self.pixels_per_batch)
            while rounds is None or rounds > 0:
                pixels = labelled[torch.randint(len(labelled), (self.members * self.pixels_per_batch,), generator=generator)]
                at = pixels.to(self.device)
                rows = gather_rows(cells, (at // size**2, at // size % size, at % size), size, upsampling, data.rows)
                its_labels = labels[pixels].repeat_interleave(len(rows) // len(pixels)).to(self.device)
                yield self.network_(rows.reshape(self.members, -1, rows.shape[-1])), its_labels.reshape(self.members, -1)
                rounds = None if rounds is None else rounds - 1

    def _image_batches(self, data: TrainingData, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole images, the same for all members, in a new random order each epoch; what does not fill a batch is left out."""
        upsampling = data.features.settings.upsampling
        size = data.features.settings.image_size
        for cells, masks, all_of_them in self._groups(data, generator):
            while True:
                order = torch.randperm(len(masks), generator=generator)
                whole = max(1, len(order) // self.images_per_batch)
                for batch in range(whole):
                    chosen = order[batch * self.images_per_batch : (batch + 1) * self.images_per_batch]
                    some = [level[chosen.to(self.device)].float() for level in cells]
                    product = self.network_.first_on_cells(some, size, upsampling, data.rows)
                    labels = masks[chosen].to(self.device).reshape(len(chosen), 1, -1)
                    times = product.shape[1] // labels.numel()
                    labels = labels.expand(-1, times, -1).reshape(1, -1).expand(self.members, -1)
                    yield self.network_.after_first(product), labels
                if not all_of_them:
                    break

    def _groups(self, data: TrainingData, generator: torch.Generator) -> Iterator[tuple[list[Tensor], Tensor, bool]]:
        """Cells, masks and whether these are all images: all of them once, or random groups within the memory budget for ever.

        A group lies where the one before lay: two at once would not fit the budget.
        """
        names = [name for name in data.names if (data.masks[name] != IGNORE).any()]
        at_once = min(len(names), max(1, data.budget.keepable() // data.block_bytes))
        first = next(iter(data.read(names[:1], keep=False)))
        # Kept in the store's type: half the memory, converted row by row.
        cells = [
            torch.empty((at_once, *level.shape), dtype=_tensor(level).dtype, device=self.device) for level in first.block.cells
        ]
        masks = torch.empty((at_once, *first.mask.shape), dtype=torch.long)

        def load(images: Iterable[Labelled]) -> int:
            count = 0
            for slot, labelled in enumerate(images):
                for tensor, level in zip(cells, labelled.block.cells, strict=True):
                    tensor[slot] = _tensor(level)
                masks[slot] = _tensor(labelled.mask)
                count = slot + 1
            return count

        if at_once == len(names):
            load(chain([first], data.read(names[1:], keep=False)))
            yield cells, masks, True
            return
        del first
        while True:
            order = torch.randperm(len(names), generator=generator).tolist()
            for start in range(0, len(order), at_once):
                count = load(data.read([names[index] for index in sorted(order[start : start + at_once])], keep=False))
                yield [level[:count] for level in cells], masks[:count], False

    def _loss_on(self, data: TrainingData) -> float:
        total, count = 0.0, 0
        for labelled in data:
            opinions = self.opinions(labelled.block, data.rows)
            labels = row_labels(labelled.mask, len(labelled.block.timesteps), labelled.block.draws, data.rows)
            used = np.flatnonzero(labels != IGNORE)
            own = opinions[:, used, labels[used]]
            total -= float(np.log(np.maximum(own, 1e-12), dtype=np.float64).mean(axis=0).sum())
            count += len(used)
        return total / count


@dataclass
class _EarlyStop:
    """The best weights so far, and how long ago that was."""

    patience: int
    best: float = np.inf
    iteration: int = 0
    waited: int = 0
    weights: dict[str, Any] | None = None

    def look(self, loss: float, iteration: int, network: Committee) -> bool:
        """Take note of a loss; whether to stop."""
        if loss < self.best:
            self.best, self.iteration, self.waited = loss, iteration, 0
            self.weights = copy.deepcopy(network.state_dict())
            return False
        self.waited += 1
        return self.waited >= self.patience


def flatness(curve: Sequence[float]) -> float:
    """How much the training loss still fell: its last tenth against the tenth before, relative; near zero when flat."""
    tenth = max(1, len(curve) // 10)
    last, before = (
        float(np.mean(curve[-tenth:])),
        float(np.mean(curve[-2 * tenth : -tenth] if len(curve) > tenth else curve[:1])),
    )
    return (before - last) / max(before, 1e-12)


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array's own memory where it can be written to, else a copy: torch has no read-only tensors."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
