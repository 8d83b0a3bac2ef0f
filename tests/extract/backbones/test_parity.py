"""Parity with the published implementation: `golden/tedm_cosine.npz` holds what it computes from `golden/tedm_cosine.pt`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tedm.extract.backbones import Backbone, load_backbone
from tedm.store.settings import Level

Arrays = dict[str, NDArray[np.float32]]

GOLDEN = Path(__file__).parents[2] / "data" / "golden"


@pytest.fixture(scope="module")
def golden() -> Arrays:
    with np.load(GOLDEN / "tedm_cosine.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(GOLDEN / "tedm_cosine.pt")


def close(ours: torch.Tensor, published: NDArray[np.float32]) -> bool:
    # another order of sums may differ in the last bits, another formula may not
    return ours.shape == published.shape and bool(np.abs(ours.numpy() - published).max() < 1e-5 * np.abs(published).max())


def noised(backbone: Backbone, golden: Arrays, timestep: int) -> tuple[torch.Tensor, torch.Tensor]:
    timesteps = torch.full((len(golden["x0"]),), timestep)
    return backbone.schedule.x_t(torch.from_numpy(golden["x0"]), torch.from_numpy(golden["noise"]), timesteps), timesteps


def test_the_checkpoint_is_read_as_what_it_is(backbone: Backbone) -> None:
    assert (backbone.family, backbone.image_size, backbone.image_channels, backbone.step) == ("tedm", 32, 1, 20)
    assert backbone.levels == (Level("level0", 32, 4), Level("level1", 16, 2), Level("level2", 8, 1))
    assert backbone.training_range == (-1.0, 1.0)
    assert backbone.parameters == 213_297


def test_the_schedule_is_the_published_one(backbone: Backbone, golden: Arrays) -> None:
    assert np.abs(backbone.schedule.alphas_cumprod - golden["alphas_cumprod"]).max() < 1e-6


@pytest.mark.parametrize("timestep", [1, 10, 200])
def test_x_t_is_the_published_one(backbone: Backbone, golden: Arrays, timestep: int) -> None:
    assert close(noised(backbone, golden, timestep)[0], golden[f"step{timestep}_x_t"])


@pytest.mark.parametrize("timestep", [1, 10, 200])
def test_activations_are_the_published_ones(backbone: Backbone, golden: Arrays, timestep: int) -> None:
    activations = backbone.activations(*noised(backbone, golden, timestep))
    assert len(activations) == 3
    for index, activation in enumerate(activations):
        assert close(activation, golden[f"step{timestep}_level{index}"])


@pytest.mark.parametrize("timestep", [1, 10, 200])
def test_the_predicted_noise_is_the_published_one(backbone: Backbone, golden: Arrays, timestep: int) -> None:
    assert close(backbone.predict_noise(*noised(backbone, golden, timestep)), golden[f"step{timestep}_eps"])
