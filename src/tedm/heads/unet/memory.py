"""What a step of training takes in memory, found out without taking it.

The network runs once without memory (torch's `meta` device), and what it would keep for the way back is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tedm.heads.runtime.memory import SLACK, Budget
from tedm.heads.unet.network import NetworkShape, network_on_meta

# What convolutions take beside what they keep: copies in another order, and gradients of what is kept, a layer at a time.
WORKING = 1.5
# Weights, their gradients, Adam's two moments, and the best weights of a fit that looks at validation images.
COPIES = 5
# Images that run through it: a single one goes another way in TEDM's UNet.
PROBED = 2


@dataclass(frozen=True)
class StepBytes:
    """Bytes of a step.

    Parameters
    ----------
    network : int
        Of the weights and what the optimiser keeps of them.
    image : int
        Of each image of a batch.
    """

    network: int
    image: int

    @classmethod
    def of(cls, shape: NetworkShape) -> StepBytes:
        """Count what a step on networks of this shape takes."""
        network = network_on_meta(shape)
        kept: dict[int, torch.UntypedStorage] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage  # held, so that no other takes its place
            return tensor

        images = torch.empty((PROBED, shape.image_channels, shape.image_size, shape.image_size), device="meta")
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            logits = network(images)
        weights = sum(parameter.nbytes for parameter in network.parameters())
        activations = max(0, sum(storage.nbytes() for storage in kept.values()) - weights) / len(logits)
        # probabilities, one-hot masks (of 64 bits), and images before and after they are changed
        beside = shape.image_size**2 * 4 * (8 * shape.classes + 5 * shape.image_channels + 8)
        return cls(COPIES * weights, int(WORKING * activations + beside))

    def require(self, budget: Budget, images: int) -> None:
        """Refuse a budget that does not hold a step on so many images."""
        room = int(budget.left() / SLACK) - self.network
        fits = min(images - 1, room // self.image)
        remedy = f"--images-per-batch {fits} would fit" if fits > 0 else ""
        budget.require(self.network + images * self.image, f"steps on {images} whole images", remedy)
