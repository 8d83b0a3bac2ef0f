import numpy as np
import pytest
import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.backbones import Schedule
from tedm.extract.pretrain.ddim import sample, sample_noise

COSINE = Schedule.cosine(1000)


@pytest.mark.parametrize("passes", [1, 5, 20])
def test_whoever_knows_the_image_gets_the_image(passes: int) -> None:
    """A perfect answer about the noise makes the image whatever the first noise and the number of passes."""
    image = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(1, 3, 4).repeat(2, 1, 1, 1) * torch.tensor([1.0, 0.5]).view(
        2, 1, 1, 1
    )
    timesteps_seen: list[int] = []

    def perfect(x_t: Tensor, timesteps: Tensor) -> Tensor:
        timesteps_seen.append(int(timesteps[0]))
        left = float(COSINE.alphas_cumprod[timesteps_seen[-1]])
        return (x_t - left**0.5 * image) / (1 - left) ** 0.5

    made = sample(perfect, COSINE, sample_noise(2, (1, 3, 4), seed=0).astype(np.float64), passes=passes)
    np.testing.assert_allclose(made, (image + 1) / 2, atol=1e-6)
    assert timesteps_seen == np.linspace(999, 0, passes).round().astype(int).tolist()


def test_samples_are_images() -> None:
    made = sample(
        lambda x_t, timesteps: -5 * x_t, COSINE, sample_noise(3, (1, 4, 4), seed=0), passes=4, training_range=(0.0, 1.0)
    )
    assert (made.shape, made.dtype) == ((3, 1, 4, 4), np.float32)
    assert 0 <= made.min() < made.max() <= 1


def test_the_first_of_many_samples_are_those_of_few() -> None:
    np.testing.assert_array_equal(sample_noise(5, (1, 4, 4), seed=3)[:2], sample_noise(2, (1, 4, 4), seed=3))
    assert not np.array_equal(sample_noise(1, (1, 4, 4), seed=3), sample_noise(1, (1, 4, 4), seed=4))


@pytest.mark.parametrize("passes", [0, 1001])
def test_passes_that_cannot_be_made_are_refused(passes: int) -> None:
    with pytest.raises(TedmError, match=f"{passes} passes cannot be made over 1000 timesteps"):
        sample(lambda x_t, timesteps: x_t, COSINE, sample_noise(1, (1, 4, 4), seed=0), passes=passes)
