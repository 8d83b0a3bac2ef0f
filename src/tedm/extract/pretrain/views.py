"""Random views of images, for a network that learns what is the same in them.

Every image of a batch has numbers of its own, drawn on the CPU.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_AREA = 0.25  # of the image, in a crop
LARGEST_RATIO = 4 / 3  # of a crop's sides
BRIGHTNESS = 0.3
CONTRAST = (0.7, 1.3)


def crop_and_resize(images: Tensor, generator: torch.Generator) -> Tensor:
    """Cut a rectangle out of each image, of a quarter of its area at least, and enlarge it to the image's size.

    Parameters
    ----------
    images : Tensor of shape (images, channels, side, side)
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor like `images`
        Interpolated between pixels, so no number is beyond the image's own.
    """
    batch = len(images)
    area = _uniform(batch, LEAST_AREA, 1, generator)
    ratio = _uniform(batch, -math.log(LARGEST_RATIO), math.log(LARGEST_RATIO), generator).exp()
    sides = torch.stack(((area * ratio).sqrt(), (area / ratio).sqrt()), dim=1).clamp(max=1)  # width and height
    # in the grid's units an image goes from -1 to 1
    centres = (torch.rand(batch, 2, generator=generator) * 2 - 1) * (1 - sides)
    theta = torch.cat((torch.diag_embed(sides), centres[:, :, None]), dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def change_intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    """Scale each image's contrast about its mean by 0.7 to 1.3, and add -0.3 to 0.3.

    Parameters
    ----------
    images : Tensor of shape (images, channels, side, side)
        From 0, black, to 1, white.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor like `images`
        From 0 to 1: what would be darker than black is black.
    """
    contrast = _uniform(len(images), *CONTRAST, generator)[:, None, None, None]
    brightness = _uniform(len(images), -BRIGHTNESS, BRIGHTNESS, generator)[:, None, None, None]
    mean = images.mean(dim=(2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 1)


def choose_regions(images: int, side: int, *, regions: int, region: int, generator: torch.Generator) -> Tensor:
    """Choose square regions of maps, none of which overlaps another of the same map.

    Parameters
    ----------
    images : int
        Maps, each with regions of its own.
    side : int
        Of a map.
    regions : int
        Of each map, at most (side // region) ** 2.
    region : int
        Side of a region.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of shape (images, regions, region ** 2)
        Indices of pixels, row by row: y * side + x.
    """
    cells = side // region
    chosen = torch.rand(images, cells**2, generator=generator).argsort(dim=1)[:, :regions]
    start = torch.randint(side - cells * region + 1, (images, 2, 1), generator=generator)  # of the grid of cells
    within = torch.arange(region)
    y = (start[:, 0] + chosen // cells * region)[:, :, None, None] + within[:, None]
    x = (start[:, 1] + chosen % cells * region)[:, :, None, None] + within
    return (y * side + x).flatten(2)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low
