"""Learners on handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tedm.extract.pretrain.denoiser import Denoiser, DiffusionSettings


@pytest.fixture(scope="session")
def digits() -> NDArray[np.float32]:
    """Handwritten digits, (64, 1, 16, 16), from 0 to 1."""
    images: NDArray[np.float64] = load_digits().images[:64] / 16
    return images.repeat(2, axis=1).repeat(2, axis=2)[:, None].astype(np.float32)


@pytest.fixture(scope="session")
def learner(digits: NDArray[np.float32]) -> Callable[..., Denoiser]:
    """Make a small learner that has done some `steps` on the digits."""

    def make(*, steps: int = 0, **changes: Any) -> Denoiser:
        settings: dict[str, Any] = {
            "image_size": 16,
            "image_channels": 1,
            "width": 8,
            "multipliers": (1, 2),
            "schedule": "cosine",
            "timesteps_total": 100,
            "batch_size": 4,
            "accumulate": 1,
            "learning_rate": 1e-3,
            "clip_gradient": None,
            "ema_decay": 0.9995,
            "precision": "float32",
            "flip": False,
            "seed": 0,
            "images": "",
        }
        made = Denoiser(DiffusionSettings(**{**settings, **changes}), torch.device("cpu"))
        for _ in range(steps):
            made.step(torch.from_numpy(digits))
        return made

    return make
