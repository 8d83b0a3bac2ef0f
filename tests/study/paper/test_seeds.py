"""Intervals over seeds are Student's, and differences are taken seed by seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tedm.heads import summarise
from tedm.study.paper import PaperResults
from tedm.study.paper.seeds import combined, estimate, over_places, seed_means


def test_the_interval_is_scipys_of_a_t_distribution() -> None:
    values = [80.0, 82.5, 81.0, 79.0]
    found = estimate([*values, math.nan])
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.mean, found.low, found.high, found.seeds) == (np.mean(values), pytest.approx(low), pytest.approx(high), 4)


def test_one_seed_or_none_has_no_interval() -> None:
    one, none = estimate([80.0]), estimate([])
    assert (one.mean, one.seeds, math.isnan(one.low), math.isnan(one.high)) == (80.0, 1, True, True)
    assert (none.seeds, math.isnan(none.mean)) == (0, True)


def test_the_mean_of_seeds_is_that_of_the_table(results: PaperResults) -> None:
    means = seed_means(results.records)
    for cell in summarise(results.records).cells:
        assert np.mean(list(means[cell.domain, cell.n, cell.method].values())) == pytest.approx(cell.mean)


def test_a_seed_has_the_mean_of_its_own_records(results: PaperResults) -> None:
    mine = [
        r for r in results.records if (r.domain, r.n, r.method, r.seed) == ("kermany", 3, "ledm", 2) and r.class_value == 255
    ]
    expected = 100 * np.mean([r.dice for r in mine if not math.isnan(r.recall)])
    assert seed_means(results.records)["kermany", 3, "ledm"][2] == pytest.approx(expected)


def test_a_difference_is_of_the_seeds_that_both_have() -> None:
    means = {("in", 1, "a"): {0: 80.0, 1: 81.0, 2: 82.0}, ("in", 1, "b"): {1: 79.0, 2: 78.5, 3: 0.0}}
    assert combined(means, {("in", 1, "a"): 1, ("in", 1, "b"): -1}) == {1: 2.0, 2: 3.5}


def test_places_are_averaged_seed_by_seed_and_those_with_one_seed_left_out() -> None:
    found = over_places([{0: 1.0, 1: 2.0, 2: 9.0}, {0: 3.0, 1: 6.0}, {0: 100.0}, {}])
    assert found == estimate([2.0, 4.0])
    assert over_places([{0: 3.0}, {0: 5.0}]).mean == 4.0
    assert over_places([{0: 3.0, 1: 4.0}, {2: 5.0, 3: 6.0}]).seeds == 0
    assert math.isnan(over_places([]).mean)
