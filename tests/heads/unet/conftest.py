"""What tests of the head that looks at images share: blocks with an image, small networks, weights to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tedm.heads.data.dataset import TrainingData
from tedm.heads.unet.head import UNetHead
from tedm.networks.pretrained import Pretrained
from tedm.networks.tedm_unet import TedmUNet
from tedm.store import IGNORE, Block, FeatureStore, Registration

WIDTH, MULTIPLIERS = 8, (1, 2)


@pytest.fixture
def look() -> Callable[[UNetHead, FeatureStore, str], Any]:
    """A head's opinions of an image of a store: shape (pixels, classes)."""

    def of(head: UNetHead, store: FeatureStore, name: str) -> Any:
        block = Block(name, (), (), store.settings.image_size, "nearest", image=store.image(name))
        (opinions,) = head.opinions(block, "concatenate")
        return opinions

    return of


@pytest.fixture
def images_of() -> Callable[..., TrainingData]:
    """The images of a store to learn from, and no activations."""

    def of(store: FeatureStore, names: Any = None, **changes: Any) -> TrainingData:
        return TrainingData(store, names or store.labels.names, rows="concatenate", timesteps=(), **changes)

    return of


@pytest.fixture
def seen_store(make_store: Callable[..., FeatureStore]) -> FeatureStore:
    """A store of four images that show their masks: a square that is brighter than the rest, beside some noise."""
    store = make_store(own=True)
    registrations = []
    for number, name in enumerate(store.labels.names):
        rng = np.random.default_rng(number)
        mask = np.zeros((8, 8), np.uint8)
        mask[1 + number % 2 : 6, 2 : 5 + number % 3] = 1
        image = (0.3 + 0.4 * mask + rng.normal(0, 0.05, mask.shape)).clip(0, 1).astype(np.float32)
        cells = [np.array(cells) for cells in store.block(name).cells]
        store.discard([name])
        store.write(name, image[..., None], cells)
        mask[7, :3] = IGNORE
        registrations.append(Registration(name, "train", name, "here", (10, 12), mask))
    store.relabel(registrations, store.labels.classes)
    return store


@pytest.fixture
def pretrained() -> Callable[..., Pretrained]:
    """Weights as a training leaves them, of images of 8 x 8 pixels: contrasted ones without decoder."""

    def make(objective: str = "diffusion", **changes: Any) -> Pretrained:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            network = TedmUNet(width=WIDTH, multipliers=MULTIPLIERS, image_channels=1, timed=objective == "diffusion")
        tensors = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
        if objective != "diffusion":
            tensors = {name: each for name, each in tensors.items() if not name.startswith(("ups.", "final_"))}
        about = {"width": WIDTH, "multipliers": MULTIPLIERS, "image_channels": 1, "image_size": 8, "tensors": tensors}
        return Pretrained(objective, **{**about, "sha256": "cd" * 32, **changes})  # type: ignore[arg-type]

    return make
