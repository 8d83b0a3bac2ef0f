"""Images out of noise, in few passes.

A DDIM without noise of its own (Song et al. 2020, arXiv:2010.02502, eta = 0): at each timestep the network's noise tells the
image that it has in mind, which is noised again, with that same noise, to the next timestep. What comes out depends on the
first noise alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.backbones import Schedule
from tedm.extract.noise import draw_noise
from tedm.signals import leave_if_pending


def sample(
    predict_noise: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    noise: NDArray[np.float32],
    *,
    passes: int = 20,
    training_range: tuple[float, float] = (-1.0, 1.0),
) -> NDArray[np.float32]:
    """Draw images.

    Parameters
    ----------
    predict_noise : callable
        From x_t (B, C, H, W) and timesteps (B,) to the noise in them, on any device (`Backbone.predict_noise`).
    schedule : Schedule
        That of the training.
    noise : array of shape (images, channels, height, width)
        Standard normal numbers, one set for each image.
    passes : int
        Of the network for each image: timesteps from T - 1 to 0, evenly spaced.
    training_range : tuple of two floats
        What black and white were in training.

    Returns
    -------
    array of shape (images, channels, height, width), float32
        From 0, black, to 1, white.

    Raises
    ------
    TedmError
        If there are fewer timesteps than passes, or no pass.
    """
    if not 1 <= passes <= schedule.timesteps_total:
        raise TedmError(f"{passes} passes cannot be made over {schedule.timesteps_total} timesteps; use 1 to that many, 20 say")
    timesteps = np.linspace(schedule.timesteps_total - 1, 0, passes).round().astype(int)
    low, high = training_range
    x_t = torch.from_numpy(noise)
    x_0 = x_t
    for timestep, left_next in zip(timesteps, [*schedule.alphas_cumprod[timesteps[1:]], 1.0], strict=True):
        leave_if_pending()
        left = float(schedule.alphas_cumprod[timestep])
        predicted = predict_noise(x_t, torch.full((len(x_t),), int(timestep))).cpu()
        # at the last timesteps almost nothing is left of an image, and a small error makes it enormous
        x_0 = ((x_t - (1 - left) ** 0.5 * predicted) / left**0.5).clamp(low, high)
        towards = (x_t - left**0.5 * x_0) / (1 - left) ** 0.5
        x_t = left_next**0.5 * x_0 + (1 - left_next) ** 0.5 * towards
    images: NDArray[np.float32] = ((x_0 - low) / (high - low)).numpy()
    return images


def sample_noise(images: int, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
    """Return noise for `sample`: image i is a function of (seed, i) alone, so the first of many are those of few.

    Parameters
    ----------
    images : int
        How many.
    shape : tuple of int
        Of each: (channels, side, side).
    seed : int
        Of the noise.
    """
    return np.stack(
        [draw_noise(shape, mode="per-image", seed=seed, name=f"sample {i}", timestep=0, draw=0) for i in range(images)]
    )
