"""Random changes of images and their masks, so that few labels teach more.

Affine deformations move both; gamma, contrast, brightness and noise change intensities alone: nnU-Net's kinds (Isensee et al.
2021, doi:10.1038/s41592-020-01008-z), milder, since these images are small and lie upright. Nothing is mirrored unless that is
asked for: the left side is not the right side. What is drawn is apart from what is done with it (`changed`), so that an image's
changes do not depend on the others of its batch. Networks draw anew at every step (`Changes.draw`); the changes of a view
(`Changes.of_view`), whose activations are kept, are a function of its name.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tedm.store import IGNORE
from tedm.views import ViewKind

# Part of the images that are deformed, and of those that each change of intensities is for.
DEFORMED, CHANGED = 0.7, 0.3
DEGREES, SHIFT = 15.0, 0.08  # at most; of the image's side
SCALES, GAMMAS, CONTRASTS = (0.8, 1.25), (0.7, 1.5), (0.7, 1.3)
NOISE = 0.05  # its standard deviation at most, of the range from black to white
# Of a view, which changes in every way at once, and has noise of the diffusion besides.
VIEW_DEGREES, VIEW_SHIFT, VIEW_ASPECT = 10.0, 0.05, 0.12
VIEW_SCALES, VIEW_GAMMAS, VIEW_CONTRASTS, VIEW_BRIGHTNESS = (0.8, 1.25), (0.55, 1.8), (0.6, 1.4), 0.15


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
        What is added; one value stands for all.
    brightness : tensor of shape (images,)
        What is added before values are brought back to [0, 1].
    """

    affine: Tensor
    gamma: Tensor
    contrast: Tensor
    noise: Tensor
    brightness: Tensor

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
        return cls(torch.cat([affine, shifts[:, :, None]], dim=2), gamma, contrast, noise, torch.zeros(images))

    @classmethod
    def of_view(cls, name: str, kind: ViewKind) -> Changes:
        """Return what is done to one image to make a view of it: a function of these alone, on every machine.

        Parameters
        ----------
        name : str
            The view's (`tedm.views.view_name`).
        kind : ViewKind
            Its changes are "none"; "intensity", that is gamma, contrast and brightness; or "full", which are these and a
            rotation, scaling, stretching and shift.
        """
        key = f"view\0{kind.seed}\0{unicodedata.normalize('NFC', name)}".encode("utf-8", "surrogatepass")
        bits = np.random.Philox(key=int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "little")).random_raw(8)
        values = iter((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * float(next(values))

        gamma = math.exp(uniform(*map(math.log, VIEW_GAMMAS)))
        contrast, brightness = uniform(*VIEW_CONTRASTS), uniform(-VIEW_BRIGHTNESS, VIEW_BRIGHTNESS)
        angle = math.radians(uniform(-VIEW_DEGREES, VIEW_DEGREES))
        scale, aspect = math.exp(uniform(*map(math.log, VIEW_SCALES))), math.exp(uniform(-VIEW_ASPECT, VIEW_ASPECT))
        shifts = [uniform(-2 * VIEW_SHIFT, 2 * VIEW_SHIFT) for _ in "xy"]
        if kind.changes == "none":
            gamma, contrast, brightness = 1.0, 1.0, 0.0
        if kind.changes != "full":
            angle, scale, aspect, shifts = 0.0, 1.0, 1.0, [0.0, 0.0]
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        affine = torch.tensor([[[cos * aspect, -sin, shifts[0]], [sin * aspect, cos, shifts[1]]]], dtype=torch.float32)
        gammas, contrasts, brightnesses = torch.tensor([[gamma], [contrast], [brightness]], dtype=torch.float32)
        return cls(affine, gammas, contrasts, torch.zeros(1, 1, 1, 1), brightnesses)

    def of(self, images: slice) -> Changes:
        """Return the changes of some of the images."""
        return Changes(
            self.affine[images], self.gamma[images], self.contrast[images], self.noise[images], self.brightness[images]
        )


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
    images = images + changes.brightness[:, None, None, None]
    return images.clamp(0, 1) + changes.noise, labels


def view_image(image: NDArray[np.float32], view: str, kind: ViewKind) -> NDArray[np.float32]:
    """Return what a view shows of its image.

    Parameters
    ----------
    image : array of shape (size, size, channels)
        In [0, 1].
    view : str
        The view's name.
    kind : ViewKind

    Returns
    -------
    array of the same shape, in [0, 1]
    """
    images = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    unused = torch.zeros(1, *image.shape[:2], dtype=torch.int64)
    moved = changed(images, unused, Changes.of_view(view, kind))[0][0]
    return np.ascontiguousarray(moved.numpy().transpose(1, 2, 0))


def view_mask(mask: NDArray[np.uint8], view: str, kind: ViewKind) -> NDArray[np.uint8]:
    """Return a view's mask.

    Parameters
    ----------
    mask : array of shape (size, size)
        Class indices of its image; `IGNORE` where there is no label.
    view : str
        The view's name.
    kind : ViewKind

    Returns
    -------
    array of the same shape
        `IGNORE` as well where the view shows what lies beyond its image.
    """
    labels = torch.from_numpy(mask.astype(np.int64))[None]
    moved = changed(torch.zeros(1, 1, *mask.shape), labels, Changes.of_view(view, kind))[1][0]
    return moved.numpy().astype(np.uint8)
