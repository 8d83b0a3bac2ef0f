"""A budget is the whole process's, and an impossible one is refused with one that would do."""

from __future__ import annotations

import pickle
import re

import psutil
import pytest

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.memory import Budget, BudgetError, free, resident


def test_a_budget_counts_what_the_process_has():
    budget = Budget(resident() + 10**9)
    assert 0.9e9 < budget.left() <= 1e9 + 1e7
    budget.require(5 * 10**8, "a small thing")


def test_an_impossible_budget_is_refused_with_the_least_that_would_do():
    with pytest.raises(
        TedmError, match="--memory 0.1 GB is not enough for a large thing: .* --memory [0-9]+MB; or else"
    ) as met:
        Budget(10**8).require(3 * 10**8, "a large thing", "or else".removeprefix("or "))
    least = int(re.search(r"--memory (\d+)MB", str(met.value))[1]) * 10**6
    Budget(least).require(3 * 10**8, "a large thing")


def test_a_refusal_is_told_from_other_mistakes_by_its_class_also_where_another_process_raised_it():
    with pytest.raises(BudgetError) as met:
        Budget(10**8).require(3 * 10**8, "a large thing")
    again = pickle.loads(pickle.dumps(met.value))
    assert (type(again), str(again)) == (BudgetError, str(met.value))


def test_the_default_is_half_of_what_is_free():
    budget = Budget()
    assert budget.left() == pytest.approx(free() / 2, rel=0.2)
    assert free() <= psutil.virtual_memory().available * 1.1
    with pytest.raises(TedmError, match="half of the free memory, .* is not enough"):
        budget.require(2 * free(), "more than there is")


def test_what_is_kept_is_bounded_by_an_eighth():
    budget = Budget(8000)
    assert not budget.keep(1001)
    assert budget.keep(600)
    assert not budget.keep(600)
    assert budget.keepable() == 400
    assert Budget(8000, kept=5).keepable() == 5


@pytest.mark.parametrize("memory", [0, -5])
def test_a_budget_is_more_than_nothing(memory):
    with pytest.raises(TedmError, match="must be more than nothing"):
        Budget(memory)


def test_data_of_which_no_block_fits_are_refused(make_store):
    store = make_store()
    with pytest.raises(TedmError, match="is not enough for an image's activations"):
        TrainingData(store, store.labels.names, rows="share", memory=1000)
