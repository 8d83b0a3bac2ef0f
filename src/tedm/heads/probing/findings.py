"""What probes found, as rows of tables.

Means are those of `tedm.heads.metrics.summary`, intervals those of `tedm.heads.metrics.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tedm.heads.metrics.bootstrap import Interval, interval
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, by_convention, mean_over_classes, require_convention
from tedm.heads.probing.fits import METRICS, Probed
from tedm.heads.probing.plan import Plan
from tedm.heads.probing.voting_path import VotingPath
from tedm.store import Features

# By domain, then by number of training images: (timestep or voters, mean, low, high).
Curves = dict[str, dict[int, list[tuple[int, float, float, float]]]]

SCORE_COLUMNS = ("probe", "timesteps", "level", "n", "repeat", "domain", "split", "image", "group", "class_value")


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
    domain : str
        Where it was tested.
    split : str
        "test", or "val" for the images by which things are chosen.
    metric : str
        "dice", "precision" or "recall".
    mean, low, high : float
        Over images, each averaged over its repeats, with its 95 % interval.
    repeats, images : int
        How many are averaged.
    left_out : int
        Images without a score.
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
    left_out: int


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
    features : Features
        Whose labels and settings they are.
    plan : Plan
    probed : sequence of Probed
    paths : sequence of VotingPath
    empty : {"leave-out", "count"}
        What an image counts whose truth does not show a class; see `tedm.heads.metrics.summary`.

    Raises
    ------
    TedmError
        If there is no such convention.
    """

    def __init__(
        self,
        features: Features,
        plan: Plan,
        probed: Sequence[Probed],
        paths: Sequence[VotingPath],
        *,
        empty: EmptyTruth = LEAVE_OUT,
    ) -> None:
        require_convention(empty)
        self.empty = empty
        self.labels = labels = features.labels
        self.timesteps = features.settings.timesteps
        self.plan, self.probed, self.paths = plan, tuple(probed), tuple(paths)
        position = {name: at for at, name in enumerate(labels.names)}
        at = [position[name] for name in plan.scored]
        self._groups = [labels.groups[n] for n in at]
        self._domains = [labels.domains[n] for n in at]
        self._splits = ["val" if number < plan.val else "test" for number in range(len(at))]

    def places(self) -> list[tuple[str, str]]:
        """(domain, split) of all that was scored, test first."""
        places = dict.fromkeys(zip(self._domains, self._splits, strict=True))
        return sorted(places, key=lambda place: place[1] == "val")

    @cached_property
    def points(self) -> list[Point]:
        """All probes x sizes x domains x metrics, val included."""
        points = []
        for done in self.probed:
            of_images = self.image_scores(done.scores)
            for n in self.plan.sizes:
                of_size = of_images[[subset.n == n for subset in self.plan.subsets]]
                for domain, split in self.places():
                    some = self.at(domain, split)
                    for number, metric in enumerate(METRICS):
                        found = self.interval(of_size[:, some, number], some)
                        about = (done.probe.name, done.probe.timestep, done.probe.level, n, domain, split, metric)
                        scored = int((~np.isnan(of_size[:, some, number])).any(axis=0).sum())
                        counts = len(of_size), scored, len(some) - scored
                        points.append(Point(*about, found.mean, found.low, found.high, *counts))
        return points

    @cached_property
    def votes(self) -> list[VotePoint]:
        """All sizes x numbers of voters x domains."""
        found = []
        for path in self.paths:
            of_images = self.image_scores(path.scores)[..., 0]  # repeats, images, voters
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

    def curves(self, metric: str = "dice", *, split: str = "test") -> Curves:
        """Scores of single timesteps as `tedm.show.timestep_figure` takes them: domain, n, (timestep, mean, low, high)."""
        found: Curves = {}
        for point in self.points:
            if point.timestep is not None and point.level is None and (point.metric, point.split) == (metric, split):
                curve = found.setdefault(point.domain, {}).setdefault(point.n, [])
                curve.append((point.timestep, point.mean, point.low, point.high))
        return found

    def voting(self, *, split: str = "test") -> Curves:
        """Dice of the votes as `tedm.show.voting_figure` takes it: domain, n, (voters, mean, low, high)."""
        found: Curves = {}
        for point in self.votes:
            if point.split == split:
                curve = found.setdefault(point.domain, {}).setdefault(point.n, [])
                curve.append((point.voters, point.mean, point.low, point.high))
        return found

    def grid(self, n: int, *, metric: str = "dice", split: str = "test") -> dict[str, NDArray[np.float64]]:
        """Scores of each level at each timestep as `tedm.show.level_figure` takes them: an array for each domain.

        Rows are `grid_levels`, columns `grid_timesteps`: where all of one are seen together, the row or column "all".
        """
        rows, columns = self.grid_levels, self.grid_timesteps
        found: dict[str, NDArray[np.float64]] = {}
        for point in self.points:
            if (point.n, point.metric, point.split) == (n, metric, split):
                grid = found.setdefault(point.domain, np.full((len(rows), len(columns)), np.nan))
                level, timestep = point.level or "all", "all" if point.timestep is None else str(point.timestep)
                grid[rows.index(level), columns.index(timestep)] = point.mean
        return found

    @property
    def grid_levels(self) -> list[str]:
        """Levels that were probed, "all" first if timesteps were probed with all levels."""
        return list(dict.fromkeys(done.probe.level or "all" for done in self.probed))

    @property
    def grid_timesteps(self) -> list[str]:
        """Timesteps that were probed, "all" last if levels were probed with all timesteps."""
        names = dict.fromkeys("all" if done.probe.timestep is None else str(done.probe.timestep) for done in self.probed)
        return sorted(names, key=lambda name: name == "all")

    def scores(self) -> Iterator[list[object]]:
        """The tidy table: a row for each fit, image and foreground class, the titles of the columns first.

        Votes are rows as well: their probe is "vote", and their timesteps those that voted.
        """
        yield [*SCORE_COLUMNS, *METRICS]
        classes = list(enumerate(self.labels.classes))[1:] or [(0, self.labels.classes[0])]
        every = [str(timestep) for timestep in self.timesteps]
        for done in self.probed:
            timesteps = "+".join(every if done.probe.timestep is None else [str(done.probe.timestep)])
            for at, subset in enumerate(self.plan.subsets):
                about = [done.probe.name, timesteps, done.probe.level or "all", subset.n, subset.repeat]
                yield from self._rows(about, done.scores[at], classes)
        for path in self.paths:
            repeats = [subset.repeat for subset in self.plan.subsets if subset.n == path.n]
            for voters in range(1, len(path.timesteps) + 1):
                timesteps = "+".join(map(str, sorted(path.timesteps[:voters])))
                for row, repeat in enumerate(repeats):
                    yield from self._rows(["vote", timesteps, "all", path.n, repeat], path.scores[row, :, voters - 1], classes)

    def fits(self) -> Iterator[list[object]]:
        """A row for each fit: its penalty and how it was found, the titles of the columns first."""
        yield ["probe", "n", "repeat", "ridge", "chosen_by", "iterations", "converged", "images"]
        for done in self.probed:
            for subset, fit in zip(self.plan.subsets, done.fits, strict=True):
                about = [fit.ridge, fit.chosen_by, fit.iterations, fit.converged]
                yield [done.probe.name, subset.n, subset.repeat, *about, ";".join(subset.images)]

    def _rows(
        self, about: list[object], scores: NDArray[np.float64], classes: Sequence[tuple[int, int]]
    ) -> Iterator[list[object]]:
        for number, name in enumerate(self.plan.scored):
            place = [self._domains[number], self._splits[number], name, self._groups[number]]
            for index, value in classes:
                yield [*about, *place, value, *scores[number, index].tolist()]

    def at(self, domain: str, split: str) -> list[int]:
        """Positions among `Plan.scored` of the images of a domain and split."""
        places = zip(self._domains, self._splits, strict=True)
        return [number for number, place in enumerate(places) if place == (domain, split)]

    def image_scores(self, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of images, the mean over their foreground classes: from (..., classes, 3) to (..., 3)."""
        return mean_over_classes(by_convention(ratios, METRICS, self.empty), axis=-2)

    def without_class(self, domain: str, split: str) -> int:
        """Return how many images of a domain and split show no foreground class."""
        recall = self.probed[0].scores[0, self.at(domain, split), :, METRICS.index("recall")]
        return int(np.isnan(recall[:, 1:] if recall.shape[1] > 1 else recall).all(axis=1).sum())

    def interval(self, scores: NDArray[np.float64], some: Sequence[int]) -> Interval:
        """In points."""
        found = interval(scores, [self._groups[number] for number in some])
        return Interval(100 * found.mean, 100 * found.low, 100 * found.high)
