"""What each voter's opinion is worth, learned from labelled images that the classifier did not learn from.

The committee's probability of the true class is a mixture of the voters' probabilities of it. Its mean negative logarithm is
convex in the weights, which are not negative and sum to one, and depends on the opinions only through one number for each voter
and pixel. A quadratic model of it needs as many numbers as there are pairs of voters, summed over images, and its minimum is a
non-negative least-squares problem (the method of Kim et al. 2020, arXiv:1806.01412): some ten passes are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from tedm.errors import TedmError
from tedm.heads.segmenter.held_out import FLOOR, Answers
from tedm.store import Features
from tedm.store.fingerprints import fingerprints
from tedm.store.splits import images_to_choose_on

if TYPE_CHECKING:
    from tedm.heads.segmenter.segmenter import Segmenter

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

    def of_voters(self, timesteps: Sequence[int], draws: int) -> NDArray[np.float64]:
        """Weights in the order of `Segmenter.opinions`, with a sum of one.

        Parameters
        ----------
        timesteps : sequence of int
            Those that are asked to vote; the others' weights go to them, in proportion.
        draws : int
            Draws of noise at each timestep.

        Raises
        ------
        TedmError
            If one of them has no weight, or they have nothing but zeros.
        """
        values = np.array(self.values)
        if self.timesteps:
            listed = ", ".join(map(str, self.timesteps))
            strange = [timestep for timestep in timesteps if timestep not in self.timesteps]
            if strange:
                raise TedmError(
                    f"this head has learned weights for the timesteps {listed}, and none for {', '.join(map(str, strange))}; "
                    "leave it out, or choose another --vote"
                )
            values = values[:, [self.timesteps.index(timestep) for timestep in timesteps]]
        if not values.sum() > 0:
            raise TedmError(
                f"the learned weights of the timesteps {', '.join(map(str, timesteps))} are all zero; choose another --vote"
            )
        return np.repeat(values.ravel() / values.sum() / draws, draws)


def learn_weights(
    head: Segmenter,
    features: Features,
    *,
    split: str | None = "val",
    domain: str | None = None,
    memory: int | None = None,
) -> Segmenter:
    """Learn the weights of a head's voters, for the rule "learned".

    Parameters
    ----------
    head : Segmenter
        Fitted, by whatever rule it votes; it votes by "learned" afterwards.
    features : Features
        With labelled images that it has not learned from, nor from their groups; the images that it has learned from need
        not be among them.
    split, domain : str or None
        Which of them; None takes all.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.

    Returns
    -------
    Segmenter
        With `weights` that minimise the mean cross-entropy over all labelled pixels of these images. They count as used labels
        (provenance: labels_used, validation_images), and the cross-entropy by equal and by learned weights is recorded.

    Raises
    ------
    TedmError
        If there is no such image, the head learned from one, or the budget is too small.
    """
    names = images_to_choose_on(features, head.learned_from, split=split, domain=domain, purpose="--vote learned")
    shared, members = head.method.rows == "share", head.method.members
    timesteps = head.method.timesteps if shared else ()
    draws = features.settings.draws

    def of_the_truth(opinions: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What each member gives the true class at each timestep, the mean of its draws: shape (pixels, voters)."""
        true = opinions[:, np.arange(len(labels)), labels].astype(np.float64)
        return np.ascontiguousarray(true.reshape(-1, draws, len(labels)).mean(axis=1).T)

    answers = Answers(head, features, names, of_the_truth, memory=memory)
    values, equal, learned = mixture_weights(answers, members * max(1, len(timesteps)))
    table = tuple(tuple(row) for row in values.reshape(members, -1).tolist())
    account = {"learned_weights": {"cross_entropy_of_equal_weights": equal, "cross_entropy": learned}}
    outdated = head.calibration is not None and head.calibration.rule == "learned"
    return replace(
        head,
        method=replace(head.method, vote="learned"),
        weights=VoterWeights(timesteps, table),
        calibration=None if outdated else head.calibration,
        provenance=head.having_used(fingerprints(features, names)) | account,
    )


def mixture_weights(pixels: Iterable[NDArray[np.float64]], voters: int) -> tuple[NDArray[np.float64], float, float]:
    """Weights of a mixture that make what was seen most likely.

    Parameters
    ----------
    pixels : iterable of arrays of shape (pixels, voters)
        The probability that each voter gives to the true class. Iterated over some ten times, one array at a time; less than
        `tedm.heads.segmenter.held_out.FLOOR` counts as that.
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
    here = _Quadratic.of(pixels, weights)
    before, passes = here.value, 1
    # By Jensen's inequality no weights gain more than the logarithm of the largest slope.
    while np.log(np.max(-here.slope)) > TOLERANCE and passes < PASSES:
        towards = here.lowest() - weights
        gain, part = (here.slope + 1) @ towards, 1.0
        while passes < PASSES:
            trial = weights + part * towards
            trial /= trial.sum()
            there = _Quadratic.of(pixels, trial)
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
    def of(cls, pixels: Iterable[NDArray[np.float64]], weights: NDArray[np.float64]) -> _Quadratic:
        """One pass."""
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
        """Weights that minimise the quadratic model plus their sum, which makes that sum one at the end."""
        voters = len(self.slope)
        tilted = self.curvature + 1e-10 * np.trace(self.curvature) / voters * np.eye(voters)  # of two equal voters, both
        lower = np.linalg.cholesky(tilted)
        return np.asarray(nnls(lower.T, -solve_triangular(lower, 2 * self.slope + 1, lower=True))[0])
