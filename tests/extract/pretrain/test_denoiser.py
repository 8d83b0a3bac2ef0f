"""What a diffusion model draws, keeps and makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.extract.pretrain.denoiser import Denoiser
from tedm.extract.pretrain.validation import HeldOut

Make = Callable[..., Denoiser]


@pytest.fixture(scope="module")
def images(digits: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(digits)


def test_flips_turn_images_and_nothing_else(learner: Make, images: Tensor) -> None:
    symmetric = torch.maximum(images, images.flip(-1))
    assert learner(flip=True).step(symmetric) == learner().step(symmetric)
    assert learner(flip=True).step(images) != learner().step(images)


def test_its_files_have_the_average_and_its_schedule(learner: Make) -> None:
    made = learner(steps=1)
    content = made.content()
    assert content.config["family"] == "tedm"
    assert content.step == 1
    names = {f"model.{name}" for name in made.network.state_dict()}
    assert content.tensors.keys() == names | {"alphas_cumprod"}
    assert made.named(made.average).keys() == names
    for name, tensor in made.average.state_dict().items():
        assert torch.equal(content.tensors[f"model.{name}"], tensor)


def test_images_held_out_are_seen_by_the_average(learner: Make, digits: NDArray[np.float32]) -> None:
    made = learner(steps=2, ema_decay=0.2)
    expected = HeldOut(digits[:2], timesteps_total=100, seed=0).loss(made.backbone())
    loss = made.held_out_loss(digits[:2])
    assert loss() == loss() == expected


def test_samples_come_out_of_the_same_noise_and_none_where_none_are_asked_for(learner: Make) -> None:
    made = learner(steps=1)
    assert made.sampler(0)().shape == (0, 1, 16, 16)
    two, three = made.sampler(2)(), made.sampler(3)()
    assert two.shape == (2, 1, 16, 16)
    np.testing.assert_allclose(two, three[:2], atol=1e-5)
