"""The loop of a fit: Adam's steps, looks at the validation loss, and states to go on from after an interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tedm.allocator import freed_memory_kept
from tedm.errors import TedmError
from tedm.heads.base.checkpoint import Checkpoint, FitState, put_tensors
from tedm.heads.base.head import Progress
from tedm.heads.base.optimisers import Adam, AdamW
from tedm.signals import deferred_signals

# Validation loss is looked at this often while stopping early.
CHECKS = 50
# nnU-Net's decay of the learning rate: what is left of the iterations, to this power.
DECAY_POWER = 0.9


@dataclass(frozen=True)
class Loop:
    """What a fit steps on, and when it ends.

    Parameters
    ----------
    network : Module
    optimiser : torch.optim.Adam
        Of its parameters.
    iterations : int
        Steps, at most.
    patience : int or None
        Looks in a row without a better validation loss after which it ends; None never ends early.
    validation_loss : callable or None
        Computes the loss on the validation images; None where there are none.
    device : str
    """

    network: nn.Module
    optimiser: torch.optim.Adam
    iterations: int
    patience: int | None
    validation_loss: Callable[[], float] | None
    device: str

    @freed_memory_kept()
    def run(
        self,
        learn: Callable[[FitState], Generator[Tensor]],
        state: FitState,
        progress: Progress | None = None,
        saved: Checkpoint | None = None,
    ) -> int:
        """Step until the iterations are used up, or the validation loss has stopped falling.

        Parameters
        ----------
        learn : callable
            Starts at a state's iteration; each of its items is the mean loss of the next, whose gradients it has left in the
            parameters.
        state : FitState
            Where to begin; it is moved on.
        progress : callable or None
        saved : Checkpoint or None
            Where states are kept.

        Returns
        -------
        int
            Iterations behind the weights that the network has then: the best ones, where there were looks.

        Raises
        ------
        TedmError
            If the loss is no longer finite.
        """
        network = self.network
        state.restore(network, self.optimiser, self.device)
        look_every = max(1, self.iterations // CHECKS)
        statistics: dict[str, Tensor] = {}
        try:
            with contextlib.closing(learn(state)) as losses:
                while not state.stopped(self.patience):
                    looks = self.patience is not None and state.iteration // look_every > state.looks
                    if looks and self.validation_loss is not None:
                        loss = self.validation_loss()
                        with deferred_signals():
                            state.look(loss, network)
                        continue
                    if state.iteration == self.iterations:
                        break
                    network.train()
                    if saved is not None:  # what an interrupted iteration has changed already
                        statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
                    each = next(losses)
                    with deferred_signals():  # weights, Adam's state and the iteration's number change together or not at all
                        self.optimiser.step()
                        told = state.count(each, self.iterations)
                        statistics = {}
                    if told and not np.isfinite(state.loss_curve[-1]):
                        raise TedmError(
                            f"the loss is no longer finite after {state.iteration} iterations; lower the learning rate"
                        )
                    if told and progress is not None:
                        progress(state.iteration, self.iterations, state.loss_curve[-1])
                    if saved is not None and saved.due():
                        saved.write(state, network, self.optimiser)
        except (KeyboardInterrupt, SystemExit):
            if saved is not None:
                for name, buffer in statistics.items():
                    network.get_buffer(name).copy_(buffer)
                saved.write(state, network, self.optimiser)
            raise
        if saved is not None:  # until the head is saved
            saved.write(state, network, self.optimiser)
        network.eval()
        if state.best_weights is None:
            return self.iterations
        put_tensors(network, state.best_weights)
        return state.best_iteration


def adam(network: nn.Module, learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Return Adam on a network's parameters; with a decay of the weights, as AdamW has it (arXiv:1711.05101).

    Fused: one pass over the weights, which outweigh the rows of an ensemble's small batches.
    """
    kind = AdamW if weight_decay else Adam
    return kind(network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)


def rate_of_step(learning_rate: float, iteration: int, iterations: int, *, decay: bool) -> float:
    """Return the learning rate of a step.

    Examples
    --------
    >>> rate_of_step(0.1, 0, 100, decay=True), rate_of_step(0.1, 99, 100, decay=False)
    (0.1, 0.1)
    """
    return learning_rate * (1 - iteration / iterations) ** DECAY_POWER if decay else learning_rate
