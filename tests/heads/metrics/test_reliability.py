"""Counts of reliability are those of loops over the pixels."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.heads import Reliability
from tedm.store import IGNORE


def by_hand(truth, probabilities):
    """The definition, pixel by pixel: ECE = sum over 15 bins of n_b / N |accuracy_b - confidence_b|."""
    bins = {}
    for label, row in zip(truth, probabilities, strict=True):
        if label == IGNORE:
            continue
        confidence = max(row)
        of_bin = next(b for b in range(15) if confidence <= (b + 1) / 15 + 1e-12)
        bins.setdefault(of_bin, []).append((confidence, list(row).index(confidence) == label))
    count = sum(map(len, bins.values()))
    return sum(abs(sum(c for c, _ in of) - sum(r for _, r in of)) for of in bins.values()) / count


def pixels(seed, classes, count=50):
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=count).astype(np.uint8)
    truth[1::7] = IGNORE
    return truth, rng.dirichlet(np.full(classes, 0.7), size=count)


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_error_is_its_definition(classes, seed):
    assert Reliability.count(*pixels(seed, classes)).ece == pytest.approx(by_hand(*pixels(seed, classes)), abs=1e-12)


def test_counts_of_images_add_up():
    images = [pixels(seed, 3) for seed in range(4)]
    added = functools.reduce(operator.add, (Reliability.count(*image) for image in images))
    together = Reliability.count(*(np.concatenate(parts) for parts in zip(*images, strict=True)))
    assert np.array_equal(added.pixels, together.pixels)
    assert np.array_equal(added.right, together.right)
    for name in ("ece", "cross_entropy", "accuracy"):
        assert getattr(added, name) == pytest.approx(getattr(together, name), rel=1e-12)


def test_a_bin_reaches_up_to_its_upper_edge():
    counts = Reliability.count(np.zeros(4, np.uint8), np.array([[1.0, 0.0], [0.5, 0.5], [0.6, 0.4], [0.61, 0.39]]))
    assert {index: each.pixels for index, each in enumerate(counts.bins()) if each.pixels} == {7: 1, 8: 1, 9: 1, 14: 1}
    assert counts.bins()[14].confidence == 1
    assert np.isnan(counts.bins()[0].accuracy)
