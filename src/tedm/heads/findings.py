"""What probes found, as rows of tables.

Means are over repeats and test images, of the mean over foreground classes; intervals are those of `tedm.heads.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tedm.heads.bootstrap import Interval, interval
from tedm.heads.greedy import VotingPath, image_scores
from tedm.heads.probe import METRICS, Plan, Probed
from tedm.store import Labels


@dataclass(frozen=True)
class Point:
    """One probe and training size in one domain; scores in points (x 100).

    Parameters
    ----------
    probe : str
        Name of the probe.
    timestep : int or None
    level : str or None
        What it sees; None is all.
    n : int
        Training images.
    domain, split : str
        Where it was tested.
    metric : str
        "dice", "precision" or "recall".
    mean, low, high : float
        Over repeats and images, with its 95 % interval.
    repeats, images : int
    """

    probe: str
    timestep: int | None
    level: str | None
    n: int
    domain: str
    split: str
    metric: str
    mean: float
    low: float
    high: float
    repeats: int
    images: int


@dataclass(frozen=True)
class VotePoint:
    """The vote of the first timesteps of a greedy path in one domain; Dice in points (x 100).

    Parameters
    ----------
    n : int
        Training images.
    voters : int
        How many timesteps vote.
    timesteps : str
        Which, "1+10+25".
    chosen : bool
        Whether this is the number of voters that is best on val.
    domain, split : str
    mean, low, high : float
    gain, gain_low, gain_high : float
        Over the first timestep alone, image by image.
    cost : float
        Part of all the timesteps: of the passes of the network, and of the store.
    """

    n: int
    voters: int
    timesteps: str
    chosen: bool
    domain: str
    split: str
    mean: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    cost: float


class Findings:
    """Probes, votes and where their images are from.

    Parameters
    ----------
    labels : Labels
    plan : Plan
    probed : sequence of Probed
    paths : sequence of VotingPath
    """

    def __init__(self, labels: Labels, plan: Plan, probed: Sequence[Probed], paths: Sequence[VotingPath]) -> None:
        self.labels, self.plan, self.probed, self.paths = labels, plan, tuple(probed), tuple(paths)
        position = {name: at for at, name in enumerate(labels.names)}
        at = [position[name] for name in plan.scored]
        self._groups = [labels.groups[n] for n in at]
        self._domains = [labels.domains[n] for n in at]
        self._splits = ["val" if number < plan.val else labels.splits[n] for number, n in enumerate(at)]

    def places(self) -> list[tuple[str, str]]:
        """(domain, split) of all that was scored, test first."""
        places = dict.fromkeys(zip(self._domains, self._splits, strict=True))
        return sorted(places, key=lambda place: place[1] == "val")

    def points(self) -> list[Point]:
        """All probes x sizes x domains x metrics, val included."""
        points = []
        for done in self.probed:
            of_images = image_scores(done.scores)
            for n in self.plan.sizes:
                of_size = of_images[[subset.n == n for subset in self.plan.subsets]]
                for domain, split in self.places():
                    some = self.at(domain, split)
                    for number, metric in enumerate(METRICS):
                        found = self.interval(of_size[:, some, number], some)
                        about = (done.probe.name, done.probe.timestep, done.probe.level, n, domain, split, metric)
                        points.append(Point(*about, found.mean, found.low, found.high, len(of_size), len(some)))
        return points

    def votes(self) -> list[VotePoint]:
        """All sizes x numbers of voters x domains."""
        found = []
        for path in self.paths:
            of_images = image_scores(path.scores)[..., 0]  # repeats, images, voters
            every = len(path.timesteps)
            for voters in range(1, every + 1):
                for domain, split in self.places():
                    some = self.at(domain, split)
                    mine, first = of_images[:, some, voters - 1], of_images[:, some, 0]
                    dice, gain = self.interval(mine, some), self.interval(mine - first, some)
                    which = "+".join(map(str, sorted(path.timesteps[:voters])))
                    chosen = voters == path.chosen
                    found.append(
                        VotePoint(
                            path.n,
                            voters,
                            which,
                            chosen,
                            domain,
                            split,
                            dice.mean,
                            dice.low,
                            dice.high,
                            gain.mean,
                            gain.low,
                            gain.high,
                            voters / every,
                        )
                    )
        return found

    def at(self, domain: str, split: str) -> list[int]:
        """Positions among `Plan.scored` of the images of a domain and split."""
        places = zip(self._domains, self._splits, strict=True)
        return [number for number, place in enumerate(places) if place == (domain, split)]

    def interval(self, scores: NDArray[np.float64], some: Sequence[int]) -> Interval:
        """In points."""
        found = interval(scores, [self._groups[number] for number in some])
        return Interval(100 * found.mean, 100 * found.low, 100 * found.high)
