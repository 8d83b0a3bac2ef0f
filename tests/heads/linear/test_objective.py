"""A regression in the solver's variables: its gradient is that of its value, and its weights are those of the features."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import log_softmax

from tedm.heads.linear.objective import Problem, Scaled, all_classes
from tedm.heads.linear.passes import Effort, moments, sums
from tedm.heads.linear.source import ArrayRows, Source

EFFORT = Effort("float64", 8, 1)


def scaled(x, y, classes, standardize, strength=0.7):
    """Rows of one image, and the problem on them."""
    rows = ArrayRows(x, y.astype(np.uint8), np.zeros(len(x), np.intp))
    source = Source(rows, {"0": "0"}, rows.counts)
    of_images = {name: found for name, *found in moments(rows, ["0"], EFFORT)}
    return source, Scaled(Problem(("0",), strength, np.array(classes), np.ones(256)), of_images, standardize)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2]])
def test_the_gradient_is_that_of_the_value(rng, classes, standardize):
    x, y = rng.normal(2, [1, 5, 0.1], size=(40, 3)), rng.choice(classes, size=40)
    source, problem = scaled(x, y, classes, standardize)

    def objective(point):
        (total,) = sums(source, [problem.model(point)], EFFORT)
        return problem.objective(point, total)

    outputs = 1 if len(classes) == 2 else 3
    point = rng.normal(size=4 * outputs)
    assert check_grad(lambda at: objective(at)[0], lambda at: objective(at)[1], point) < 1e-6
    model, spread = problem.model(point), x.std(axis=0)[:, None] if standardize else 1.0
    logits = x @ model.weights + model.shift
    full = np.concatenate([0 * logits, logits], axis=1) if outputs == 1 else logits
    loss = -log_softmax(full, axis=1)[np.arange(40), y].sum() + 0.35 * ((model.weights * spread) ** 2).sum()
    assert objective(point)[0] == pytest.approx(loss / 40, rel=1e-10)


def test_classes_that_no_row_shows_are_left_nothing():
    coef, intercept = all_classes(np.array([[1.0, 2.0]]), np.array([0.5]), np.array([0, 2]), 3)
    assert coef.tolist() == [[0, 0], [0, 0], [1, 2]]
    assert intercept.tolist() == [0, -1e9, 0.5]
    whole = np.eye(3), np.arange(3.0)
    assert all_classes(*whole, np.arange(3), 3) == whole
