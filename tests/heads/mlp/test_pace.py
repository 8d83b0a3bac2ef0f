"""Steps take one thread where that is faster and gives the same bits."""

from __future__ import annotations

import time

import pytest
import torch
from small_mlps import SMALL, data_of, same, state
from torch import nn

from tedm.heads.mlp import pace
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.pace import Pace
from tedm.threads import torch_threads


class Steps:
    """Steps that take so long with one thread and with two, and whose gradients may say with how many they were made."""

    def __init__(self, one: float, two: float, *, differ: bool = False) -> None:
        self.network = nn.BatchNorm1d(3)
        self.took, self.differ, self.threads = {1: one, 2: two}, differ, []

    def __call__(self) -> torch.Tensor:
        threads = torch.get_num_threads()
        time.sleep(self.took[threads])
        self.network.running_mean += 1
        for parameter in self.network.parameters():
            parameter.grad = torch.full_like(parameter, threads if self.differ else 1)
        self.threads.append(threads)
        return torch.zeros(1)


@pytest.mark.parametrize(
    ("steps", "threads"),
    [
        (Steps(0.002, 0.05), 1),  # others have the cores
        (Steps(0.05, 0.002), 2),
        (Steps(0.002, 0.05, differ=True), 2),
    ],
)
def test_one_thread_takes_over_where_it_is_faster_and_gives_the_same_bits(steps, threads):
    with torch_threads(2):
        with Pace(steps.network, "cpu") as of:
            for _ in range(3):
                of.step(steps)
                assert torch.get_num_threads() == threads  # also for what belongs to a step
                assert of.with_all_threads(torch.get_num_threads) == 2
        assert torch.get_num_threads() == 2
    assert steps.threads == [1, 1, 2, 2, threads, threads, threads]
    assert steps.network.running_mean.tolist() == [3.0] * 3  # tries leave nothing


def test_it_is_tried_again_when_others_may_have_gone(monkeypatch):
    steps = Steps(0.002, 0.05)
    with torch_threads(2), Pace(steps.network, "cpu") as of:
        of.step(steps)
        steps.took = {1: 0.05, 2: 0.002}
        of.step(steps)
        monkeypatch.setattr(pace, "AGAIN", 0.0)
        of.step(steps)
    assert steps.threads == [1, 1, 2, 2, 1, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(("differ", "threads"), [(False, 1), (True, 2)])
def test_steps_that_turn_out_slower_than_one_threads_are_left_to_it(differ, threads):
    steps = Steps(0.01, 0.001, differ=differ)
    with torch_threads(2), Pace(steps.network, "cpu") as of:
        of.step(steps)
        steps.took = {1: 0.01, 2: 0.02}
        for _ in range(pace.WATCHED + 2):
            of.step(steps)
    assert steps.threads == [1, 1, *[2] * (2 + pace.WATCHED), *[threads] * 3]


@pytest.mark.parametrize(("threads", "device"), [(1, "cpu"), (2, "cuda")])
def test_nothing_is_tried_where_there_is_no_choice(threads, device):
    steps = Steps(0.0, 0.0)
    with torch_threads(threads):
        Pace(steps.network, device).step(steps)
    assert steps.threads == [threads]


def test_a_step_that_fails_leaves_threads_and_statistics():
    steps = Steps(0.0, 0.0)

    def failing():
        steps()
        raise KeyboardInterrupt

    with torch_threads(2):
        with pytest.raises(KeyboardInterrupt):
            Pace(steps.network, "cpu").step(failing)
        assert torch.get_num_threads() == 2
    assert not steps.network.running_mean.any()


def test_a_fit_that_is_tried_at_every_step_ends_in_the_same_bits(make_store, monkeypatch):
    data = data_of(make_store())
    found = []
    with torch_threads(2):
        for again in (float("inf"), 0.0):
            monkeypatch.setattr(pace, "AGAIN", again)
            found.append(MLPHead(2, **SMALL).fit_blocks(data))
    assert same(*map(state, found))
    assert found[0].loss_curve_ == found[1].loss_curve_
