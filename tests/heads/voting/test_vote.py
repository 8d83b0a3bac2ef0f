from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads.voting.vote import VotingRule, vote

RULES: list[VotingRule] = ["soft", "hard", "geometric", "entropy"]


def opinions(voters: Any = 5, pixels: Any = 7, classes: Any = 3, seed: Any = 0, dtype: Any = np.float64) -> Any:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=(voters, pixels)).astype(dtype)


shapes = st.fixed_dictionaries(
    {
        "voters": st.integers(1, 9),
        "pixels": st.integers(0, 20),
        "classes": st.integers(1, 6),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def test_soft_is_the_mean() -> None:
    given_opinions = np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.2, 0.8]]])
    np.testing.assert_allclose(vote(given_opinions), [[0.5, 0.5]], rtol=1e-15)


def test_hard_follows_the_majority_where_soft_follows_the_confident() -> None:
    given_opinions = np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]])
    assert vote(given_opinions).argmax(axis=1) == [0]
    np.testing.assert_array_equal(vote(given_opinions, rule="hard"), [[1 / 3, 2 / 3]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_tied_majority_goes_to_the_larger_mean_and_the_shares_stay_shares(dtype: Any) -> None:
    tied = np.array([[[0.55, 0.45], [0.75, 0.25]], [[0.25, 0.75], [0.45, 0.55]]], dtype=dtype)
    shares = vote(tied, rule="hard")
    assert shares.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(shares, 0.5, rtol=2 * np.finfo(dtype).eps)


def test_a_loser_with_a_larger_mean_gets_nothing_from_a_tie() -> None:
    tied = np.array(
        [[[0.40, 0.30, 0.30]] * 1, [[0.44, 0.46, 0.10]], [[0.44, 0.10, 0.46]], [[0.0, 0.51, 0.49]], [[0.0, 0.4, 0.6]]]
    )
    shares = vote(tied, rule="hard")  # votes 1, 2, 2; means 0.256, 0.354, 0.39
    assert shares.argmax(axis=1) == [2]
    assert shares[0, 0] == 0.2
    assert shares[0, 1] == 0.4


def test_a_unanimous_vote_is_exactly_one() -> None:
    np.testing.assert_array_equal(vote(np.full((10, 1, 2), [0.3, 0.7]), rule="hard"), [[0.0, 1.0]])


def test_geometric_is_the_normalised_geometric_mean() -> None:
    product = opinions().prod(axis=0) ** (1 / 5)
    np.testing.assert_allclose(vote(opinions(), rule="geometric"), product / product.sum(axis=1, keepdims=True), rtol=1e-12)


def test_geometric_excludes_what_any_voter_excludes() -> None:
    np.testing.assert_array_equal(vote(np.array([[[1.0, 0.0]], [[0.01, 0.99]]]), rule="geometric"), [[1.0, 0.0]])


def test_geometric_of_contradicting_certainties_is_the_limit_of_small_probabilities() -> None:
    certain = np.array(
        [[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 0.9, 0.1]], [[1.0, 0.0, 0.0], [0.0, 0.9, 0.1]]]
    )
    np.testing.assert_allclose(vote(certain, rule="geometric")[0], [1.0, 0.0, 0.0])
    almost = np.maximum(certain, 1e-250)
    np.testing.assert_allclose(vote(certain, rule="geometric"), vote(almost, rule="geometric"), atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@given(shape=shapes)
def test_a_committee_gives_probabilities(rule: Any, shape: Any) -> None:
    merged = vote(opinions(**shape), rule=rule)
    assert merged.shape == (shape["pixels"], shape["classes"])
    assert (merged >= 0).all()
    np.testing.assert_allclose(merged.sum(axis=1), 1, rtol=1e-12)


@given(shape=shapes)
def test_hard_equals_counting_by_hand(shape: Any) -> None:
    ballots = opinions(**shape)
    expected = []
    for pixel in range(shape["pixels"]):
        votes = [sum(int(voter[pixel].argmax()) == c for voter in ballots) for c in range(shape["classes"])]
        means = [sum(voter[pixel, c] for voter in ballots) / len(ballots) for c in range(shape["classes"])]
        expected.append(max(range(shape["classes"]), key=lambda c: (votes[c], means[c])))
    assert vote(ballots, rule="hard").argmax(axis=1).tolist() == expected


@pytest.mark.parametrize("rule", RULES)
@given(shape=shapes)
def test_the_memory_layout_changes_no_bit(rule: Any, shape: Any) -> None:
    rows = opinions(**shape, dtype=np.float32)
    strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(rows, 0, -1)), -1, 0)
    assert vote(strided, rule=rule).tobytes() == vote(rows, rule=rule).tobytes()
    assert vote(np.asfortranarray(rows), rule=rule).tobytes() == vote(rows, rule=rule).tobytes()


