"""The MLP head: Adam on random pixels, or on whole images as in the paper.

TEDM's loss is the mean cross-entropy over images, pixels and timesteps of one shared classifier; concatenated rows give LEDM's.
Members of an ensemble start from different weights and see different random pixels. Every draw is a function of the seed and of
the number of its iteration or epoch, so that a fit which was interrupted goes on to the bits of one that was not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.heads.base.checkpoint import Checkpoint, FitState
from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport, Progress
from tedm.heads.base.loop import Loop, adam, rate_of_step
from tedm.heads.base.weights import write_weights
from tedm.heads.data.dataset import Labelled, TrainingData
from tedm.heads.data.rows import RowLayout, as_tensor, gather_rows
from tedm.heads.data.sampling import ClassWeight, class_weights, draw
from tedm.heads.mlp.asked import identity, precision_of, require_settings, revision
from tedm.heads.mlp.batches import ROWS, Batches
from tedm.heads.mlp.dropout import dropout_of_step
from tedm.heads.mlp.inputs import input_statistics, row_statistics
from tedm.heads.mlp.kept import read_network
from tedm.heads.mlp.looks import mean_loss
from tedm.heads.mlp.memory import Memory, require_weights
from tedm.heads.mlp.network import Committee, hidden_sizes
from tedm.heads.mlp.pace import Pace
from tedm.heads.runtime.memory import SLACK, Budget
from tedm.heads.voting.vote import PlainRule, vote
from tedm.store import IGNORE, Block
from tedm.threads import read_ahead

WEIGHTS = "weights.safetensors"
# Rows in memory that are predicted at once.
ROWS_AT_ONCE = 2**14


class MLPHead(Classifier):
    """A small MLP, or an ensemble of them.

    How well batches mix images: whole images are drawn by a new permutation of all of them each epoch, whatever the memory.
    Pixels are drawn from all images where an eighth of the memory budget holds them, and else from a window of K images
    (`report`: `images_mixed`). Each turn, the image that has been there longest gives way to the next of an endless stream of
    permutations: all are met equally often, each time beside K - 1 others, and at least twice in a fit of as many iterations.

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
    decay : bool
        Whether the learning rate falls to nothing in the end, as nnU-Net's does.
    weight_decay : float
        Part of the weights that each step takes away, times the learning rate (AdamW, arXiv:1711.05101).
    label_smoothing : float
        Part of a pixel's label that is given to all classes alike, from 0 to below 1.
    dropout : float
        Part of the hidden units that is left out of a step, from 0 to below 1; of batches of pixels only.
    standardise : bool
        Whether features are brought to the mean 0 and the deviation 1 of the training images first.
    patience : int or None
        Needs validation images: stop when that many of 50 equally spaced looks in a row bring no better loss, and keep the best
        weights. None never stops early.
    class_weight : {"balanced"}, mapping of class to weight, or None
        How much a row of each class counts in the loss, the mean weighted by it (`tedm.heads.data.sampling.class_weights`).
    vote : {"soft", "hard", "geometric", "entropy"}
        How members merge in `predict_proba`.
    seed : int
        Of weights and batches.
    device : {"cpu", "cuda"}
        Where to train and predict.
    precision : {"auto", "float32", "bfloat16"}
        Of the products of all layers but the last in training on random pixels; all else is float32. "auto" is bfloat16 for
        activations on a CPU that multiplies faster in it (`tedm.devices.choose_precision`), float32 for rows in memory. Only
        "float32" makes a seed give the same bits on such a CPU and on others.

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
    precision_ : {"float32", "bfloat16"}
        That of the fit.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={
            "iterations": "iterations",
            "learning_rate": "learning_rate",
            "batch": "batch",
            "pixels_per_batch": "pixels_per_batch",
            "images_per_batch": "images_per_batch",
            "patience": "patience",
            "class_weight": "class_weight",
            "precision": "precision",
        },
        from_method=frozenset({"members", "vote", "pixels_per_batch"}),
        takes_seed=True,
        takes_device=True,
        resumes=True,
    )

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
        decay: bool = False,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        standardise: bool = False,
        patience: int | None = None,
        class_weight: ClassWeight = None,
        vote: PlainRule = "soft",
        seed: int = 0,
        device: str = "cpu",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> None:
        self.members = members
        self.hidden = hidden
        self.batch = batch
        self.pixels_per_batch = pixels_per_batch
        self.images_per_batch = images_per_batch
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.decay = decay
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.standardise = standardise
        self.patience = patience
        self.class_weight = class_weight
        self.vote = vote
        self.seed = seed
        self.device = device
        self.precision = precision

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, indices = self._checked_rows(X, y, "float32")
        rows, labels = as_tensor(X).to(self.device), torch.from_numpy(indices).to(self.device)
        self._begin(X.shape[1], self.classes_, np.bincount(indices))
        if self.standardise:
            self.network_.inputs = row_statistics(rows)

        def learn() -> Generator[Tensor]:
            for iteration in range(self.iterations):
                self._begin_step(iteration)
                drawn = draw(self.seed, ROWS, iteration).integers(len(rows), size=(self.members, self.pixels_per_batch))
                chosen = torch.from_numpy(drawn).to(self.device)
                yield self._learn_rows(rows[chosen], labels[chosen])

        self._train(lambda state: learn(), FitState(0))
        return self

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
        """Fit on features.

        Parameters
        ----------
        data : TrainingData
            Images to learn from, and the budget that decides how many are in memory.
        validation : TrainingData or None
            Images that decide when to stop; used if `patience` is set.
        progress : callable (iteration, iterations, loss) or None
            Called a hundred times.
        checkpoint : Path or None
            File that this fit's state is written to once a minute, when it is interrupted, and at its end. If it is there
            already, the fit goes on from it and ends in the same bits (with as many threads on the same kind of machine).
            Delete it once the head is saved.

        Raises
        ------
        TedmError
            If settings are wrong, the budget is too small, the loss diverges, or the checkpoint is another fit's.
        """
        if self.patience is not None and validation is None:
            raise TedmError("patience needs validation images to stop by; give some, or leave patience out")
        counts = data.class_counts()
        self.n_features_in_ = data.n_features
        self._begin(data.n_features, np.arange(len(data.classes)), counts, data.budget)
        self.network_.get_buffer("seen").copy_(torch.from_numpy(counts > 0))
        if self.standardise:
            self.network_.inputs = input_statistics(data, self.device)
        names = [name for name in data.names if (data.masks[name] != IGNORE).any()]
        saved = None
        if checkpoint is not None:
            saved = Checkpoint(Path(checkpoint), identity(self.get_params(), data, names, validation))
        memory = Memory(self._batches(), data, names, self.network_)
        state = (saved.read() if saved is not None else None) or FitState(memory.window_images())
        self.images_mixed_, self.images_in_all_ = state.window or len(names), len(names)
        memory.require(state.window)
        held = memory.held(state.window)
        if not data.budget.keep(held):
            if state.window > 1:
                raise TedmError(
                    f"the checkpoint {checkpoint} was made with {state.window} images in memory, for which the budget is too "
                    "small now; give as much --memory as before, or delete it to start again"
                )
            held = 0  # one image is never too many: `data` has made sure
        learn = self._learn_images if self.batch == "images" else self._learn_pixels
        try:
            self._train(lambda state: learn(memory, state), state, validation, progress, saved)
        finally:
            data.budget.give_back(held)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Return probabilities of shape (rows, classes), the members merged by `vote`."""
        self._require_fitted()
        X = self._rows_to_predict(X, "float32")
        network = self.network_.eval()
        with torch.inference_mode():
            logits = [network(rows[None].to(self.device)).cpu() for rows in torch.split(as_tensor(X), ROWS_AT_ONCE)]
        return vote(torch.cat(logits, dim=1).softmax(dim=-1).numpy(), rule=self.vote)

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float32]:
        """Return probabilities for a block's rows: shape (members, rows, classes)."""
        self._require_fitted()
        cells = [as_tensor(level).to(self.device) for level in block.cells]
        probabilities = self.network_.probabilities(cells, block.size, block.upsampling, rows)
        return np.asarray(probabilities.cpu().numpy())

    def report(self) -> FitReport:
        """Tell what came of the fit: losses, and how well batches mixed images."""
        return FitReport(
            iterations=self.n_iter_,
            loss_curve=tuple(self.loss_curve_),
            validation_curve=tuple(self.validation_curve_),
            details={
                "images_mixed": getattr(self, "images_mixed_", None),
                "images_in_all": getattr(self, "images_in_all_", None),
                "device": self.device,
                "precision": self.precision_,
                "revision": revision(self.batch, self.precision_),
                "threads": torch.get_num_threads(),  # another number sums in another order: other last bits, another path
            },
        )

    def save(self, folder: Path) -> None:
        """Write the weights."""
        state = self.network_.state_dict()
        write_weights(folder / WEIGHTS, {name: tensor.cpu().numpy() for name, tensor in state.items()})

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        if self.hidden is not None:
            self.hidden = tuple(self.hidden)  # JSON knows lists only
        network = read_network(folder / WEIGHTS, self.members, self.hidden, features, classes)
        self.network_ = network.to(self.device).eval()
        self.classes_, self.n_features_in_ = np.arange(classes), features

    def require_settings(self) -> None:
        """Refuse settings that make no fit."""
        require_settings(self.get_params())

    def _begin(self, features: int, classes: NDArray[Any], counts: NDArray[np.int64], budget: Budget | None = None) -> None:
        """Check settings and draw initial weights; `counts`: rows or pixels of each class. Rows in memory have no budget."""
        self.require_settings()
        hidden = self.hidden or hidden_sizes(len(classes))
        if budget is not None:
            require_weights(budget, self.members, features, hidden, len(classes))
        self.precision_ = precision_of(self.get_params(), arrays=budget is None)
        self.classes_ = classes
        self._class_weight: Tensor | None = None
        if self.class_weight is not None:
            weights = class_weights(self.class_weight, classes.tolist(), counts)
            self._class_weight = torch.from_numpy(weights).float().to(self.device)
        generator = torch.Generator().manual_seed(self.seed)
        self.network_ = Committee(self.members, features, hidden, len(classes), generator).to(self.device)
        self.network_.rounds = self.precision_ == "bfloat16"
        self._optimiser = adam(self.network_, self.learning_rate, self.weight_decay)

    def _train(
        self,
        learn: Callable[[FitState], Generator[Tensor]],
        state: FitState,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        saved: Checkpoint | None = None,
    ) -> None:
        """Train the network, and keep what came of it."""
        self._pace = Pace(self.network_, self.device)
        look = None if validation is None else lambda: self._pace.with_all_threads(lambda: mean_loss(self.opinions, validation))
        loop = Loop(self.network_, self._optimiser, self.iterations, self.patience, look, self.device)
        self.loss_curve_, self.validation_curve_ = state.loss_curve, state.validation_curve
        with self._pace:
            self.n_iter_ = loop.run(learn, state, progress, saved)
        self.network_.settle()
        del self._optimiser, self._pace

    def _learn_rows(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Compute gradients and return the mean loss, from rows of shape (members, rows, features)."""

        def learn() -> Tensor:
            return self.network_.learn_rows(rows, labels, self._class_weight, self.label_smoothing, self._dropout)

        losses = learn() if self._dropout is not None else self._pace.step(learn)  # what is left out is drawn at each call
        return losses.mean()

    def _begin_step(self, iteration: int) -> None:
        rate = rate_of_step(self.learning_rate, iteration, self.iterations, decay=self.decay)
        self._optimiser.param_groups[0]["lr"] = rate
        self._dropout = dropout_of_step(self.dropout, self.seed, iteration)

    def _learn_pixels(self, memory: Memory, state: FitState) -> Generator[Tensor]:
        """Learn from rows of random labelled pixels, each member from its own."""
        data = memory.data
        settings = data.features.settings
        size = settings.image_size
        # Cells are rounded once; not before their mean is taken away, which may be large beside what they differ in.
        dtype = torch.bfloat16 if self.network_.rounds and not self.standardise else None
        made = memory.batches.drawn(
            data, memory.names, images=state.window, start=state.iteration, device=self.device, dtype=dtype
        )
        with contextlib.closing(made) as batches:
            for iteration, (window, drawn) in enumerate(batches, start=state.iteration):
                self._begin_step(iteration)
                rows = gather_rows(window.cells, drawn.where, size, settings.upsampling, data.rows, dtype or torch.float32)
                labels = drawn.labels.repeat_interleave(len(rows) // len(drawn.labels))
                yield self._learn_rows(rows.view(self.members, -1, rows.shape[-1]), labels.view(self.members, -1))

    def _learn_images(self, memory: Memory, state: FitState) -> Generator[Tensor]:
        """Learn from whole images, the same for all members, read once; what does not fill a batch is left out."""
        data = memory.data
        settings = data.features.settings
        at_once = memory.batches.images_at_once(len(memory.names))
        need = memory.images_need(at_once) + max(at_once, 2) * data.block_bytes
        ahead = max(1, at_once - 1) if need * SLACK <= data.budget.left() else 0

        def blocks() -> Iterator[Labelled]:
            for iteration in range(state.iteration, self.iterations):
                for name in memory.batches.whole_images(data, memory.names, iteration):
                    yield from data.read([name])

        with contextlib.closing(read_ahead(blocks(), ahead=ahead)) as coming:  # type: ignore[type-var]
            for iteration in range(state.iteration, self.iterations):
                self._begin_step(iteration)
                batch = [next(coming) for _ in range(at_once)]
                cells = [[as_tensor(level).to(self.device) for level in labelled.block.cells] for labelled in batch]
                labels = torch.cat([as_tensor(labelled.mask).flatten().repeat(data.rows_per_pixel) for labelled in batch])
                del batch
                loss = self.network_.learn_images(
                    cells,
                    labels.to(self.device).long(),
                    self._class_weight,
                    settings.image_size,
                    settings.upsampling,
                    data.rows,
                    self.label_smoothing,
                ).mean()
                del cells, labels  # before the next batch comes: two in memory, not three
                yield loss

    def _batches(self) -> Batches:
        return Batches(self.batch, self.members, self.pixels_per_batch, self.images_per_batch, self.iterations, self.seed)
