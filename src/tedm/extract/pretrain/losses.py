"""Contrastive losses: what belongs together shall be more alike than what does not.

Both compare by cosine similarity, divided by a temperature, and are the cross-entropy of finding the partner among all
candidates; they are of the order of the logarithm of the number of candidates when nothing has been learned, and fall to zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = TEMPERATURE) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, arXiv:2002.05709, equation 1).

    Parameters
    ----------
    first, second : Tensor of shape (images, channels)
        Projections of two views; row i of both is of image i. At least two images: one has no other to differ from.
    temperature : float

    Returns
    -------
    Tensor of shape ()
        Mean over all 2 x images views; candidates of a view are all other views.
    """
    images = len(first)
    views = F.normalize(torch.cat((first, second)), dim=1)
    similarities = views @ views.T / temperature
    itself = torch.eye(2 * images, dtype=torch.bool, device=views.device)
    partners = torch.arange(2 * images, device=views.device).roll(images)
    return F.cross_entropy(similarities.masked_fill(itself, -torch.inf), partners)


def local_contrast(first: Tensor, second: Tensor, *, temperature: float = TEMPERATURE) -> Tensor:
    """Return the local contrastive loss (Chaitanya et al. 2020, arXiv:2006.10511, equations 3 and 4).

    Parameters
    ----------
    first, second : Tensor of shape (images, regions, channels)
        Regions of two views; region i of both shows the same place. At least two regions.
    temperature : float

    Returns
    -------
    Tensor of shape ()
        Mean over images, their regions and both directions; candidates of a region are the regions of the same image in the
        other view.
    """
    images, regions, _ = first.shape
    similarities = F.normalize(first, dim=2) @ F.normalize(second, dim=2).transpose(1, 2) / temperature
    same = torch.arange(regions, device=first.device).repeat(images)
    there = F.cross_entropy(similarities.flatten(0, 1), same)
    back = F.cross_entropy(similarities.transpose(1, 2).flatten(0, 1), same)
    return (there + back) / 2
