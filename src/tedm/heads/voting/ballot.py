"""A vote as it is held: the rule, the timesteps that vote, what each voter counts, and the temperature after it.

A head settles it once (`Segmenter.vote`); from then on nobody asks what the default was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tedm.heads.voting.temperature import at_temperature
from tedm.heads.voting.vote import VotingRule, vote


def merging_bytes(voters: int, pixels: int, classes: int) -> int:
    """Return what the opinions of so many voters take in memory, and merging them."""
    return pixels * classes * 8 * (2 * voters + 8)


@dataclass(frozen=True)
class Vote:
    """How the opinions of a head's voters become one.

    Parameters
    ----------
    rule : {"soft", "hard", "geometric", "entropy", "learned"}
        See `tedm.heads.voting.vote.vote`.
    timesteps : tuple of int
        Those that vote, or that are read side by side.
    weights : tuple of float, or None
        For the rule "learned": of each member and, where timesteps vote, of each timestep, with a sum of one.
    temperature : float or None
        What the merged probabilities are brought to; None leaves them as they come out of the vote.
    """

    rule: VotingRule
    timesteps: tuple[int, ...]
    weights: tuple[float, ...] | None = None
    temperature: float | None = None

    def merge(self, opinions: NDArray[np.floating]) -> NDArray[np.floating]:
        """Hold the vote.

        Parameters
        ----------
        opinions : array of shape (voters, pixels, classes)
            Of the same timesteps, in the order of `Segmenter.opinions`. Draws of noise share a weight equally.

        Returns
        -------
        array of shape (pixels, classes)
        """
        weights = None
        if self.weights is not None:
            draws = len(opinions) // len(self.weights)
            weights = np.repeat(np.array(self.weights) / draws, draws)
        merged = vote(opinions, rule=self.rule, weights=weights)
        return merged if self.temperature is None else at_temperature(merged, self.temperature)

    def uncalibrated(self) -> Vote:
        """Return the same vote without its temperature."""
        return replace(self, temperature=None)
