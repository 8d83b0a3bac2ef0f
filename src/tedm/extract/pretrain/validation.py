"""Images that a training run does not learn from, and the loss on them.

The noise and the timesteps are the same every time, so that two losses differ by what the network learned in between and by
nothing else. Whole patients are held out: another image of somebody seen in training would flatter the network.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tedm.extract.backbones import Backbone
from tedm.extract.noise import draw_noise
from tedm.signals import leave_if_pending

# of each image: enough to see every part of the schedule with a few dozen images
TIMESTEPS_PER_IMAGE = 4
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def choose_held_out(groups: Sequence[str], most: int, *, seed: int) -> list[int]:
    """Which images to hold out: whole groups, until `most` images or a tenth of all are reached.

    Parameters
    ----------
    groups : sequence of str
        The group of each image.
    most : int
        Images at most.
    seed : int
        Whether a group comes before another depends on the two and on the seed alone.

    Returns
    -------
    list of int
        Indices into `groups`, ascending; empty if no group is small enough.

    Examples
    --------
    >>> choose_held_out(["a", "a", "b", *"cdefghijklmnopqrst"], 2, seed=0)
    [2, 17]
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    room = min(most, len(groups) // 10)
    chosen: list[int] = []
    for group in sorted(
        members, key=lambda group: hashlib.blake2b(f"{seed}/{group}".encode("utf-8", "surrogatepass")).digest()
    ):
        if len(chosen) + len(members[group]) <= room:
            chosen += members[group]
    return sorted(chosen)


class HeldOut:
    """Images with noise that stays.

    Parameters
    ----------
    images : array of shape (images, channels, side, side), float32
        From 0, black, to 1, white.
    timesteps_total : int
        T of the schedule: each image is seen at four timesteps, which together cover 0 to T - 1 evenly.
    seed : int
        Of the noise.
    """

    def __init__(self, images: NDArray[np.float32], *, timesteps_total: int, seed: int) -> None:
        self._images = torch.from_numpy(images)
        self._seed = seed
        shares = np.arange(len(images)) * GOLDEN_RATIO % 1  # as evenly as any number of images can be
        quarters = (np.arange(TIMESTEPS_PER_IMAGE) + shares[:, None]) / TIMESTEPS_PER_IMAGE
        self._timesteps = (quarters * timesteps_total).astype(np.int64)

    def __len__(self) -> int:
        return len(self._images)

    def loss(self, backbone: Backbone) -> float:
        """Mean absolute error of the noise that the backbone predicts; left after an image if a deferred signal has come."""
        low, high = backbone.training_range
        losses = []
        for number, (image, timesteps) in enumerate(zip(self._images, self._timesteps, strict=True)):
            leave_if_pending()
            at = torch.from_numpy(timesteps)
            noise = torch.stack([torch.from_numpy(self._noise(number, int(timestep))) for timestep in timesteps])
            x_t = backbone.schedule.x_t((image * (high - low) + low).expand_as(noise), noise, at)
            losses.append(float(F.l1_loss(backbone.predict_noise(x_t, at).cpu(), noise)))
        return math.fsum(losses) / len(losses)

    def _noise(self, number: int, timestep: int) -> NDArray[np.float32]:
        shape = tuple(self._images.shape[1:])
        return draw_noise(shape, mode="per-image", seed=self._seed, name=f"held out {number}", timestep=timestep, draw=0)