@pytest.mark.parametrize("rule", RULES)
@given(shape=shapes, cut=st.integers(0, 20))
def test_a_pixel_does_not_depend_on_its_neighbours(rule: Any, shape: Any, cut: Any) -> None:
    rows = opinions(**shape)
    parts = [vote(rows[:, :cut], rule=rule), vote(rows[:, cut:], rule=rule)]
    np.testing.assert_array_equal(np.concatenate(parts), vote(rows, rule=rule))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_stays(rule: Any, dtype: Any) -> None:
    assert vote(opinions(dtype=dtype), rule=rule).dtype == dtype


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("row", [[np.nan, 1.0], [-0.2, 1.2], [0.5, 0.6], [0.0, 0.0], [np.inf, 0.0]])
def test_rows_that_are_no_probabilities_are_refused(rule: Any, row: Any) -> None:
    with pytest.raises(TedmError, match="voter 1 gives pixel 2"):
        vote(np.array([[[0.5, 0.5]] * 3, [[0.5, 0.5], [0.5, 0.5], row]]), rule=rule)


@pytest.mark.parametrize(("shape", "message"), [((0, 4, 2), "0 voters"), ((3, 4, 0), "0 classes"), ((4, 2), "shape")])
def test_a_vote_without_voters_or_of_another_shape_is_refused(shape: Any, message: Any) -> None:
    with pytest.raises(TedmError, match=message):
        vote(np.zeros(shape))


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(TedmError, match="no voting rule 'mean'; the rules are soft, hard, geometric, entropy, learned"):
        vote(opinions(), rule="mean")  # type: ignore[arg-type]


@given(shape=shapes)
def test_entropy_equals_weighting_by_hand(shape: Any) -> None:
    ballots = opinions(**shape)
    merged = vote(ballots, rule="entropy")
    for pixel in range(shape["pixels"]):
        weights = []
        for voter in ballots[:, pixel]:
            entropy = -sum(p * np.log(p) for p in voter if p > 0)
            weights.append(1 - entropy / np.log(shape["classes"]) if shape["classes"] > 1 else 1.0)
        if sum(weights) > 1e-6:
            by_hand = sum(w * p for w, p in zip(weights, ballots[:, pixel], strict=True)) / sum(weights)
            np.testing.assert_allclose(merged[pixel], by_hand, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_counts_voters_the_same_where_none_knows_anything(dtype: Any) -> None:
    guess = np.full((3, 2, 3), 1 / 3, dtype=dtype)
    np.testing.assert_allclose(vote(guess, rule="entropy"), 1 / 3, rtol=1e-6)
    guess[1, 1] = [0.2, 0.5, 0.3]  # the only one who knows anything of this pixel decides it
    np.testing.assert_allclose(vote(guess, rule="entropy")[1], [0.2, 0.5, 0.3], rtol=1e-6)


def test_learned_is_the_weighted_mean() -> None:
    weights = np.array([0.5, 0.0, 0.2, 0.3, 0.0])
    np.testing.assert_allclose(vote(opinions(), rule="learned", weights=weights), np.tensordot(weights, opinions(), 1))
    equal = np.full(5, 0.2)
    np.testing.assert_allclose(vote(opinions(), rule="learned", weights=equal), vote(opinions()), rtol=1e-12)


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.6, 0.6, -0.2, 0.0, 0.0], [0.2] * 4 + [0.3], [np.nan] * 5])
def test_weights_that_are_no_weights_of_the_voters_are_refused(weights: Any) -> None:
    with pytest.raises(TedmError, match="5 voters need as many weights"):
        vote(opinions(), rule="learned", weights=np.array(weights))


def test_weights_and_their_rule_come_together() -> None:
    with pytest.raises(TedmError, match="needs weights; tedm-fit --vote learned"):
        vote(opinions(), rule="learned")
    with pytest.raises(TedmError, match="weights are for the rule 'learned', and this vote is 'soft'"):
        vote(opinions(), weights=np.full(5, 0.2))
