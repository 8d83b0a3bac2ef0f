"""Which timesteps vote best together: the best one first, then always the one that helps the vote most.

Each timestep has its own classifier, and their probabilities are averaged (soft voting). Of T timesteps there are 2**T subsets;
the greedy path tries T (T + 1) / 2 of them and is rarely far from the best. What is best is judged on val images alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.data.rows import block_bytes
from tedm.heads.metrics.scores import score_each
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, by_convention, mean_over_classes, mean_over_images
from tedm.heads.probing.classifiers import opinions
from tedm.heads.probing.fit import FittedProbe
from tedm.heads.probing.plan import MEASURES, Plan
from tedm.heads.runtime.memory import Budget
from tedm.store import Block, Features

# Bytes of a probability and of the sums and masks that are made of it.
BYTES_PER_PROBABILITY = 32


@dataclass(frozen=True)
class VotingPath:
    """The greedy path for one training size.

    Parameters
    ----------
    n : int
        Training images.
    timesteps : tuple of int
        In the order in which they were taken.
    val : tuple of float
        Mean Dice on the val images of the vote of the first 1, 2, ... of them, in [0, 1].
    chosen : int
        How many of them vote best on val; of equals, the fewest.
    scores : array of shape (repeats, images, timesteps, classes, 3)
        Dice, precision and recall of the vote of the first 1, 2, ... on `Plan.scored`, NaN for 0/0.
    """

    n: int
    timesteps: tuple[int, ...]
    val: tuple[float, ...]
    chosen: int
    scores: NDArray[np.float64]

    def nearly(self, within: float) -> int:
        """Return the fewest of them whose vote comes so near to the best on val, `within` in [0, 1]."""
        return 1 + next(number for number, dice in enumerate(self.val) if dice >= max(self.val) - within)


def voting_paths(
    features: Features,
    plan: Plan,
    probed: Sequence[FittedProbe],
    *,
    memory: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    empty: EmptyTruth = LEAVE_OUT,
) -> list[VotingPath]:
    """Find for each training size the timesteps that vote best together.

    The same timesteps are taken for all repeats of a size: the mean Dice on val images (`tedm.heads.metrics.summary`) decides.

    Parameters
    ----------
    features : Features
    plan, probed
        See `tedm.heads.probing.run`; probes of timesteps alone are used.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    progress : callable (done, all, what) or None
        Called after each round on val, and once more.
    empty : {"leave-out", "count"}
        What a val image counts whose truth does not show a class.

    Returns
    -------
    list of VotingPath
        One a size; none if there are no val images or fewer than two timesteps.

    Raises
    ------
    TedmError
        If the budget does not hold the opinions on an image, or no val image has a score.
    """
    alone = [fitted for fitted in probed if fitted.probe.kind == "timestep"]
    val = plan.scored[: plan.val]
    if not val or len(alone) < 2:
        return []
    committee = _Committee(features, plan, alone)
    committee.require(Budget(memory))
    rounds = len(alone)
    paths: dict[int, list[int]] = {n: [] for n in plan.sizes}
    dice: dict[int, list[float]] = {n: [] for n in plan.sizes}
    for number in range(1, rounds + 1):
        means = committee.candidates(val, paths, empty)
        for n in plan.sizes:
            best = int(np.nanargmax(means[n]))
            paths[n].append(best)
            dice[n].append(float(means[n][best]))
        if progress is not None:
            progress(number, rounds + 1, "choosing timesteps")
    scores = committee.along(plan.scored, paths)
    if progress is not None:
        progress(rounds + 1, rounds + 1, "voting")
    return [
        VotingPath(
            n,
            tuple(committee.timesteps[at] for at in paths[n]),
            tuple(dice[n]),
            1 + int(np.argmax(dice[n])),
            scores[n],
        )
        for n in plan.sizes
    ]


class _Committee:
    """The classifiers of all timesteps and subsets; timesteps are numbered, and a path is a list of their numbers."""

    def __init__(self, features: Features, plan: Plan, alone: Sequence[FittedProbe]) -> None:
        self._features = features
        self._alone = alone
        self._subsets = {n: [at for at, subset in enumerate(plan.subsets) if subset.n == n] for n in plan.sizes}
        self._classes = len(features.labels.classes)
        self.timesteps = [int(fitted.probe.timestep or 0) for fitted in alone]

    def require(self, budget: Budget) -> None:
        """Refuse a budget that does not hold an image's activations and opinions."""
        settings = self._features.settings
        pixels = settings.image_size**2 * self._classes
        fits = sum(len(subsets) for subsets in self._subsets.values())
        opinions = pixels * fits * (len(self._alone) + settings.draws) * BYTES_PER_PROBABILITY
        budget.require(
            sum(block_bytes(self._features, len(self._alone))) + opinions, "the votes of all timesteps' classifiers on an image"
        )

    def candidates(
        self, names: Sequence[str], paths: dict[int, list[int]], empty: EmptyTruth
    ) -> dict[int, NDArray[np.float64]]:
        """Return for each size the mean Dice with each further timestep; NaN for those that vote already."""
        image_dice: dict[int, list[NDArray[np.float64]]] = {n: [] for n in paths}
        for block, truth in self._images(names):
            probabilities = self._opinions(block)
            for n, subsets in self._subsets.items():
                dice = np.full((len(subsets), len(self._alone)), np.nan)
                rest = [at for at in range(len(self._alone)) if at not in paths[n]]
                for row, subset in enumerate(subsets):
                    voted = sum((probabilities[at, subset] for at in paths[n]), np.zeros(probabilities.shape[2:]))
                    masks = np.stack([(voted + probabilities[at, subset]).argmax(axis=-1) for at in rest])
                    scores = by_convention(self._measures(truth, masks), MEASURES, empty)
                    dice[row, rest] = mean_over_classes(scores[..., MEASURES.index("dice")])
                image_dice[n].append(dice)
        means = {n: mean_over_images(np.stack(dice).swapaxes(0, 1)) for n, dice in image_dice.items()}
        if any(np.isnan(dice).all() for dice in means.values()):
            raise TedmError(
                "no val image shows a foreground class: there is nothing to choose timesteps by; give val other images"
            )
        return means

    def along(self, names: Sequence[str], paths: dict[int, list[int]]) -> dict[int, NDArray[np.float64]]:
        """Return for each size the measures of the votes along its path, of shape (repeats, images, timesteps, classes, 3)."""
        shape = (len(names), len(self._alone), self._classes, len(MEASURES))
        measures = {n: np.full((len(subsets), *shape), np.nan) for n, subsets in self._subsets.items()}
        for number, (block, truth) in enumerate(self._images(names)):
            probabilities = self._opinions(block)
            for n, subsets in self._subsets.items():
                for row, subset in enumerate(subsets):
                    masks = np.cumsum(probabilities[paths[n], subset], axis=0).argmax(axis=-1)
                    measures[n][row, number] = self._measures(truth, masks)
        return measures

    def _images(self, names: Sequence[str]) -> Iterator[tuple[Block, NDArray[np.uint8]]]:
        masks = (self._features.mask(name).ravel() for name in names)
        return zip(self._features.blocks(names, self.timesteps), masks, strict=True)

    def _opinions(self, block: Block) -> NDArray[np.float64]:
        """Return the mean over draws of each classifier's probabilities: shape (timesteps, subsets, pixels, classes)."""
        return np.stack(
            [
                np.stack([draws.mean(axis=0) for draws in opinions(block.at([timestep]), fitted.fits)])
                for timestep, fitted in zip(self.timesteps, self._alone, strict=True)
            ]
        )

    def _measures(self, truth: NDArray[np.uint8], masks: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return Dice, precision and recall of some masks of an image: shape (masks, classes, 3)."""
        return score_each(truth, masks, self._classes).stacked(MEASURES)
