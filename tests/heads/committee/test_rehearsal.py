"""A rehearsal refuses what a fit would refuse before it reads, of every kind of head, and reads nothing."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.base.head import HeadOptions
from tedm.heads.base.registry import make_head
from tedm.heads.committee.rehearsal import rehearse
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.memory import Budget
from tedm.store import FeatureStore


@pytest.fixture
def data(make_store, monkeypatch):
    """Images of which nothing may be read."""
    store = make_store(draws=2)
    data = TrainingData(store, store.labels.names, rows="share", timesteps=(1, 50), memory=Budget(kept=10**7))

    def forbidden(*_arguments, **_more):
        raise AssertionError("something was read")

    for name in ("blocks", "image", "mask"):
        monkeypatch.setattr(FeatureStore, name, forbidden)
    return data


@pytest.mark.parametrize(
    ("head", "options", "settings"),
    [
        ("mlp", HeadOptions(iterations=3), {}),
        ("mlp", HeadOptions(iterations=3, batch="images"), {}),
        ("logistic", HeadOptions(ridge="auto"), {}),
        ("xgboost", HeadOptions(iterations=3), {}),
        ("sklearn:naive_bayes.GaussianNB", HeadOptions(), {}),
        ("sklearn:neighbors.KNeighborsClassifier", HeadOptions(), {}),
        ("unet", HeadOptions(), {"width": 4}),
    ],
)
def test_a_head_that_refuses_nothing_passes_and_has_read_nothing(data, head, options, settings):
    if head == "unet":
        pytest.importorskip("monai", reason="needs the extra `monai`")
        data = data.as_rows("concatenate", ())
    room = data.budget.keepable()
    rehearse(make_head(head, options, settings), data, None)
    assert data.budget.keepable() == room


@pytest.mark.parametrize(
    ("head", "settings", "message"),
    [
        ("mlp", {"iterations": 0}, "iterations is 0"),
        ("mlp", {"patience": 2}, "patience needs validation images"),
        ("logistic", {"ridge": -1.0}, "ridge"),
        ("xgboost", {"patience": 2}, "needs validation images"),
        ("sklearn:naive_bayes.GaussianNB", {"priors_of": 3}, "priors_of"),
    ],
)
def test_what_a_fit_refuses_before_it_reads_is_refused(data, head, settings, message):
    with pytest.raises(TedmError, match=message):
        rehearse(make_head(head, params=settings), data, None)


def test_a_budget_that_is_too_small_is_refused(data):
    data.budget.total, data.budget.was_given = 1000, True
    with pytest.raises(TedmError, match=r"the least that would do is --memory \d+MB"):
        rehearse(make_head("mlp"), data, None)


def test_validation_images_are_not_read_either(data):
    validation = data.as_rows("share", (1, 50))
    rehearse(make_head("mlp", HeadOptions(patience=1, iterations=2)), data, validation)
