"""A temperature: its optimum, its bounds, and that no mask changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tedm.heads import vote
from tedm.heads.voting.temperature import at_temperature, best_temperature


def logarithms(seed, pixels=(60, 35), classes=3, sharpness=4.0):
    """Of probabilities that are surer than right, the true class first."""
    rng = np.random.default_rng(seed)
    found = []
    for count in pixels:
        scores = sharpness * (rng.normal(size=(count, classes)) + np.eye(classes)[0])
        found.append(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_the_one_of_least_cross_entropy(seed):
    rows = np.exp(np.concatenate(logarithms(seed)))

    def cross_entropy(log_temperature):
        powers = rows ** (1 / np.exp(log_temperature))
        return -np.log(powers[:, 0] / powers.sum(axis=1)).mean()

    best = minimize_scalar(cross_entropy, bounds=np.log([0.01, 100]), method="bounded", options={"xatol": 1e-9})
    assert best_temperature(logarithms(seed)) == pytest.approx(np.exp(best.x), rel=1e-4)
    assert best_temperature(logarithms(seed)) > 1.5
    assert best_temperature([np.log(rows)]) == pytest.approx(best_temperature(logarithms(seed)), rel=1e-6)


def test_the_temperature_stays_within_its_bounds():
    all_right, all_wrong = np.log([[0.8, 0.2]] * 5), np.log([[0.2, 0.8]] * 5)
    assert best_temperature([all_right]) == 0.01
    assert best_temperature([all_wrong]) == 100


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rule", ["soft", "hard"])
@given(st.integers(1, 8), st.integers(1, 5), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_no_temperature_changes_the_most_probable_class(dtype, rule, voters, classes, temperature, seed):
    """Ties of a majority included, whose winner is ahead by one unit in the last place."""
    opinions = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=(voters, 30)).astype(dtype)
    merged = vote(opinions, rule=rule)
    found = at_temperature(merged, temperature)
    assert np.array_equal(found.argmax(axis=1), merged.argmax(axis=1))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.sum(axis=1, dtype=np.float64), 1, atol=0.01 if dtype == np.float16 else 1e-6)


def test_scaling_is_a_power_and_brings_back_what_was_excluded():
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    np.testing.assert_allclose(at_temperature(rows, 2.5), rows**0.4 / (rows**0.4).sum(axis=1, keepdims=True), rtol=1e-12)
    sure = at_temperature(np.array([[1.0, 0.0]]), 5.0)
    np.testing.assert_allclose(sure[0, 1] / sure[0, 0], 2 ** (-23 / 5))
