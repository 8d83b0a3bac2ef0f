import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tedm.extract.backbones import random_backbone
from tedm.extract.noise import draw_noise
from tedm.extract.pretrain.validation import HeldOut, choose_held_out
from tedm.signals import Pending, deferred_signals


@given(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=60), st.integers(0, 8), st.integers(0, 3))
def test_whole_groups_are_held_out_and_a_tenth_at_most(groups: list[str], most: int, seed: int) -> None:
    chosen = choose_held_out(groups, most, seed=seed)
    assert len(chosen) <= min(most, len(groups) // 10)
    assert {groups[index] for index in chosen}.isdisjoint(group for index, group in enumerate(groups) if index not in chosen)


def test_as_many_are_held_out_as_are_asked_for() -> None:
    names = [f"patient {number}" for number in range(100)]
    first, second = choose_held_out(names, 7, seed=0), choose_held_out(names, 7, seed=1)
    assert len(first) == len(second) == 7
    assert first != second
    # the choice goes by group, not by place
    assert {names[::-1][index] for index in choose_held_out(names[::-1], 7, seed=0)} == {names[index] for index in first}


def test_the_loss_is_the_error_on_noise_that_stays(rng: np.random.Generator) -> None:
    images = rng.random((3, 1, 16, 16), dtype=np.float32)
    backbone = random_backbone()
    held_out = HeldOut(images, timesteps_total=1000, seed=5)
    losses = []
    for number, share in enumerate((0.0, 0.6180339887, 0.2360679775)):  # multiples of the golden ratio
        for quarter in range(4):
            timestep = int((quarter + share) / 4 * 1000)
            name = f"held out {number}"
            noise = torch.from_numpy(draw_noise((1, 16, 16), mode="per-image", seed=5, name=name, timestep=timestep, draw=0))
            at = torch.tensor([timestep])
            x_t = backbone.schedule.x_t(torch.from_numpy(images[number : number + 1]) * 2 - 1, noise, at)
            losses.append(float(F.l1_loss(backbone.predict_noise(x_t, at)[0], noise)))
    assert held_out.loss(backbone) == pytest.approx(np.mean(losses), rel=1e-6)
    assert held_out.loss(backbone) == HeldOut(images, timesteps_total=1000, seed=5).loss(backbone)
    assert held_out.loss(backbone) != HeldOut(images, timesteps_total=1000, seed=6).loss(backbone)


def interrupted(images: NDArray[np.float32]) -> None:
    held_out = HeldOut(images, timesteps_total=1000, seed=5)
    with deferred_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Pending):
            held_out.loss(random_backbone())


def test_the_loss_is_left_where_a_signal_waits(rng: np.random.Generator) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(rng.random((3, 1, 16, 16), dtype=np.float32))
