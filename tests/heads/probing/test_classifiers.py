"""Classifiers that are asked together think what each of them does alone."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.data.rows import dense_rows
from tedm.heads.probing.classifiers import Fit, opinions


@pytest.mark.parametrize("outputs", [1, 3])
def test_opinions_are_those_of_each_classifier_on_the_rows(random_block, outputs):
    block = random_block(2, 3, [(4, 3), (8, 2)], 8, "nearest", 0)
    rng = np.random.default_rng(1)
    fits = [Fit(rng.normal(size=(outputs, 5)), rng.normal(size=outputs), 1.0, "", 9, True) for _ in range(4)]
    for fit, opinion in zip(fits, opinions(block, fits), strict=True):
        logits = dense_rows(block, "share").astype(float) @ fit.coef.T + fit.intercept
        logits = np.hstack([np.zeros_like(logits), logits]) if outputs == 1 else logits
        powers = np.exp(logits)
        expected = (powers / powers.sum(axis=1, keepdims=True)).reshape(6, 64, -1)
        np.testing.assert_allclose(opinion, expected, rtol=1e-4, atol=1e-6)
