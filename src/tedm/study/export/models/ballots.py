"""A vote as a network: what `tedm.heads.vote` does to arrays, done to tensors, so that it can leave with a model.

The rules and their ties are those of `tedm.heads.vote`, which says them; here sums are in float32, but for the weights of the
rule "entropy".
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from tedm.heads import Vote

# More than half a unit in the last place of any number up to one: it settles a tie, and nothing else.
SETTLES = 2.0**-23
# What is no chance at all has this one under a temperature, as in `tedm.heads.voting.temperature`.
FLOOR = 2.0**-23
# What rounding leaves of 1 - entropy where all classes are alike, as in `tedm.heads.voting.vote`.
NO_CERTAINTY = 1e-12


class Ballot(nn.Module):
    """The vote of a head.

    Parameters
    ----------
    vote : Vote
        As the head settles it.
    voters : int
        How many there are: members x timesteps x draws, or members x draws.
    """

    def __init__(self, vote: Vote, voters: int) -> None:
        super().__init__()
        self.rule, self.temperature = vote.rule, vote.temperature
        weights = torch.ones(voters)
        if vote.weights is not None:
            weights = torch.tensor(vote.weights, dtype=torch.float64).repeat_interleave(voters // len(vote.weights))
        self.register_buffer("weights", (weights / weights.sum()).float()[:, None, None, None])

    def forward(self, opinions: Tensor) -> Tensor:
        """Map (voters, classes, height, width) to (1, classes, height, width)."""
        merged = (opinions * self.get_buffer("weights")).sum(0) if self.rule == "learned" else _RULES[self.rule](opinions)
        return (merged if self.temperature is None else _at_temperature(merged, self.temperature))[None]


def _soft(opinions: Tensor) -> Tensor:
    return opinions.mean(0)


def _hard(opinions: Tensor) -> Tensor:
    votes = _of_class(opinions.argmax(1, keepdim=True), opinions).sum(0)
    tied = votes == votes.amax(0, keepdim=True)
    winner = torch.where(tied, opinions.mean(0), -1.0).argmax(0, keepdim=True)
    contested = (tied.sum(0, keepdim=True) > 1).float()
    return votes / len(opinions) + contested * _of_class(winner[None], opinions)[0] * SETTLES


def _geometric(opinions: Tensor) -> Tensor:
    zero = opinions == 0
    logarithms = torch.where(zero, 1.0, opinions).log().mean(0)
    zeros = zero.float().sum(0)
    return torch.where(zeros == zeros.amin(0, keepdim=True), logarithms, -torch.inf).softmax(0)


def _entropy(opinions: Tensor) -> Tensor:
    exact = opinions.double()  # of voters that know little, 1 - entropy is what rounding leaves
    classes = opinions.shape[1]
    nats = -(exact * torch.where(exact > 0, exact, 1.0).log()).sum(1, keepdim=True)
    weights = 1 - nats / log(classes) if classes > 1 else torch.ones_like(nats)
    weights = torch.where(weights < NO_CERTAINTY, 0.0, weights)
    certainty = weights.sum(0)
    known = certainty > 0
    return torch.where(known, (weights * exact).sum(0) / torch.where(known, certainty, 1.0), exact.mean(0)).float()


def _at_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    scaled = (probabilities.clamp(min=FLOOR).log() / temperature).softmax(0)
    best = _of_class(probabilities.argmax(0, keepdim=True)[None], scaled[None])[0]
    tied = (scaled * best).sum(0, keepdim=True) <= (scaled * (1 - best)).amax(0, keepdim=True)
    return scaled + tied.float() * best * SETTLES


def _of_class(index: Tensor, like: Tensor) -> Tensor:
    """Return 1.0 in the class of each pixel and 0.0 in the others: (voters, 1, y, x) to (voters, classes, y, x)."""
    return one_hot(index[:, 0], like.shape[1]).permute(0, 3, 1, 2).float()


_RULES: dict[str, Callable[[Tensor], Tensor]] = {"soft": _soft, "hard": _hard, "geometric": _geometric, "entropy": _entropy}
