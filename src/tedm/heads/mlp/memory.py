"""What the steps of an MLP take in memory, from shapes alone, and how many images a budget allows in a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from tedm.heads.data.dataset import TrainingData
from tedm.heads.mlp.batches import Batches
from tedm.heads.mlp.layers import working_bytes
from tedm.heads.mlp.network import Committee
from tedm.heads.runtime.memory import SLACK, Budget
from tedm.text import counted, listed


@dataclass(frozen=True)
class Memory:
    """What a fit of a network on some images takes.

    Parameters
    ----------
    batches : Batches
    data : TrainingData
    names : sequence of str
        The images to learn from.
    network : Committee
    """

    batches: Batches
    data: TrainingData
    names: Sequence[str]
    network: Committee

    def window_images(self) -> int:
        """Return how many images batches of pixels can be drawn from at a time; 0 for batches of images."""
        if self.batches.kind == "images":
            return 0
        budget = self.data.budget
        most, left = min(len(self.names), budget.keepable() // self.data.block_bytes), budget.left() / SLACK
        return next((window for window in range(most, 1, -1) if self.pixels_need(window) <= left), 1)

    def held(self, window: int) -> int:
        """Return the bytes that batches are made of; they come out of what the budget keeps between passes."""
        if self.batches.kind == "pixels":
            return window * self.data.block_bytes
        keepable = self.data.budget.keepable()
        if len(self.names) * self.data.block_bytes <= keepable:  # batches are made of what stays
            return 0
        return min(self.batches.images_at_once(len(self.names)) * self.data.block_bytes, keepable)

    def images_need(self, images: int) -> int:
        """Return the bytes of steps on so many images, nothing read ahead."""
        parameters = list(self.network.parameters())
        rows = self.data.features.settings.image_size**2 * self.data.rows_per_pixel
        step = working_bytes(images, rows, [weight.shape[-1] for weight in self.network.weights])
        step += 2 * sum(parameter[0].nbytes for parameter in parameters)  # a member's gradients
        kept = min(self.data.budget.keepable(), len(self.names) * self.data.block_bytes)  # between passes
        cells = max(images * self.data.block_bytes, kept) + self.data.block_bytes + self.data.reading_bytes
        return cells + step + _adam_bytes(parameters)

    def pixels_need(self, window: int) -> int:
        """Return the bytes of steps on random pixels of so many images."""
        rows = self.batches.members * self.batches.pixels_per_batch * self.data.rows_per_pixel
        widths = sum(weight.shape[-1] for weight in self.network.weights)
        step = rows * (3 * self.data.n_features + 4 * widths) * 4  # gathered, side by side, in the product
        pixels = self.data.features.settings.image_size**2 * 13  # a mask, positions, weights
        cells = window * (self.data.block_bytes + pixels) + self.data.block_bytes + self.data.reading_bytes
        return int(cells + step + _adam_bytes(list(self.network.parameters())))

    def require(self, window: int) -> None:
        """Refuse a budget that does not hold a step."""
        budget = self.data.budget
        if self.batches.kind == "images":
            asked = self.batches.images_at_once(len(self.names))
            left = budget.left() / SLACK
            fits = [images for images in range(1, asked) if self.images_need(images) <= left]
            remedy = f"--images-per-batch {fits[-1]} would fit" if fits else ""
            budget.require(self.images_need(asked), f"batches of {asked} whole images", remedy)
            return
        budget.require(
            self.pixels_need(window),
            f"batches of {self.batches.pixels_per_batch} pixels beside the activations of {window} images",
            "a smaller --pixels-per-batch",
        )


def require_weights(budget: Budget, members: int, features: int, hidden: Sequence[int], classes: int) -> None:
    """Refuse a budget that does not hold the weights of so many members with what Adam keeps of them, before they are drawn."""
    widths = [features, *hidden, classes]
    weights = members * sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))
    layers = f"layers of {listed(hidden)} units" if hidden else "no hidden layers"
    budget.require(4 * 4 * weights, f"{counted(members, 'member')} with {layers}", "fewer of either")


def _adam_bytes(parameters: Sequence[Tensor]) -> int:
    """Return the bytes of gradients and two moments."""
    return 3 * sum(parameter.nbytes for parameter in parameters)
