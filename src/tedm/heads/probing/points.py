"""The scores of probes and votes as means over images with their intervals, domain by domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tedm.heads.metrics.bootstrap import Interval
from tedm.heads.probing.fit import FittedProbe
from tedm.heads.probing.plan import MEASURES, Plan
from tedm.heads.probing.scored_images import ScoredImages
from tedm.heads.probing.voting_path import VotingPath

DICE = MEASURES.index("dice")


@dataclass(frozen=True)
class Point:
    """The scores of one probe and training size in one domain, in points (x 100).

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
    """The Dice of the vote of the first timesteps of a greedy path in one domain, in points (x 100).

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


@dataclass(frozen=True)
class ChosenVote:
    """The Dice, in points (x 100), of the vote that was chosen on val, on the test images of one domain.

    Parameters
    ----------
    domain : str
    dice : Interval
    over_first : Interval or None
        Its gain over the first timestep alone, image by image; None where that is the vote.
    over_all : Interval or None
        Its gain over the vote of all timesteps; None where that is the vote.
    """

    domain: str
    dice: Interval
    over_first: Interval | None
    over_all: Interval | None


def probe_points(images: ScoredImages, plan: Plan, probed: Sequence[FittedProbe]) -> list[Point]:
    """Return a point for each probe, training size, domain and measure, val included."""
    points = []
    for fitted in probed:
        image_scores = images.scores(fitted.scores)
        for n in plan.sizes:
            repeats = image_scores[[subset.n == n for subset in plan.subsets]]
            for domain, split in images.places():
                at = images.at(domain, split)
                for number, metric in enumerate(MEASURES):
                    scores = repeats[:, at, number]
                    mean = images.interval(scores, at)
                    about = (fitted.probe.name, fitted.probe.timestep, fitted.probe.level, n, domain, split, metric)
                    scored = int((~np.isnan(scores)).any(axis=0).sum())
                    counts = len(repeats), scored, len(at) - scored
                    points.append(Point(*about, mean.mean, mean.low, mean.high, *counts))
    return points


def vote_points(images: ScoredImages, paths: Sequence[VotingPath]) -> list[VotePoint]:
    """Return a point for each training size, number of voters and domain, val included."""
    points = []
    for path in paths:
        image_dice = images.scores(path.scores)[..., DICE]  # repeats, images, voters
        every = len(path.timesteps)
        for voters in range(1, every + 1):
            for domain, split in images.places():
                at = images.at(domain, split)
                voted, first = image_dice[:, at, voters - 1], image_dice[:, at, 0]
                dice, gain = images.interval(voted, at), images.interval(voted - first, at)
                timesteps = "+".join(map(str, sorted(path.timesteps[:voters])))
                about = (path.n, voters, timesteps, voters == path.chosen, domain, split)
                means = (dice.mean, dice.low, dice.high, gain.mean, gain.low, gain.high)
                points.append(VotePoint(*about, *means, voters / every))
    return points


def chosen_votes(images: ScoredImages, path: VotingPath) -> list[ChosenVote]:
    """Return what the vote that was chosen along a path reaches in each domain of the test images."""
    image_dice = images.scores(path.scores)[..., DICE]
    votes = []
    for domain, split in images.places():
        if split == "val":
            continue
        at = images.at(domain, split)
        chosen, first, every = (image_dice[:, at, voters] for voters in (path.chosen - 1, 0, -1))
        over_first = images.interval(chosen - first, at) if path.chosen > 1 else None
        over_all = images.interval(chosen - every, at) if path.chosen < len(path.timesteps) else None
        votes.append(ChosenVote(domain, images.interval(chosen, at), over_first, over_all))
    return votes


def dice_on_val(images: ScoredImages, plan: Plan, fitted: FittedProbe) -> dict[int, float]:
    """Return the mean Dice of a probe on all val images, in points, by training size."""
    image_dice = images.scores(fitted.scores)[..., DICE]
    return {n: images.mean_on_val(image_dice[[subset.n == n for subset in plan.subsets]]) for n in plan.sizes}
