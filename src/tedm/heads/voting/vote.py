"""Merging opinions: many probabilities per pixel in, one out.

A voter is anything with an opinion on every pixel: a timestep, a draw of noise, a member of an ensemble. TEDM, LEDM and every
ensemble in this package call this one function, so that a rule of voting means the same everywhere. Opinions are summed voter
by voter in float64, so that the result does not depend on how the array lies in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.voting.uncertainty import entropy

PlainRule = Literal["soft", "hard", "geometric", "entropy"]  # those that need nothing but the opinions
VotingRule = Literal[PlainRule, "learned"]
RULES: tuple[VotingRule, ...] = get_args(VotingRule)

SUM_TOLERANCE = 1e-3  # float16 probabilities of a hundred classes still pass, logits do not
NO_CERTAINTY = 1e-12  # what rounding leaves of 1 - entropy where a float32 voter gives all classes the same


def vote(
    opinions: NDArray[np.floating], *, rule: VotingRule = "soft", weights: NDArray[np.floating] | None = None
) -> NDArray[np.floating]:
    """Merge the voters' class probabilities.

    Parameters
    ----------
    opinions : array of shape (voters, pixels, classes)
        Probabilities; each row sums to one within 1e-3.
    rule : {"soft", "hard", "geometric", "entropy", "learned"}
        Mean probability (TEDM, arXiv:2311.07421), majority (LEDM, arXiv:2112.03126), normalised geometric mean, or a weighted
        mean: by how sure each voter is of the pixel, or by `weights`.
    weights : array of shape (voters,), or None
        For ``"learned"`` and only for it: not negative, with a sum of one (`tedm.heads.voting.weights`).

    Returns
    -------
    array of shape (pixels, classes), of the dtype of `opinions`
        Probabilities of the committee.

        For ``"hard"``, the share of votes of each class; a voter's vote goes to its most probable class (of equals, the first).
        Ties of a majority go to the class with the larger mean probability: its share is raised by one unit in the last place,
        so that ``argmax`` finds it while every share stays right to rounding.

        For ``"geometric"``, a zero stands for a vanishing probability: a class that any voter excludes gets zero, and where
        every class is excluded by somebody, the classes that the fewest voters exclude share the pixel.

        For ``"entropy"``, a voter's weight on a pixel is 1 less its entropy relative to a guess
        (`tedm.heads.voting.uncertainty`): 1 if it is sure, 0 if all classes are alike to it. Where no voter knows anything, all
        count the same.

    Raises
    ------
    TedmError
        If there is no voter, the rows are no probabilities, the rule is not known, or weights are missing, wrong or not asked
        for.

    Examples
    --------
    >>> vote(np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]]), rule="hard").argmax(axis=1)
    array([1])
    >>> vote(np.array([[[0.9, 0.1]], [[0.5, 0.5]]]), rule="entropy")  # the second voter does not know
    array([[0.9, 0.1]])
    """
    if rule not in RULES:
        raise TedmError(f"no voting rule {rule!r}; the rules are {', '.join(RULES)}")
    opinions = np.asarray(opinions)
    if opinions.ndim != 3:
        raise TedmError(f"a vote needs opinions of shape (voters, pixels, classes), got shape {opinions.shape}")
    voters, _, classes = opinions.shape
    if voters == 0 or classes == 0:
        raise TedmError(f"a vote needs at least one voter and one class, got {voters} voters and {classes} classes")
    dtype = opinions.dtype if np.issubdtype(opinions.dtype, np.floating) else np.dtype(np.float64)
    if rule == "learned":
        return _weighted(opinions, dtype, _checked_weights(weights, voters))
    if weights is not None:
        raise TedmError(f"weights are for the rule 'learned', and this vote is {rule!r}; leave one of them out")
    return _RULES[rule](opinions, dtype)


def _soft(opinions: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.floating]:
    return _total(opinions)[0].astype(dtype)


def _hard(opinions: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.floating]:
    mean, votes = _total(opinions)
    tied = votes == votes.max(axis=1, keepdims=True)
    winner = np.where(tied, mean, -1.0).argmax(axis=1)
    shares = (votes / len(opinions)).astype(dtype)
    contested = np.flatnonzero(tied.sum(axis=1) > 1)  # an uncontested share stays exact: a unanimous vote is 1, not more
    one = np.ones((), dtype=dtype)
    shares[contested, winner[contested]] = np.nextafter(shares[contested, winner[contested]], one)
    return shares


def _geometric(opinions: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.floating]:
    logarithms = np.zeros(opinions.shape[1:], dtype=np.float64)
    zeros = np.zeros(opinions.shape[1:], dtype=np.int64)
    for index in range(len(opinions)):
        probabilities = _checked(opinions, index)
        logarithms += np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
        zeros += probabilities == 0
    # The limit of replacing each zero by epsilon -> 0: one zero more outweighs whatever the other voters say.
    least_excluded = zeros == zeros.min(axis=1, keepdims=True)
    exponents = np.where(least_excluded, logarithms / len(opinions), -np.inf)
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    merged: NDArray[np.floating] = probabilities.astype(dtype)
    return merged


def _entropy(opinions: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.floating]:
    total = np.zeros(opinions.shape[1:], dtype=np.float64)
    weighted, certainty = np.zeros_like(total), np.zeros((opinions.shape[1], 1))
    for index in range(len(opinions)):
        probabilities = _checked(opinions, index)
        weight = 1.0 - entropy(probabilities)[:, None]
        weight[weight < NO_CERTAINTY] = 0.0
        total += probabilities
        weighted += weight * probabilities
        certainty += weight
    known = certainty > 0
    merged = np.where(known, weighted, total) / np.where(known, certainty, len(opinions))
    return np.asarray(merged.astype(dtype))


def _weighted(opinions: NDArray[Any], dtype: np.dtype[Any], weights: NDArray[np.float64]) -> NDArray[np.floating]:
    total = np.zeros(opinions.shape[1:], dtype=np.float64)
    for index, weight in enumerate(weights):
        total += weight * _checked(opinions, index)
    return np.asarray(total.astype(dtype))


_RULES: dict[str, Callable[[NDArray[Any], np.dtype[Any]], NDArray[np.floating]]] = {
    "soft": _soft,
    "hard": _hard,
    "geometric": _geometric,
    "entropy": _entropy,
}


def _checked_weights(weights: NDArray[np.floating] | None, voters: int) -> NDArray[np.float64]:
    if weights is None:
        raise TedmError("the rule 'learned' needs weights; tedm-fit --vote learned learns them on the val split")
    given = np.asarray(weights, np.float64)
    if given.shape != (voters,) or not (given >= 0).all() or abs(given.sum() - 1) > SUM_TOLERANCE:
        raise TedmError(
            f"{voters} voters need as many weights that are not negative and sum to one, got {given.tolist()}; "
            "divide them by their sum, or fit them again with tedm-fit --vote learned"
        )
    return np.asarray(given / given.sum())


def _total(opinions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return mean probability and number of votes, both of shape (pixels, classes)."""
    total = np.zeros(opinions.shape[1:], dtype=np.float64)
    votes = np.zeros(opinions.shape[1:], dtype=np.int64)
    pixels = np.arange(opinions.shape[1])
    for index in range(len(opinions)):
        probabilities = _checked(opinions, index)
        total += probabilities
        votes[pixels, probabilities.argmax(axis=1)] += 1
    return total / len(opinions), votes


def _checked(opinions: NDArray[Any], index: int) -> NDArray[np.float64]:
    """Return one voter's opinions as contiguous float64: one memory layout, hence the same instructions and bits."""
    probabilities = np.ascontiguousarray(opinions[index], dtype=np.float64)
    sums = probabilities.sum(axis=1)
    right = (probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)  # a NaN is never >= 0
    if not right.all():
        pixel = int(right.argmin())
        raise TedmError(
            f"the opinions are no probabilities: voter {index} gives pixel {pixel} {probabilities[pixel].tolist()}\n"
            "Each row must be free of NaN and negative numbers and sum to one within 0.001; apply a softmax to logits first."
        )
    return probabilities
