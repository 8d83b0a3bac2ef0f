"""What each voter's opinion is worth, learned from what voters say of labelled pixels.

The committee's probability of the true class is a mixture of the voters' probabilities of it. Its mean negative logarithm is
convex in the weights, which are not negative and sum to one, and depends on the opinions only through one number for each voter
and pixel. A quadratic model of it needs as many numbers as there are pairs of voters, summed over images, and its minimum is a
non-negative least-squares problem (the method of Kim et al. 2020, arXiv:1806.01412): some ten passes are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.voting.temperature import FLOOR
from tedm.text import listed

TOLERANCE = 1e-7  # nats of cross-entropy that better weights could still gain, at most
PASSES = 200


@dataclass(frozen=True)
class VoterWeights:
    """A weight for each member and timestep; draws of noise are alike, and share it equally.

    Parameters
    ----------
    timesteps : tuple of int
        Those that vote; empty where they are read side by side.
    values : tuple of tuples of float
        For each member of the ensemble its weight at each timestep, or its one weight.
    """

    timesteps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        width = len(self.timesteps) or 1
        if not self.values or any(len(row) != width for row in self.values):
            raise ValueError(f"a member's weights must be {width}")
        if not all(0 <= value < float("inf") for row in self.values for value in row):
            raise ValueError("weights must be finite and not negative")

    def among(self, timesteps: Sequence[int]) -> tuple[float, ...]:
        """Return the weights of the members at some timesteps, member by member, with a sum of one.

        Parameters
        ----------
        timesteps : sequence of int
            Those that are asked to vote; the others' weights go to them, in proportion.

        Raises
        ------
        TedmError
            If one of them has no weight, or they have nothing but zeros.
        """
        values = np.array(self.values)
        if self.timesteps:
            strange = [timestep for timestep in timesteps if timestep not in self.timesteps]
            if strange:
                raise TedmError(
                    f"this head has learned weights for the timesteps {listed(self.timesteps)}, and none for "
                    f"{listed(strange)}; leave it out, or choose another --vote"
                )
            values = values[:, [self.timesteps.index(timestep) for timestep in timesteps]]
        if not values.sum() > 0:
            raise TedmError(f"the learned weights of the timesteps {listed(timesteps)} are all zero; choose another --vote")
        return tuple((values.ravel() / values.sum()).tolist())


def mixture_weights(pixels: Iterable[NDArray[np.float64]], voters: int) -> tuple[NDArray[np.float64], float, float]:
    """Return the weights of a mixture that make what was seen most likely.

    Parameters
    ----------
    pixels : iterable of arrays of shape (pixels, voters)
        The probability that each voter gives to the true class. Iterated over some ten times, one array at a time; less than
        `tedm.heads.voting.temperature.FLOOR` counts as that.
    voters : int

    Returns
    -------
    weights : array of shape (voters,)
        Not negative, with a sum of one.
    before, after : float
        Mean cross-entropy in nats by equal weights and by these, which no weights beat by more than 1e-7.

    Examples
    --------
    >>> weights, before, after = mixture_weights([np.array([[0.9, 0.5], [0.8, 0.5]])], 2)  # the first is always better
    >>> weights
    array([1., 0.])
    """
    weights = np.full(voters, 1 / voters)
    here = _Quadratic.around(pixels, weights)
    before, passes = here.value, 1
    # By Jensen's inequality no weights gain more than the logarithm of the largest slope.
    while np.log(np.max(-here.slope)) > TOLERANCE and passes < PASSES:
        towards = here.lowest() - weights
        gain, part = (here.slope + 1) @ towards, 1.0
        while passes < PASSES:
            trial = weights + part * towards
            trial /= trial.sum()
            there = _Quadratic.around(pixels, trial)
            passes += 1
            if there.value <= here.value + 1e-4 * part * gain:
                break
            part /= 2
        weights, here = trial, there
    return weights, before, here.value


@dataclass(frozen=True)
class _Quadratic:
    """The cross-entropy near some weights: its value, first and second derivatives."""

    value: float
    slope: NDArray[np.float64]
    curvature: NDArray[np.float64]

    @classmethod
    def around(cls, pixels: Iterable[NDArray[np.float64]], weights: NDArray[np.float64]) -> _Quadratic:
        """Compute it in one pass over the pixels."""
        voters, count, value = len(weights), 0, 0.0
        slope, curvature = np.zeros(voters), np.zeros((voters, voters))
        for given in pixels:
            true = np.maximum(given, FLOOR)
            mixed = true @ weights
            ratio = true / mixed[:, None]
            count += len(true)
            value -= float(np.log(mixed).sum())
            slope -= ratio.sum(axis=0)
            curvature += ratio.T @ ratio
        return cls(value / count, slope / count, curvature / count)

    def lowest(self) -> NDArray[np.float64]:
        """Return the weights that minimise the quadratic model plus their sum, which makes that sum one at the end."""
        from scipy.linalg import solve_triangular
        from scipy.optimize import nnls

        voters = len(self.slope)
        tilted = self.curvature + 1e-10 * np.trace(self.curvature) / voters * np.eye(voters)  # of two equal voters, both
        lower = np.linalg.cholesky(tilted)
        return np.asarray(nnls(lower.T, -solve_triangular(lower, 2 * self.slope + 1, lower=True))[0])
