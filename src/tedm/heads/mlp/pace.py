"""How many threads a step takes: torch's, or one where other work has the cores and the bits are the same.

The threads of an operation wait for each other at its end. Where cores are free they save a third of a step's time. Where they
are not, every wait lasts until the system lets the last of them go on, hundreds of times in a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from tedm.threads import torch_threads

# Seconds after which it is tried again: others come and go. A try is a few steps.
AGAIN = 5.0
STEPS = 2
# Steps of all threads whose mean is compared with one thread's time: a try may meet the others asleep.
WATCHED = 16


class Pace:
    """Takes steps of a network, and tries now and then what is faster; while it is entered, torch has as many threads.

    Parameters
    ----------
    network : Module
        Steps leave their gradients in its parameters, and may change its buffers.
    device : str
        On a GPU nothing is tried.
    """

    def __init__(self, network: nn.Module, device: str) -> None:
        self._network = network
        self._all = torch.get_num_threads()
        self._choice = device == "cpu" and self._all > 1
        self._tried = -float("inf")
        self._one = float("inf")  # seconds of a step with one thread; infinite where its bits are others
        self._took: list[float] = []

    def __enter__(self) -> Self:
        """Begin with all threads."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        torch.set_num_threads(self._all)

    def step(self, learn: Callable[[], Tensor]) -> Tensor:
        """Return what a step returns that gives the same each time, but for what it leaves in the network."""
        if not self._choice:
            return learn()
        if time.monotonic() - self._tried > AGAIN:
            (one, its), (every, theirs) = self._try(1, learn), self._try(self._all, learn)
            self._one = one if all(map(torch.equal, its, theirs)) else float("inf")
            self._use_one(every > self._one)
            self._tried = time.monotonic()
        elif len(self._took) == WATCHED:
            self._use_one(sum(self._took) > WATCHED * self._one)
        began = time.perf_counter()
        losses = learn()
        if torch.get_num_threads() > 1:
            self._took.append(time.perf_counter() - began)
        return losses

    def _use_one(self, one: bool) -> None:
        """Go on with one thread, or with all, and watch these anew."""
        torch.set_num_threads(1 if one else self._all)
        self._took = []

    def with_all_threads(self, work: Callable[[], float]) -> float:
        """Return what some work does that is no step, and whose bits may be others with one thread."""
        with torch_threads(self._all):
            return work()

    def _try(self, threads: int, learn: Callable[[], Tensor]) -> tuple[float, list[Tensor]]:
        """Return how long a step takes with so many threads, and its gradients; the network's buffers stay as they are."""
        before = [buffer.clone() for buffer in self._network.buffers()]
        took = []
        try:
            with torch_threads(threads):
                for _ in range(STEPS):
                    began = time.perf_counter()
                    learn()
                    took.append(time.perf_counter() - began)
        finally:
            for buffer, its in zip(self._network.buffers(), before, strict=True):
                buffer.copy_(its)
        return min(took), [parameter.grad.clone() for parameter in self._network.parameters() if parameter.grad is not None]
