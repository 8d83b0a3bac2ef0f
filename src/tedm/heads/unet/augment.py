"""Random changes of images and their masks, so that few labels teach more.

Affine deformations move both; gamma, contrast and noise change intensities alone: nnU-Net's kinds (Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z), milder, since these images are small and lie upright. Nothing is mirrored unless that is asked
for: the left side is not the right side. What is drawn (`Changes.draw`) is apart from what is done with it (`changed`), so that
an image's changes do not depend on the others of its batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tedm.store import IGNORE

# Part of the images that are deformed, and of those that each change of intensities is for.
DEFORMED, CHANGED = 0.7, 0.3
DEGREES, SHIFT = 15.0, 0.08  # at most; of the image's side
SCALES, GAMMAS, CONTRASTS = (0.8, 1.25), (0.7, 1.5), (0.7, 1.3)
NOISE = 0.05  # its standard deviation at most, of the range from black to white


@dataclass(frozen=True)
class Changes:
    """What is done to each image of a batch.

    Parameters
    ----------
    affine : tensor of shape (images, 2, 3)
        Where a pixel comes from, in coordinates from -1 to 1 (x, y).
    gamma, contrast : tensor of shape (images,)
        Exponent, and factor of the distance from the image's mean; 1 changes nothing.
    noise : tensor of shape (images, channels, height, width)
        What is added.
    """

    affine: Tensor
    gamma: Tensor
    contrast: Tensor
    noise: Tensor

    @classmethod
    def draw(cls, shape: torch.Size, generator: torch.Generator, *, mirror: bool = False) -> Changes:
        """Draw changes for images of shape (images, channels, height, width).

        Parameters
        ----------
        mirror : bool
            Whether half of the images change sides.
        """
        images = shape[0]

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(images, generator=generator)

        def some(part: float, values: Tensor, otherwise: float) -> Tensor:
            return torch.where(torch.rand(images, generator=generator) < part, values, otherwise)

        deformed = torch.rand(images, generator=generator) < DEFORMED
        angle = torch.where(deformed, uniform(-DEGREES, DEGREES), 0.0) * (math.pi / 180)
        scale = torch.where(deformed, uniform(*map(math.log, SCALES)), 0.0).exp()
        shifts = torch.stack([torch.where(deformed, uniform(-2 * SHIFT, 2 * SHIFT), 0.0) for _ in "xy"], dim=1)
        gamma = some(CHANGED, uniform(*map(math.log, GAMMAS)).exp(), 1.0)
        contrast = some(CHANGED, uniform(*CONTRASTS), 1.0)
        strength = some(CHANGED, uniform(0, NOISE), 0.0)
        noise = torch.randn(shape, generator=generator) * strength[:, None, None, None]
        # drawn last: the rest is the same with mirrors and without
        side = torch.where(torch.rand(images, generator=generator) < 0.5, -1.0, 1.0) if mirror else torch.ones(images)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        affine = torch.stack([torch.stack([cos * side, -sin], dim=1), torch.stack([sin * side, cos], dim=1)], dim=1)
        return cls(torch.cat([affine, shifts[:, :, None]], dim=2), gamma, contrast, noise)

    def of(self, images: slice) -> Changes:
        """Return the changes of some of the images."""
        return Changes(self.affine[images], self.gamma[images], self.contrast[images], self.noise[images])


def changed(images: Tensor, labels: Tensor, changes: Changes) -> tuple[Tensor, Tensor]:
    """Return changed images and masks.

    Parameters
    ----------
    images : tensor of shape (images, channels, height, width)
        In [0, 1].
    labels : tensor of shape (images, height, width)
        Class indices, int64; `IGNORE` where there is no label.
    changes : Changes

    Returns
    -------
    images : tensor of the same shape
        What comes from outside continues the edges. Noise may leave [0, 1].
    labels : tensor of the same shape
        The nearest label; `IGNORE` for what comes from outside.
    """
    grid = functional.affine_grid(changes.affine, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    moved = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    outside = (grid.abs() > 1 + 1e-6).any(dim=-1)  # the last bits of a pixel at the edge do not put it outside
    labels = torch.where(outside, IGNORE, moved[:, 0].long())
    images = images.clamp(0, 1) ** changes.gamma[:, None, None, None]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = images + (changes.contrast[:, None, None, None] - 1) * (images - mean)
    return images.clamp(0, 1) + changes.noise, labels
