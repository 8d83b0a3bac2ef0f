"""What probes found: scores of timesteps, levels and votes, and the tables and curves that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth
from tedm.heads.probing.fit import FittedProbe
from tedm.heads.probing.plan import MEASURES, Plan
from tedm.heads.probing.points import ChosenVote, Point, VotePoint, chosen_votes, dice_on_val, probe_points, vote_points
from tedm.heads.probing.scored_images import ScoredImages
from tedm.heads.probing.voting_path import VotingPath
from tedm.store import Features

# By domain, then by number of training images: (timestep or voters, mean, low, high).
Curves = dict[str, dict[int, list[tuple[int, float, float, float]]]]

SCORE_COLUMNS = ("probe", "timesteps", "level", "n", "repeat", "domain", "split", "image", "group", "class_value")


class Findings:
    """Probes, votes and where their images are from.

    Parameters
    ----------
    features : Features
        Whose labels and settings they are.
    plan : Plan
    probed : sequence of FittedProbe
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
        probed: Sequence[FittedProbe],
        paths: Sequence[VotingPath],
        *,
        empty: EmptyTruth = LEAVE_OUT,
    ) -> None:
        self._images = ScoredImages(features.labels, plan, empty)
        self.empty = empty
        self.labels = features.labels
        self.timesteps = features.settings.timesteps
        self.plan, self.probed, self.paths = plan, tuple(probed), tuple(paths)

    def places(self) -> list[tuple[str, str]]:
        """Return (domain, split) of all that was scored, test first."""
        return self._images.places()

    def images(self, domain: str, split: str) -> int:
        """Return how many images of a domain and split were scored."""
        return len(self._images.at(domain, split))

    def without_class(self, domain: str, split: str) -> int:
        """Return how many images of a domain and split show no foreground class."""
        return self._images.without_class(self.probed[0].scores[0], domain, split)

    @cached_property
    def points(self) -> list[Point]:
        """All probes x sizes x domains x measures, val included."""
        return probe_points(self._images, self.plan, self.probed)

    @cached_property
    def votes(self) -> list[VotePoint]:
        """All sizes x numbers of voters x domains, val included."""
        return vote_points(self._images, self.paths)

    @cached_property
    def chosen_votes(self) -> dict[int, list[ChosenVote]]:
        """By training size, what the chosen vote reaches on the test images of each domain."""
        return {path.n: chosen_votes(self._images, path) for path in self.paths}

    @cached_property
    def levels_on_val(self) -> dict[str, dict[int, float]]:
        """The mean Dice on val of each level that was probed with all timesteps, by level and training size, in points."""
        alone = [fitted for fitted in self.probed if fitted.probe.kind == "level"]
        return {str(fitted.probe.level): dice_on_val(self._images, self.plan, fitted) for fitted in alone}

    def curves(self, metric: str = "dice", *, split: str = "test") -> Curves:
        """Return scores of single timesteps for `tedm.show.timestep_figure`: by domain and n, (timestep, mean, low, high)."""
        curves: Curves = {}
        for point in self.points:
            if point.timestep is not None and point.level is None and (point.metric, point.split) == (metric, split):
                curve = curves.setdefault(point.domain, {}).setdefault(point.n, [])
                curve.append((point.timestep, point.mean, point.low, point.high))
        return curves

    def voting(self, *, split: str = "test") -> Curves:
        """Return the Dice of the votes for `tedm.show.voting_figure`: by domain and n, (voters, mean, low, high)."""
        curves: Curves = {}
        for point in self.votes:
            if point.split == split:
                curve = curves.setdefault(point.domain, {}).setdefault(point.n, [])
                curve.append((point.voters, point.mean, point.low, point.high))
        return curves

    def grid(self, n: int, *, metric: str = "dice", split: str = "test") -> dict[str, NDArray[np.float64]]:
        """Return scores of each level at each timestep as `tedm.show.level_figure` takes them: an array for each domain.

        Rows are `grid_levels`, columns `grid_timesteps`: where all of one are seen together, the row or column "all".
        """
        rows, columns = self.grid_levels, self.grid_timesteps
        grids: dict[str, NDArray[np.float64]] = {}
        for point in self.points:
            if (point.n, point.metric, point.split) == (n, metric, split):
                grid = grids.setdefault(point.domain, np.full((len(rows), len(columns)), np.nan))
                level, timestep = point.level or "all", "all" if point.timestep is None else str(point.timestep)
                grid[rows.index(level), columns.index(timestep)] = point.mean
        return grids

    @property
    def grid_levels(self) -> list[str]:
        """Levels that were probed, "all" first if timesteps were probed with all levels."""
        return list(dict.fromkeys(fitted.probe.level or "all" for fitted in self.probed))

    @property
    def grid_timesteps(self) -> list[str]:
        """Timesteps that were probed, "all" last if levels were probed with all timesteps."""
        names = dict.fromkeys("all" if fitted.probe.timestep is None else str(fitted.probe.timestep) for fitted in self.probed)
        return sorted(names, key=lambda name: name == "all")

    def scores(self) -> Iterator[list[object]]:
        """Yield the tidy table: a row for each fit, image and foreground class, the titles of the columns first.

        Votes are rows as well: their probe is "vote", and their timesteps those that voted.
        """
        yield [*SCORE_COLUMNS, *MEASURES]
        classes = list(enumerate(self.labels.classes))[1:] or [(0, self.labels.classes[0])]
        every = [str(timestep) for timestep in self.timesteps]
        for fitted in self.probed:
            timesteps = "+".join(every if fitted.probe.timestep is None else [str(fitted.probe.timestep)])
            for at, subset in enumerate(self.plan.subsets):
                about = [fitted.probe.name, timesteps, fitted.probe.level or "all", subset.n, subset.repeat]
                yield from self._rows(about, fitted.scores[at], classes)
        for path in self.paths:
            repeats = [subset.repeat for subset in self.plan.subsets if subset.n == path.n]
            for voters in range(1, len(path.timesteps) + 1):
                timesteps = "+".join(map(str, sorted(path.timesteps[:voters])))
                for row, repeat in enumerate(repeats):
                    yield from self._rows(["vote", timesteps, "all", path.n, repeat], path.scores[row, :, voters - 1], classes)

    def fits(self) -> Iterator[list[object]]:
        """Yield a row for each fit: its penalty and how it was found, the titles of the columns first."""
        yield ["probe", "n", "repeat", "ridge", "chosen_by", "iterations", "converged", "images"]
        for fitted in self.probed:
            for subset, fit in zip(self.plan.subsets, fitted.fits, strict=True):
                about = [fit.ridge, fit.chosen_by, fit.iterations, fit.converged]
                yield [fitted.probe.name, subset.n, subset.repeat, *about, ";".join(subset.images)]

    def _rows(
        self, about: list[object], scores: NDArray[np.float64], classes: Sequence[tuple[int, int]]
    ) -> Iterator[list[object]]:
        images = self._images
        for number, name in enumerate(images.names):
            place = [images.domains[number], images.splits[number], name, images.groups[number]]
            for index, value in classes:
                yield [*about, *place, value, *scores[number, index].tolist()]
