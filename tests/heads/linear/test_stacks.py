"""Models side by side: an image sees those that it counts for, and each gets its own sums back."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.linear.stacks import Abreast, Model, Sum, Totals
from tedm.store import IGNORE

ONE, TWO, ALL = frozenset({"one"}), frozenset({"two"}), frozenset({"one", "two"})


def models(rng):
    """Of one and of three outputs, of two aims, in no order."""
    made = []
    for outputs, images, aim in ((1, ALL, 0), (3, ONE, 1), (1, TWO, 0), (1, ALL, 2), (1, ONE, 0)):
        position = np.full(256, IGNORE, np.uint8)
        position[aim : aim + 3] = np.arange(3)
        weights, shift = rng.normal(size=(4, outputs)), rng.normal(size=outputs)
        made.append(Model(weights, shift, images, position, np.ones(256)))
    return made


@pytest.mark.parametrize("columns", [1, 2, 3, 100])
def test_an_image_sees_its_models_once_each(rng, columns):
    given = models(rng)
    abreast = Abreast(given)
    for name in ("one", "two"):
        mine = [model for model in given if name in model.images]
        stacks = abreast.stacks(name, columns)
        met = np.concatenate([stack.weights for stack in stacks], axis=1)
        assert sorted(met.T.tolist()) == sorted(column for model in mine for column in model.weights.T.tolist())
        for stack in stacks:
            assert len(stack.columns) <= max(columns, 3)
            assert np.array_equal(stack.weights, abreast.weights[:, stack.columns])
            assert [run.columns.start for run in stack.runs] == [0, *(run.columns.stop for run in stack.runs[:-1])]
    (whole,) = Abreast(given).stacks("one", 100)
    assert [(run.two_classes, run.columns.stop - run.columns.start) for run in whole.runs] == [(True, 2), (False, 3), (True, 1)]


def test_every_model_gets_its_own_sums_back(rng):
    given = models(rng)
    abreast = Abreast(given)
    totals = Totals.zeros(len(given), *abreast.weights.shape[::-1])
    for name, factor in (("one", 1), ("two", 10)):
        for stack in abreast.stacks(name, 2):
            more = stack.nothing()
            more.loss += factor
            more.total += 2 * factor
            more.gradient += factor * stack.weights
            more.offset += factor * stack.shift
            totals.add(stack, more)
    for model, found in zip(given, abreast.sums(totals), strict=True):
        times = ("one" in model.images) + 10 * ("two" in model.images)
        assert (found.loss, found.total) == (times, 2 * times)
        np.testing.assert_allclose(found.gradient, times * model.weights, rtol=1e-14)
        np.testing.assert_allclose(found.offset, times * model.shift, rtol=1e-14)


def test_sums_of_two_parts_add_up():
    total = Sum(1.0, 2.0, np.ones((2, 1)), np.zeros(1))
    total.add(Sum(0.5, 1.0, np.full((2, 1), 3.0), np.ones(1)))
    assert (total.loss, total.total, total.gradient.tolist(), total.offset.tolist()) == (1.5, 3.0, [[4], [4]], [1])


def test_a_model_on_other_images_is_else_the_same(rng):
    model = models(rng)[0]
    other = model.on(["three"])
    assert other.images == frozenset({"three"})
    assert other.weights is model.weights
