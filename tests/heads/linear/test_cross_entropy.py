"""Losses and their derivatives by the logits are those of the definition, whatever counts and classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tedm.heads.linear import cross_entropy as module
from tedm.heads.linear.cross_entropy import Aim, many_classes, two_classes
from tedm.store import IGNORE

LABELS = np.array([0, 2, 5, 2, IGNORE, 0, 5, 2, 1], np.uint8)
COUNTS = np.array([1, 3, 2, 1, 9, 4, 1, 2, 5])


def aim_at(*classes: int) -> Aim:
    """What rows should give to a model of these classes; the others, and rows without a label, do not count."""
    position, weights = np.full(256, IGNORE, np.uint8), np.linspace(0.5, 2.5, 256)
    position[list(classes)] = np.arange(len(classes))
    return Aim.from_labels(LABELS, position, weights, COUNTS)


def by_hand(logits, *classes):
    """Sum of the weighted losses, and the derivatives."""
    row_weights = np.linspace(0.5, 2.5, 256)
    loss, derivatives = 0.0, np.zeros_like(logits)
    for row, (label, count) in enumerate(zip(LABELS, COUNTS, strict=True)):
        if label in classes:
            at, weight = classes.index(label), row_weights[label] * count
            loss -= weight * log_softmax(logits[row])[at]
            derivatives[row] = weight * (softmax(logits[row]) - np.eye(len(classes))[at])
    return loss, derivatives


def test_what_rows_should_give_leaves_out_what_does_not_count():
    aim = aim_at(0, 2)
    expected = np.linspace(0.5, 2.5, 256)[LABELS] * COUNTS
    expected[[2, 4, 6, 8]] = 0  # classes 5 and 1, and no label
    assert np.array_equal(aim.weights, expected)
    assert aim.total == aim.weights.sum()
    assert aim.position[[0, 1, 3]].tolist() == [0, 1, 1]


@pytest.mark.parametrize("scale", [1.0, 400.0])
def test_many_classes_are_a_softmax(rng, scale):
    logits = scale * rng.normal(size=(len(LABELS), 3))
    loss, derivatives = by_hand(logits, 0, 2, 5)
    assert many_classes(logits, aim_at(0, 2, 5)) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(logits, derivatives, rtol=0, atol=1e-12 * COUNTS.max())


@pytest.mark.parametrize("part", [8, 2**18])
def test_one_output_stands_for_two_classes_and_parts_change_nothing(rng, monkeypatch, part):
    monkeypatch.setattr(module, "PART_BYTES", part)
    logits = 5 * rng.normal(size=(len(LABELS), 2))
    expected = [by_hand(np.stack([np.zeros(len(LABELS)), column], axis=1), 0, 2) for column in logits.T]
    losses = two_classes(logits, aim_at(0, 2))
    np.testing.assert_allclose(losses, [loss for loss, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(logits, np.stack([each[:, 1] for _, each in expected], axis=1), rtol=0, atol=1e-12)
