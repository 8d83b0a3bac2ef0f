"""The images that probes are scored on: where they are from, and what a mean over some of them is.

Means are those of `tedm.heads.metrics.summary`, intervals those of `tedm.heads.metrics.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tedm.heads.metrics.bootstrap import Interval, interval
from tedm.heads.metrics.summary import EmptyTruth, by_convention, mean_over_classes, mean_over_images, require_convention
from tedm.heads.probing.plan import MEASURES, Plan
from tedm.store import Labels

RECALL = MEASURES.index("recall")


class ScoredImages:
    """The scored images of a plan, in its order: first those of val, then those of test.

    Parameters
    ----------
    labels : Labels
        Whose domains and groups they are.
    plan : Plan
    empty : {"leave-out", "count"}
        What an image counts whose truth does not show a class; see `tedm.heads.metrics.summary`.

    Raises
    ------
    TedmError
        If there is no such convention.
    """

    def __init__(self, labels: Labels, plan: Plan, empty: EmptyTruth) -> None:
        require_convention(empty)
        self.empty = empty
        self.names = plan.scored
        position = {name: at for at, name in enumerate(labels.names)}
        at = [position[name] for name in plan.scored]
        self.groups = [labels.groups[n] for n in at]
        self.domains = [labels.domains[n] for n in at]
        self.splits = ["val" if number < plan.val else "test" for number in range(len(at))]
        self._val = plan.val

    def places(self) -> list[tuple[str, str]]:
        """Return (domain, split) of all that was scored, test first."""
        places = dict.fromkeys(zip(self.domains, self.splits, strict=True))
        return sorted(places, key=lambda place: place[1] == "val")

    def at(self, domain: str, split: str) -> list[int]:
        """Return the positions of the images of a domain and split."""
        places = zip(self.domains, self.splits, strict=True)
        return [number for number, place in enumerate(places) if place == (domain, split)]

    def scores(self, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of images, the mean over their foreground classes: from (..., classes, 3) to (..., 3)."""
        return mean_over_classes(by_convention(ratios, MEASURES, self.empty), axis=-2)

    def interval(self, scores: NDArray[np.float64], positions: Sequence[int]) -> Interval:
        """Return the mean and its interval, in points, of scores of shape (repeats, images) of the images at some positions."""
        unscaled = interval(scores, [self.groups[number] for number in positions])
        return Interval(100 * unscaled.mean, 100 * unscaled.low, 100 * unscaled.high)

    def mean_on_val(self, scores: NDArray[np.float64]) -> float:
        """Return the mean, in points, of scores of shape (repeats, images) over all images of val."""
        return 100 * float(mean_over_images(scores[:, : self._val]))

    def without_class(self, ratios: NDArray[np.float64], domain: str, split: str) -> int:
        """Return how many images of a domain and split show no foreground class, by ratios of shape (images, classes, 3)."""
        recall = ratios[self.at(domain, split), :, RECALL]
        return int(np.isnan(recall[:, 1:] if recall.shape[1] > 1 else recall).all(axis=1).sum())
