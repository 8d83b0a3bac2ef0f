"""Small contrasted checkpoints of handwritten digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tedm.extract.pretrain import pretrain_contrast
from tedm.networks.pretrained import Pretrained

SMALL: dict[str, Any] = {"width": 8, "multipliers": (1, 2), "batch_size": 4, "learning_rate": 1e-3}


def contrast_digits() -> NDArray[np.float32]:
    """Handwritten digits, (64, 1, 16, 16), from 0 to 1."""
    images: NDArray[np.float64] = load_digits().images[:64] / 16
    return images.repeat(2, axis=1).repeat(2, axis=2)[:, None].astype(np.float32)


def contrast_gratings() -> NDArray[np.float32]:
    """Waves of different directions and lengths, (64, 1, 8, 8), from 0 to 1: told apart after few iterations."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8]
    angles, lengths = rng.random(64) * np.pi, rng.uniform(0.5, 1.6, 64)
    waves = [np.sin(k * (x * np.cos(angle) + y * np.sin(angle))) for k, angle in zip(lengths, angles, strict=True)]
    return (0.5 + 0.4 * np.stack(waves))[:, None].astype(np.float32)


def write_contrasted(path: Path, *, images: NDArray[np.float32] | None = None, **changes: Any) -> Pretrained:
    """An encoder after one iteration of global contrast."""
    given = {**SMALL, "objective": "global-cl", "iterations": 1, **changes}
    return pretrain_contrast(contrast_digits() if images is None else images, path, **given)
