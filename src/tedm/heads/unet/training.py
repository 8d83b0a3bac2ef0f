"""The steps of a fit: images drawn, changed, and learned from; and looks at the loss on images that are not learned from.

Everything random in a step is drawn from (seed, iteration) alone.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tedm.augmentation import Changes, changed
from tedm.heads.base.checkpoint import FitState
from tedm.heads.base.loop import rate_of_step
from tedm.heads.data.sampling import draw
from tedm.heads.unet.losses import LossName, segmentation_loss
from tedm.heads.unet.network import SegmentationNet
from tedm.heads.unet.pictures import Pictures, images_of_step
from tedm.store import IGNORE

# What is drawn, beside the images of a step (`tedm.heads.unet.pictures`).
CHANGES = 1
# Training images that a fit is looked at on when it has ended, at least, where there are as many.
LOOKED_AT = 16


@dataclass(frozen=True)
class Training:
    """What a fit does at each step; the arguments are those of `UNetHead`.

    Parameters
    ----------
    network : SegmentationNet
    optimiser : torch.optim.Adam
        Of its parameters.
    iterations, learning_rate, decay
    batch : int
        Images of a step.
    loss, precision, augment, mirror, seed
    class_weight : tensor of shape (classes,) or None
    device : str
    """

    network: SegmentationNet
    optimiser: torch.optim.Adam
    iterations: int
    learning_rate: float
    decay: bool
    batch: int
    loss: LossName
    precision: Literal["float32", "bfloat16"]
    augment: bool
    mirror: bool
    class_weight: Tensor | None
    seed: int
    device: str

    def steps(self, pictures: Pictures, state: FitState) -> Generator[Tensor]:
        """Leave gradients in the parameters, and yield the loss of each step."""
        for iteration in range(state.iteration, self.iterations):
            images, labels = pictures.batch(images_of_step(self.seed, iteration, self.batch, len(pictures)))
            if self.augment:
                images, labels = augmented(images, labels, self.seed, iteration, mirror=self.mirror)
            rate = rate_of_step(self.learning_rate, iteration, self.iterations, decay=self.decay)
            self.optimiser.param_groups[0]["lr"] = rate
            self.network.zero_grad(set_to_none=True)
            loss = self._loss(images, labels, rounds=self.precision == "bfloat16")
            loss.backward()  # type: ignore[no-untyped-call]
            yield loss.detach()

    @torch.no_grad()
    def loss_on(self, pictures: Pictures) -> float:
        """Return the mean loss over images as they are, one after the other."""
        self.network.eval()
        return float(np.mean([float(self._loss(*pictures.batch([index]))) for index in range(len(pictures))]))

    @torch.inference_mode()
    def classes_found(self, pictures: Pictures) -> tuple[int, int]:
        """Return how many classes have a pixel found where it is, in some of the images, and how many these show.

        The first class, the background, is not counted.
        """
        self.network.eval()
        found, shown = set[int](), set[int]()
        for index in range(0, len(pictures), max(1, len(pictures) // LOOKED_AT)):
            images, labels = pictures.batch([index])
            known = labels != IGNORE
            right = known & (self.network(images.to(self.device)).argmax(dim=1).cpu() == labels)
            shown |= set(labels[known].tolist())
            found |= set(labels[right].tolist())
        return len(found - {0}), len(shown - {0})

    def _loss(self, images: Tensor, labels: Tensor, *, rounds: bool = False) -> Tensor:
        # Weights stay float32, and so does all that sums over an image: losses, and what autocast knows to need it.
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=rounds):
            logits = self.network(images.to(self.device))
        logits, seen = logits.float(), self.network.get_buffer("seen")
        return segmentation_loss(logits, labels.to(self.device), self.loss, seen=seen, class_weight=self.class_weight)


def augmented(images: Tensor, labels: Tensor, seed: int, iteration: int, *, mirror: bool) -> tuple[Tensor, Tensor]:
    """Return a step's images and masks as they are changed at that step, and at no other."""
    generator = torch.Generator().manual_seed(int(draw(seed, CHANGES, iteration).integers(2**62)))
    return changed(images, labels, Changes.draw(images.shape, generator, mirror=mirror))
