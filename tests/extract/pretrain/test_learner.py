from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.pretrain.learner import Learner

Make = Callable[..., Learner]


@pytest.fixture(scope="module")
def images(digits: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(digits)


def gradient(of: Learner) -> Tensor:
    """The gradient of the last iteration, as one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in of.network.parameters() if parameter.grad is not None])


def test_a_batch_in_parts_has_the_gradient_of_the_whole(learner: Make, images: Tensor) -> None:
    whole, parts = learner(), learner(accumulate=2)
    seen: list[int] = []
    parts.network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    assert parts.step(images) == pytest.approx(whole.step(images), rel=1e-6)
    assert seen == [2, 2]
    torch.testing.assert_close(gradient(parts), gradient(whole), rtol=0, atol=1e-6 * float(gradient(whole).abs().max()))


def test_a_long_gradient_is_shortened_and_keeps_its_direction(learner: Make, images: Tensor) -> None:
    free, clipped = gradient(learner(steps=1)), gradient(learner(steps=1, clip_gradient=0.01))
    assert float(free.norm()) > 0.1
    assert float(clipped.norm()) == pytest.approx(0.01, rel=1e-3)
    assert float(torch.cosine_similarity(free, clipped, dim=0)) == pytest.approx(1, abs=1e-5)
    assert torch.equal(free, gradient(learner(steps=1, clip_gradient=1e6)))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_bfloat16_rounds_the_passes_and_not_the_weights(learner: Make, images: Tensor, accumulate: int) -> None:
    exact, rounded = learner(steps=1), learner(steps=1, precision="bfloat16", accumulate=accumulate)
    for network in (rounded.network, rounded.average):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not torch.equal(gradient(rounded), gradient(exact))
    assert float(torch.cosine_similarity(gradient(rounded), gradient(exact), dim=0)) > 0.99
    assert float(gradient(rounded).norm()) == pytest.approx(float(gradient(exact).norm()), rel=0.02)


def test_bfloat16_learns_what_float32_learns(learner: Make, images: Tensor) -> None:
    exact, rounded = learner(learning_rate=1e-2), learner(learning_rate=1e-2, precision="bfloat16")
    losses = [(exact.step(images), rounded.step(images)) for _ in range(12)]
    assert losses[-1][1] < 0.7 * losses[0][1]
    assert losses[-1][1] == pytest.approx(losses[-1][0], rel=0.1)


def test_the_average_follows_the_weights_by_its_decay(learner: Make, images: Tensor) -> None:
    made = learner(ema_decay=0.25)
    before = {name: tensor.clone() for name, tensor in made.average.state_dict().items()}
    for _ in range(2):  # the warm-up allows 2 / 11 at first, and 3 / 12 from the second on
        made.step(images)
        decay = min(0.25, (1 + made.iteration) / (10 + made.iteration))
        for name, tensor in made.average.state_dict().items():
            expected = decay * before[name] + (1 - decay) * made.network.state_dict()[name]
            torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=1e-7)
            before[name] = tensor.clone()


def test_without_an_average_the_weights_are_what_is_used(learner: Make, images: Tensor) -> None:
    made = learner(steps=1, ema_decay=0.0)
    for ours, theirs in zip(made.average.parameters(), made.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_drawn_depends_on_seed_and_iteration_alone(learner: Make, images: Tensor) -> None:
    first, other = learner(learning_rate=1e-30), learner(learning_rate=1e-30)  # so small that the weights stay
    losses = [first.step(images) for _ in range(3)]
    other.iteration = 2
    assert other.step(images) == losses[2] != losses[1]
    assert learner(seed=1, learning_rate=1e-30).step(images) != losses[0]


def inf_in_the_images(made: Learner, images: Tensor) -> Tensor:
    return images * torch.inf


def inf_in_the_gradient(made: Learner, images: Tensor) -> Tensor:
    for parameter in made.network.parameters():
        parameter.register_hook(lambda gradient: gradient * torch.inf)
    return images


@pytest.mark.parametrize(
    ("break_it", "said"), [(inf_in_the_images, "the loss is nan"), (inf_in_the_gradient, "gradient (inf|nan) long")]
)
def test_a_loss_that_is_not_finite_stops_before_it_is_learned_from(
    learner: Make, images: Tensor, break_it: Callable[[Learner, Tensor], Tensor], said: str
) -> None:
    made = learner(steps=1)
    broken = break_it(made, images)
    before = [parameter.clone() for parameter in made.network.parameters()]
    with pytest.raises(TedmError, match=f"(?s)diverged at iteration 2.*{said}.*lower the learning rate"):
        made.step(broken)
    assert made.iteration == 1
    for now, then in zip(made.network.parameters(), before, strict=True):
        assert torch.equal(now, then)
