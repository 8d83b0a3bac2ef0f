"""The MLP head: Adam on random pixels, or on whole images as in the paper.

TEDM's loss is the mean cross-entropy over images, pixels and timesteps of one shared classifier; concatenated rows give LEDM's.
Members of an ensemble start from different weights and see different random pixels. Every draw is a function of the seed and of
the number of its iteration or epoch, so that a fit which was interrupted goes on to the bits of one that was not.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from tedm.errors import TedmError
from tedm.heads.base.classifier import Classifier
from tedm.heads.data.dataset import Labelled, TrainingData
from tedm.heads.data.rows import RowLayout, as_tensor, gather_rows, row_labels
from tedm.heads.data.sampling import ClassWeight, class_weights
from tedm.heads.mlp.batches import IMAGES, PIXELS, ROWS, Window, draw
from tedm.heads.mlp.checkpoint import Checkpoint, FitState
from tedm.heads.mlp.layers import working_bytes
from tedm.heads.mlp.network import Committee, hidden_sizes, mean_losses
from tedm.heads.runtime.memory import SLACK
from tedm.heads.voting.vote import PlainRule, vote
from tedm.signals import deferred_signals
from tedm.store import IGNORE, Block
from tedm.threads import read_ahead

WEIGHTS = "weights.safetensors"
# Validation loss is looked at this often while stopping early.
CHECKS = 50
# Rows in memory that are predicted at once.
ROWS_AT_ONCE = 2**14
# Where memory holds some of the images, batches of pixels still meet each this often, at least.
PASSES = 2


class MLPHead(Classifier):
    """A small MLP, or an ensemble of them.

    How well batches mix images: whole images are drawn by a new permutation of all of them each epoch, whatever the memory.
    Pixels are drawn from all images where an eighth of the memory budget holds them, and else from a window of K images
    (`account`: `images_mixed`). Each turn, the image that has been there longest gives way to the next of an endless stream of
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
        class_weight: ClassWeight = None,
        vote: PlainRule = "soft",
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
        self.class_weight = class_weight
        self.vote = vote
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on rows in memory: X of shape (rows, features), y of shape (rows,) with any labels."""
        X, indices = self._checked_rows(X, y, "float32")
        rows, labels = as_tensor(X).to(self.device), torch.from_numpy(indices).to(self.device)
        self._begin(X.shape[1], self.classes_, np.bincount(indices))

        def learn() -> Generator[Tensor]:
            for iteration in range(self.iterations):
                drawn = draw(self.seed, ROWS, iteration).integers(len(rows), size=(self.members, self.pixels_per_batch))
                chosen = torch.from_numpy(drawn).to(self.device)
                yield self._learn_rows(rows[chosen], labels[chosen])

        self._train(lambda state: learn(), FitState(0), None, None, None)
        return self

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Callable[[int, int, float], None] | None = None,
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
        self._begin(data.n_features, np.arange(len(data.classes)), counts)
        self.network_.get_buffer("seen").copy_(torch.from_numpy(counts > 0))
        names = [name for name in data.names if (data.masks[name] != IGNORE).any()]
        saved = None
        if checkpoint is not None:
            saved = Checkpoint(Path(checkpoint), self._identity(data, names, validation))
        state = (saved.read() if saved is not None else None) or FitState(self._window_images(data, names))
        self.images_mixed_, self.images_in_all_ = state.window or len(names), len(names)
        self._require(data, names, state.window)
        held = self._taken(data, names, state.window)
        if not data.budget.keep(held):
            if state.window > 1:
                raise TedmError(
                    f"the checkpoint {checkpoint} was made with {state.window} images in memory, for which the budget is too "
                    "small now; give as much --memory as before, or delete it to start again"
                )
            held = 0  # one image is never too many: `data` has made sure
        learn = self._learn_images if self.batch == "images" else self._learn_pixels
        try:
            self._train(lambda state: learn(data, names, state), state, validation, progress, saved)
        finally:
            data.budget.give_back(held)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Probabilities of shape (rows, classes), the members merged by `vote`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float32", reset=False)
        network = self.network_.eval()
        with torch.inference_mode():
            logits = [network(rows[None].to(self.device)).cpu() for rows in torch.split(as_tensor(X), ROWS_AT_ONCE)]
        return vote(torch.cat(logits, dim=1).softmax(dim=-1).numpy(), rule=self.vote)

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float32]:
        """Probabilities for a block's rows: shape (members, rows, classes)."""
        check_is_fitted(self)
        cells = [as_tensor(level).to(self.device) for level in block.cells]
        probabilities = self.network_.probabilities(cells, block.size, block.upsampling, rows)
        return np.asarray(probabilities.cpu().numpy())

    def account(self) -> dict[str, Any]:
        """What came of the fit."""
        return {
            "iterations": self.n_iter_,
            "loss_curve": self.loss_curve_,
            "validation_curve": self.validation_curve_,
            "images_mixed": getattr(self, "images_mixed_", None),
            "images_in_all": getattr(self, "images_in_all_", None),
            "relative_fall_of_the_loss_in_its_last_tenth": flatness(self.loss_curve_),
            "device": self.device,
            "threads": torch.get_num_threads(),  # another number sums in another order: other last bits, another path
        }

    def save(self, folder: Path) -> None:
        """Write the weights."""
        state = self.network_.state_dict()
        save_file({name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in state.items()}, folder / WEIGHTS)

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        if self.hidden is not None:
            self.hidden = tuple(self.hidden)  # JSON knows lists only
        network = Committee(self.members, features, self.hidden or hidden_sizes(classes), classes, torch.Generator())
        arrays = {"seen": np.ones(classes, bool), **load_file(folder / WEIGHTS)}  # older heads saw all of their classes
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        self.network_ = network.to(self.device).eval()
        self.classes_, self.n_features_in_ = np.arange(classes), features

    # -- training ----------------------------------------------------------------------------------------------------

    def _begin(self, features: int, classes: NDArray[Any], counts: NDArray[np.int64]) -> None:
        """Initial weights, after a look at the settings; `counts`: rows or pixels of each class."""
        for what in ("members", "pixels_per_batch", "images_per_batch", "iterations"):
            if getattr(self, what) < 1:
                raise TedmError(f"{what} is {getattr(self, what)}; it must be at least 1")
        if self.batch not in ("pixels", "images"):
            raise TedmError(f"there are no batches of {self.batch!r}; choose pixels or images")
        if not self.learning_rate > 0:
            raise TedmError(f"the learning rate is {self.learning_rate}; it must be above 0")
        self.classes_ = classes
        self._class_weight: Tensor | None = None
        if self.class_weight is not None:
            weights = class_weights(self.class_weight, classes.tolist(), counts)
            self._class_weight = torch.from_numpy(weights).float().to(self.device)
        generator = torch.Generator().manual_seed(self.seed)
        hidden = self.hidden or hidden_sizes(len(classes))
        self.network_ = Committee(self.members, features, hidden, len(classes), generator).to(self.device)
        # Here, before anybody looks at how much memory is left: torch imports its compiler (70 MB) for its first optimiser.
        # fused: one pass over the weights; they outweigh the rows of an ensemble's small batches
        self._optimiser = torch.optim.Adam(self.network_.parameters(), lr=self.learning_rate, fused=True)

    def _train(
        self,
        learn: Callable[[FitState], Generator[Tensor]],
        state: FitState,
        validation: TrainingData | None,
        progress: Callable[[int, int, float], None] | None,
        saved: Checkpoint | None,
    ) -> None:
        """Adam until the iterations are used up, or the validation loss has stopped falling.

        `learn` starts at a state's iteration; each of its items is the mean loss of the next, whose gradients it has left in
        the parameters.
        """
        network, optimiser = self.network_, self._optimiser
        state.restore(network, optimiser, self.device)
        look_every = max(1, self.iterations // CHECKS)
        self.loss_curve_, self.validation_curve_ = state.loss_curve, state.validation_curve
        statistics: dict[str, Tensor] = {}
        try:
            with contextlib.closing(learn(state)) as losses:
                while not state.stopped(self.patience):
                    if self.patience is not None and validation is not None and state.iteration // look_every > state.looks:
                        loss = self._loss_on(validation)
                        with deferred_signals():
                            state.look(loss, network)
                        continue
                    if state.iteration == self.iterations:
                        break
                    network.train()
                    if saved is not None:  # what an interrupted iteration has changed already
                        statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
                    each = next(losses)
                    with deferred_signals():  # weights, Adam's state and the iteration's number change together or not at all
                        optimiser.step()
                        told = state.count(each, self.iterations)
                        statistics = {}
                    if told and not np.isfinite(state.loss_curve[-1]):
                        raise TedmError(
                            f"the loss is no longer finite after {state.iteration} iterations; lower the learning rate"
                        )
                    if told and progress is not None:
                        progress(state.iteration, self.iterations, state.loss_curve[-1])
                    if saved is not None and saved.due():
                        saved.write(state, network, optimiser)
        except (KeyboardInterrupt, SystemExit):
            if saved is not None:
                for name, buffer in statistics.items():
                    network.get_buffer(name).copy_(buffer)
                saved.write(state, network, optimiser)
            raise
        if saved is not None:  # until the head is saved
            saved.write(state, network, optimiser)
        self.n_iter_ = self.iterations
        if state.best_weights is not None:
            network.load_state_dict(state.best_weights)
            self.n_iter_ = state.best_iteration
        network.eval()
        del self._optimiser

    def _learn_rows(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Gradients and mean loss from rows of shape (members, rows, features)."""
        self.network_.zero_grad(set_to_none=True)
        # The members share no weight: the sum of their mean losses trains each as if it were alone.
        losses = mean_losses(self.network_(rows), labels, self._class_weight)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach().mean()

    def _learn_pixels(self, data: TrainingData, names: Sequence[str], state: FitState) -> Generator[Tensor]:
        """Rows of random labelled pixels, each member its own."""
        settings = data.features.settings
        size = settings.image_size
        with contextlib.closing(self._windows(data, names, state)) as windows:
            for iteration, window in enumerate(windows, start=state.iteration):
                random = draw(self.seed, PIXELS, iteration)
                image, pixel = window.draw(random, self.members * self.pixels_per_batch)
                labels = window.masks[image, pixel].to(torch.long).to(self.device)
                image, pixel = image.to(self.device), pixel.to(self.device)
                where = (image, pixel // size, pixel % size)
                rows = gather_rows(window.cells, where, size, settings.upsampling, data.rows)
                labels = labels.repeat_interleave(len(rows) // len(labels))
                yield self._learn_rows(rows.view(self.members, -1, rows.shape[-1]), labels.view(self.members, -1))

    def _windows(self, data: TrainingData, names: Sequence[str], state: FitState) -> Generator[Window]:
        """The window of each iteration: the same object, whose images change in place."""
        held = state.window
        every = self._turn_every(data, names)
        past = state.iteration // every if held < len(names) else 0
        # Image p of the stream lies in slot p % held: the one that it replaces is the oldest.
        window = Window(held, data, self.device)
        working = held * data.block_bytes
        for position, labelled in enumerate(data.read(self._stream(names, past, held), working=working, keep=False), past):
            window.put(position % held, labelled)
            del labelled
        if held == len(names):
            while True:
                yield window
        turns = (self.iterations - 1) // every
        coming = data.read(self._stream(names, past + held, turns - past), keep=False)
        with contextlib.closing(coming):  # type: ignore[type-var]
            for iteration in range(state.iteration, self.iterations):
                if iteration // every > past:
                    window.put(past % held, next(coming))
                    past += 1
                yield window

    def _stream(self, names: Sequence[str], start: int, count: int) -> list[str]:
        """Part of the endless stream of permutations of the images."""
        out: list[str] = []
        for epoch in range(start // len(names), (start + max(count, 0) - 1) // len(names) + 1):
            out += [names[index] for index in draw(self.seed, IMAGES, epoch).permutation(len(names))]
        return out[start % len(names) :][: max(count, 0)]

    def _turn_every(self, data: TrainingData, names: Sequence[str]) -> int:
        """Iterations between two turns: a pass over the pixels is one over the images, or there are `PASSES` in all."""
        pixels = sum(data.labelled_pixels(name) for name in names) // len(names)
        return max(1, min(pixels // self.pixels_per_batch, self.iterations // (PASSES * len(names))))

    def _learn_images(self, data: TrainingData, names: Sequence[str], state: FitState) -> Generator[Tensor]:
        """Whole images, the same for all members, read once; what does not fill a batch is left out of its epoch."""
        settings = data.features.settings
        at_once = min(self.images_per_batch, len(names))
        need = self._images_need(data, names, at_once) + max(at_once, 2) * data.block_bytes
        ahead = max(1, at_once - 1) if need * SLACK <= data.budget.left() else 0

        def blocks() -> Iterator[Labelled]:
            for iteration in range(state.iteration, self.iterations):
                for name in self._image_batch(data, names, iteration):
                    yield from data.read([name])

        with contextlib.closing(read_ahead(blocks(), ahead=ahead)) as coming:  # type: ignore[type-var]
            for _ in range(state.iteration, self.iterations):
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
                ).mean()
                del cells, labels  # before the next batch comes: two in memory, not three
                yield loss

    def _image_batch(self, data: TrainingData, names: Sequence[str], iteration: int) -> list[str]:
        """A part of the epoch's permutation of all images, in the features' order."""
        at_once = min(self.images_per_batch, len(names))
        epoch, batch = divmod(iteration, len(names) // at_once)
        order = draw(self.seed, IMAGES, epoch).permutation(len(names))
        chosen = [names[index] for index in order[batch * at_once : (batch + 1) * at_once]]
        return sorted(chosen, key=data.features.labels.index)

    # -- memory ------------------------------------------------------------------------------------------------------

    def _window_images(self, data: TrainingData, names: Sequence[str]) -> int:
        """Images of which batches of pixels are drawn at a time; 0 for batches of images."""
        if self.batch == "images":
            return 0
        most, left = min(len(names), data.budget.keepable() // data.block_bytes), data.budget.left() / SLACK
        return next((window for window in range(most, 1, -1) if self._pixels_need(data, window) <= left), 1)

    def _taken(self, data: TrainingData, names: Sequence[str], window: int) -> int:
        """Bytes that batches are made of; they come out of the part of the budget that keeps blocks between passes."""
        if self.batch == "pixels":
            return window * data.block_bytes
        if len(names) * data.block_bytes <= data.budget.keepable():  # batches are made of what stays
            return 0
        return min(min(self.images_per_batch, len(names)) * data.block_bytes, data.budget.keepable())

    def _images_need(self, data: TrainingData, names: Sequence[str], images: int) -> int:
        """Bytes of steps on so many images, nothing read ahead."""
        parameters = list(self.network_.parameters())
        rows = data.features.settings.image_size**2 * data.rows_per_pixel
        step = working_bytes(images, rows, [weight.shape[-1] for weight in self.network_.weights])
        step += 2 * sum(parameter[0].nbytes for parameter in parameters)  # a member's gradients
        kept = min(data.budget.keepable(), len(names) * data.block_bytes)  # between passes
        cells = max(images * data.block_bytes, kept) + data.block_bytes + data.reading_bytes
        return cells + step + _adam_bytes(parameters)

    def _pixels_need(self, data: TrainingData, window: int) -> int:
        """Bytes of steps on random pixels of so many images."""
        rows = self.members * self.pixels_per_batch * data.rows_per_pixel
        widths = sum(weight.shape[-1] for weight in self.network_.weights)
        step = rows * (3 * data.n_features + 4 * widths) * 4  # gathered, side by side, in the product
        pixels = data.features.settings.image_size**2 * 13  # a mask, positions, weights
        cells = window * (data.block_bytes + pixels) + data.block_bytes + data.reading_bytes
        return int(cells + step + _adam_bytes(list(self.network_.parameters())))

    def _require(self, data: TrainingData, names: Sequence[str], window: int) -> None:
        """Refuse a budget that does not hold a step."""
        if self.batch == "images":
            asked = min(self.images_per_batch, len(names))
            left = data.budget.left() / SLACK
            fits = [images for images in range(1, asked) if self._images_need(data, names, images) <= left]
            remedy = f"--images-per-batch {fits[-1]} would fit" if fits else ""
            data.budget.require(self._images_need(data, names, asked), f"batches of {asked} whole images", remedy)
            return
        data.budget.require(
            self._pixels_need(data, window),
            f"batches of {self.pixels_per_batch} pixels beside the activations of {window} images",
            "a smaller --pixels-per-batch",
        )

    def _identity(self, data: TrainingData, names: Sequence[str], validation: TrainingData | None) -> dict[str, Any]:
        """What a checkpoint must share with a fit that goes on from it, by the names that a message gives."""
        parameters = {name: value for name, value in self.get_params().items() if name not in ("device", "vote")}
        return {
            **{name.replace("_", " "): value for name, value in parameters.items()},
            "features": [data.features.settings.to_json(), data.features.storage.to_json()],
            "timesteps": list(data.timesteps),
            "rows": data.rows,
            "sampling": data.sampling,
            "classes": list(data.classes),
            "images": list(names),
            "masks": _crc(data, names),
            "validation images": list(validation.names) if self.patience is not None and validation is not None else [],
            "validation masks": _crc(validation, validation.names)
            if self.patience is not None and validation is not None
            else 0,
        }

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


def _crc(data: TrainingData, names: Sequence[str]) -> int:
    """Of the masks."""
    crc = 0
    for name in names:
        crc = zlib.crc32(data.masks[name].tobytes(), crc)
    return crc


def _adam_bytes(parameters: Sequence[Tensor]) -> int:
    """Of gradients and two moments."""
    return 3 * sum(parameter.nbytes for parameter in parameters)


def flatness(curve: Sequence[float]) -> float:
    """How much the training loss still fell: its last tenth against the tenth before, relative; near zero when flat."""
    tenth = max(1, len(curve) // 10)
    last, before = (
        float(np.mean(curve[-tenth:])),
        float(np.mean(curve[-2 * tenth : -tenth] if len(curve) > tenth else curve[:1])),
    )
    return (before - last) / max(before, 1e-12)
