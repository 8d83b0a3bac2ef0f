"""What a training run says of itself while it goes on: its loss, images that it makes, and how long it will take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.text import duration

from .curve import LossCurve, Point
from .learner import Learner

# the first iterations, of which one is a warm-up, tell how long the rest takes
TIMED = 10


@dataclass(frozen=True)
class TrainingReport:
    """How a training run is doing.

    Parameters
    ----------
    iteration : int
        Iterations done.
    points : tuple of Point
        The loss so far.
    samples : array of shape (samples, channels, side, side), float32
        Images that a diffusion model makes, from 0, black, to 1, white, always out of the same noise; none if none are asked
        for.
    """

    iteration: int
    points: tuple[Point, ...]
    samples: NDArray[np.float32]


class Reporter:
    """Makes points of the loss curve, and a report with each of them."""

    def __init__(
        self,
        learner: Learner,
        curve: LossCurve,
        held_out: NDArray[np.float32] | None,
        samples: int,
        report: Callable[[TrainingReport], None] | None,
    ) -> None:
        self._learner, self._curve, self._report = learner, curve, report
        self._held_out_loss = None if held_out is None else learner.held_out_loss(held_out)
        self._sample = learner.sampler(samples)
        self.seconds = 0.0
        """How long the last one took."""

    def __call__(self) -> None:
        if self._curve.points and self._curve.points[-1].iteration == self._learner.iteration:
            return  # a run that was interrupted in its report goes on after it
        started = time.monotonic()
        iteration = self._learner.iteration
        # first what takes long and leaves where a signal comes: nothing is noted then, and whoever goes on reports anew
        validation = None if self._held_out_loss is None else self._held_out_loss()
        samples = None if self._report is None else self._sample()
        self._curve.close(iteration, validation)
        if self._report is not None and samples is not None:
            self._report(TrainingReport(iteration, tuple(self._curve.points), samples))
        self.seconds = time.monotonic() - started


class Clock:
    """Says once how long a run will take, from its first iterations and its first report."""

    def __init__(self, iterations: int, report_every: int, reporter: Reporter, say: Callable[[str], None]) -> None:
        self._iterations, self._report_every, self._reporter, self._say = iterations, report_every, reporter, say
        self._seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self._seconds.append(seconds)
        if len(self._seconds) != min(TIMED, self._iterations):
            return
        each = statistics.median(self._seconds[1:] or self._seconds)  # the first one also sets up
        left = self._iterations - len(self._seconds)
        total = left * each + left / self._report_every * self._reporter.seconds
        self._say(f"about {duration(total)} for {left} more iterations, at {each:.3g} s each")
