"""The head that looks at images: a segmentation network, from random weights or from pretrained ones.

It sees no activations: what few labels teach a network of its own is what features are to be compared with. As published or
fair is a matter of its arguments (`tedm.heads.segmenter.published`). Everything random in a step is drawn from (seed,
iteration) alone, so that an interrupted fit goes on to the bits of one that was not. It predicts in float32.
"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.devices import repeatable_convolutions
from tedm.errors import TedmError
from tedm.heads.base.checkpoint import Checkpoint, FitState, put_tensors, tensors_of
from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport, Progress
from tedm.heads.base.loop import Loop, adam
from tedm.heads.base.weights import read_weights, require_finite, write_weights
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import ClassWeight, class_weights
from tedm.heads.unet.asked import Steps, precision_of, rate_of, require_choices, shape_asked_for, told_timestep
from tedm.heads.unet.losses import LossName
from tedm.heads.unet.memory import StepBytes
from tedm.heads.unet.network import (
    NetworkName,
    NetworkShape,
    SegmentationNet,
    initial_network,
    network_on_meta,
)
from tedm.heads.unet.pictures import Pictures, image_tensor
from tedm.heads.unet.start import (
    Start,
    parameters_of,
    require_objective,
    require_tensors,
    require_weights,
)
from tedm.heads.unet.training import Training
from tedm.jsons import JsonValue
from tedm.networks.pretrained import Pretrained
from tedm.store import Block

WEIGHTS = "weights.safetensors"
# Arguments that a checkpoint need not share as they were asked for: what came of a precision it must.
NO_MATTER = ("device", "precision")


class UNetHead(Classifier):
    """A segmentation network.

    Parameters
    ----------
    network : {"dynunet", "tedm"}
        MONAI's DynUNet (nnU-Net's architecture), or the UNet of the published TEDM.
    width : int or None
        Channels of the finest level; None takes the weights', or 16 (DynUNet) or 64 (TEDM's).
    multipliers : tuple of int or None
        Channels of each level in units of `width`, finest first; None takes the weights', or the network's own.
    start : {"", "diffusion", "global-cl", "global-local-cl"}
        What the weights that it starts from have learned (`start_from`); "" starts from random ones.
    timestep : int or None
        What a network that starts from a diffusion model is told, at least 0; None tells it 0. No other network is told one.
    loss : {"dice+ce", "ce"}
        See `tedm.heads.unet.losses`.
    iterations : int or None
        Optimiser steps, at least 1; None takes 300 for each class, and 75 for TEDM's UNet, which takes longer for each image.
    learning_rate : float or None
        Adam's; None takes 1e-3, and 3e-4 where it starts from weights.
    decay : bool
        Whether the learning rate falls to nothing in the end, as nnU-Net's does.
    images_per_batch : int or None
        Whole images of a step; None takes 8, and 4 for TEDM's UNet. Where there are fewer, augmentation makes several of each,
        and without it all are a batch.
    augment, mirror : bool
        Whether images are changed at random (`tedm.augmentation`), and whether sides may change.
    patience : int or None
        Needs validation images: stop when that many of 50 equally spaced looks in a row bring no better loss, and keep the best
        weights; 50 never stops early. None looks at none.
    class_weight : {"balanced"}, mapping of class to weight, or None
        How much a pixel of each class counts in the cross-entropy.
    precision : {"auto", "float32", "bfloat16"}
        Of the network's passes while it learns; its weights are float32. "auto" is bfloat16 where the device is faster in it
        (`tedm.devices.choose_precision`). On a GPU float32 multiplies factors in TF32 while it learns, not when it predicts.
    image_channels, image_size : int or None
        Of the images; None takes those that it is fitted on.
    seed : int
        Of weights, batches and augmentation.
    device : {"cpu", "cuda"}

    Attributes
    ----------
    classes_ : array of shape (classes,)
    network_ : SegmentationNet
    loss_curve_, validation_curve_ : list of float
        Mean training loss over each hundredth of the iterations; losses of the looks.
    n_iter_ : int
        Iterations behind the weights that were kept.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={
            "iterations": "iterations",
            "learning_rate": "learning_rate",
            "images_per_batch": "images_per_batch",
            "patience": "patience",
            "class_weight": "class_weight",
            "precision": "precision",
        },
        takes_seed=True,
        takes_device=True,
        resumes=True,
        looks_at_images=True,
        starts=True,
    )

    def __init__(
        self,
        network: NetworkName = "dynunet",
        *,
        width: int | None = None,
        multipliers: tuple[int, ...] | None = None,
        start: Start = "",
        timestep: int | None = None,
        loss: LossName = "dice+ce",
        iterations: int | None = None,
        learning_rate: float | None = None,
        decay: bool = True,
        images_per_batch: int | None = None,
        augment: bool = True,
        mirror: bool = False,
        patience: int | None = None,
        class_weight: ClassWeight = None,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        image_channels: int | None = None,
        image_size: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.network = network
        self.width = width
        self.multipliers = multipliers
        self.start = start
        self.timestep = timestep
        self.loss = loss
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.decay = decay
        self.images_per_batch = images_per_batch
        self.augment = augment
        self.mirror = mirror
        self.patience = patience
        self.class_weight = class_weight
        self.precision = precision
        self.image_channels = image_channels
        self.image_size = image_size
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Refuse rows: a `TedmError`."""
        raise TedmError("a unet learns from images and not from rows: fit it on features with fit_blocks")

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Refuse rows: a `TedmError`."""
        raise TedmError("a unet looks at images and not at rows: ask it with opinions, for a block that has its image")

    def require_settings(self) -> None:
        """Refuse names that there are not, and a learning rate that makes no fit."""
        require_choices(self.network, self.loss, self.start)
        rate_of(self.learning_rate, self.start)

    def needs_validation(self) -> bool:
        """Tell whether validation images decide which weights are kept."""
        return self.patience is not None

    def needs_weights(self) -> bool:
        """Tell whether it starts from pretrained weights."""
        return bool(self.start)

    def start_from(self, weights: Pretrained) -> None:
        """Take the weights that the next fit starts from.

        Parameters
        ----------
        weights : Pretrained

        Raises
        ------
        TedmError
            If they have learned something else than `start`, or are of another network.
        """
        require_objective(self.start, weights)
        for what in ("width", "multipliers", "image_channels", "image_size"):
            ours, theirs = getattr(self, what), getattr(weights, what)
            if ours is not None and not np.array_equal(ours, theirs):
                raise TedmError(f"the checkpoint's {what} is {theirs}, and {ours} was asked for; leave {what} out")
        self._weights: Pretrained | None = weights

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on the images and masks of features.

        Parameters
        ----------
        data : TrainingData
            Images to learn from, and the budget that decides whether they stay in memory.
        validation : TrainingData or None
            Images that decide which weights are kept; used if `patience` is set.
        progress : callable (iteration, iterations, loss) or None
            Called a hundred times.
        checkpoint : Path or None
            File that this fit's state is written to once a minute, when it is interrupted, and at its end. If it is there
            already, the fit goes on from it and ends in the same bits (with as many threads on the same kind of machine).
            Delete it once the head is saved.

        Raises
        ------
        TedmError
            If settings or weights are wrong, the budget is too small, the loss diverges, or the checkpoint is another fit's.
        """
        self.require_settings()
        steps = Steps.asked_for(self.network, len(data.classes), self.iterations, self.images_per_batch)
        steps.require(augment=self.augment, mirror=self.mirror, sampling=data.sampling)
        self.precision_ = precision_of(self.precision, self.device)
        rate, weights = rate_of(self.learning_rate, self.start), getattr(self, "_weights", None)
        require_weights(self.start, weights)
        if self.patience is not None and validation is None:
            raise TedmError("patience needs validation images to stop by; give some, or leave patience out")
        shape = shape_asked_for(
            data.features.settings,
            len(data.classes),
            network=self.network,
            width=self.width,
            multipliers=self.multipliers,
            image_channels=self.image_channels,
            image_size=self.image_size,
            start=self.start,
            timestep=self.timestep,
            weights=weights,
        )
        if weights is not None:
            seen = data.features.settings
            weights.require_images(seen.image_channels, seen.image_size)
            require_tensors(weights, shape)
        counts = data.class_counts()
        self._class_weight: Tensor | None = None
        if self.class_weight is not None:
            each = class_weights(self.class_weight, list(range(len(data.classes))), counts)
            self._class_weight = torch.from_numpy(each).float().to(self.device)
        batch = steps.images if self.augment else min(steps.images, len(data.names))
        StepBytes.of(shape).require(data.budget, batch)  # before anything is made
        self.classes_, self.n_features_in_ = np.arange(len(data.classes)), data.n_features
        pictures = Pictures(data)
        looked_at = None if validation is None or self.patience is None else Pictures(validation)
        try:
            identity = self._identity(shape, pictures, looked_at)
            saved = None if checkpoint is None else Checkpoint(Path(checkpoint), identity)
            state = (saved.read() if saved is not None else None) or FitState(0)
            self.shape_ = shape
            self.network_ = initial_network(shape, self.seed, None if weights is None else weights.tensors).to(self.device)
            self.network_.get_buffer("seen").copy_(torch.from_numpy(counts > 0))
            training = self._training(steps.iterations, batch, rate)
            look = None if looked_at is None else lambda: training.loss_on(looked_at)
            loop = Loop(self.network_, training.optimiser, steps.iterations, self.patience, look, self.device)
            self.loss_curve_, self.validation_curve_ = state.loss_curve, state.validation_curve
            with repeatable_convolutions(exact=False):
                self.n_iter_ = loop.run(lambda state: training.steps(pictures, state), state, progress, saved)
            self._found = training.classes_found(pictures)
        finally:
            pictures.give_back()
            if looked_at is not None:
                looked_at.give_back()
        self._about: dict[str, JsonValue] = {"parameters": parameters_of(self.network_), "images_in_all": len(pictures)}
        if weights is not None:
            self._about["start"] = {"objective": weights.objective, "sha256": weights.sha256}
        return self

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.float32]:
        """Return probabilities for the pixels of a block's image: shape (1, pixels, classes)."""
        self._require_fitted("network_")
        image, shape = block.image, self.shape_
        if image is None or image.shape != (shape.image_size, shape.image_size, shape.image_channels):
            what = "no image" if image is None else f"an image of shape {image.shape}"
            raise TedmError(
                f"the block of {block.name} has {what}; this head looks at images of {shape.image_size} x {shape.image_size} "
                f"pixels and {shape.image_channels} channels"
            )
        with torch.inference_mode(), repeatable_convolutions():
            logits = self.network_.eval()(image_tensor(image)[None].to(self.device))
            probabilities = logits[0].softmax(dim=0).movedim(0, -1).reshape(1, -1, shape.classes)
        return np.ascontiguousarray(probabilities.cpu().numpy())

    def report(self) -> FitReport:
        """Tell what came of the fit: losses, the size of the network, and the weights that it started from."""
        return FitReport(
            iterations=self.n_iter_,
            loss_curve=tuple(self.loss_curve_),
            validation_curve=tuple(self.validation_curve_),
            details={"device": self.device, "precision": self.precision_, "threads": torch.get_num_threads(), **self._about},
        )

    def remarks(self) -> list[str]:
        """Tell that the fit ended before the network found its classes, the background not counted."""
        found, shown = self._found
        if found == shown:
            return []
        return [
            f"after {self.n_iter_} iterations it finds {found} of the classes in images that it learned from, which show "
            f"{shown}; raise --iterations"
        ]

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one; of a fitted one with what it took from elsewhere."""
        arguments = super().constructor()
        shape = getattr(self, "shape_", None)
        if shape is not None:
            steps = Steps.asked_for(shape.network, shape.classes, self.iterations, self.images_per_batch)
            arguments |= {"iterations": steps.iterations, "images_per_batch": steps.images}
            arguments |= {"width": shape.width, "multipliers": list(shape.multipliers)}
            arguments |= {"image_channels": shape.image_channels, "image_size": shape.image_size}
        return arguments

    def save(self, folder: Path) -> None:
        """Write the weights."""
        tensors = tensors_of(self.network_)
        write_weights(folder / WEIGHTS, {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the weights."""
        if self.width is None or self.multipliers is None or self.image_channels is None or self.image_size is None:
            raise ValueError("its width, multipliers and images are not told")
        self.multipliers = tuple(self.multipliers)  # JSON knows lists only
        told = told_timestep(self.start, self.timestep)
        shape = NetworkShape(self.network, self.width, self.multipliers, self.image_channels, self.image_size, classes, told)
        try:
            # The file is looked at before a network of whatever size is made.
            shapes = {name: tuple(tensor.shape) for name, tensor in network_on_meta(shape).named_parameters()}
        except TedmError as error:
            if isinstance(error.__cause__, ImportError):  # a package that is not here: nothing is wrong with the head
                raise
            raise ValueError(str(error)) from error
        arrays = read_weights(folder / WEIGHTS, shapes, flags={"seen": (classes,)})
        if "seen" not in arrays or not arrays["seen"].any():
            raise ValueError(f"no class is seen in {WEIGHTS}")
        require_finite(arrays, where=WEIGHTS)
        network = SegmentationNet(shape)
        put_tensors(network, {name: torch.from_numpy(array) for name, array in arrays.items()})
        self.network_, self.shape_ = network.to(self.device).eval(), shape
        self.classes_, self.n_features_in_ = np.arange(classes), features

    # -- training ----------------------------------------------------------------------------------------------------

    def _training(self, iterations: int, batch: int, rate: float) -> Training:
        return Training(
            network=self.network_,
            optimiser=adam(self.network_, rate),
            iterations=iterations,
            learning_rate=rate,
            decay=self.decay,
            batch=batch,
            loss=self.loss,
            precision=self.precision_,
            augment=self.augment,
            mirror=self.mirror,
            class_weight=self._class_weight,
            seed=self.seed,
            device=self.device,
        )

    def _identity(self, shape: NetworkShape, pictures: Pictures, looked_at: Pictures | None) -> dict[str, JsonValue]:
        """Return what a checkpoint must share with a fit that goes on from it, by the names that a message gives."""
        weights = getattr(self, "_weights", None)
        chosen: dict[str, JsonValue] = {name: value for name, value in self.get_params().items() if name not in NO_MATTER}
        return {
            **{name.replace("_", " "): value for name, value in chosen.items()},
            **({"precision": self.precision_} if self.precision_ != "float32" else {}),  # the others are as before
            "width": shape.width,
            "multipliers": list(shape.multipliers),
            "steps": list(astuple(Steps.asked_for(self.network, shape.classes, self.iterations, self.images_per_batch))),
            "weights at the start": None if weights is None else weights.sha256,
            "classes": list(pictures.data.classes),
            "images": list(pictures.names),
            "pixels or masks": pictures.digest(),
            "validation images": [] if looked_at is None else list(looked_at.names),
            "validation pixels or masks": 0 if looked_at is None else looked_at.digest(),
        }
