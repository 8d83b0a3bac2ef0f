"""The cover: distances by definition, the greedy choice against an exhaustive one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tedm.heads.active.coverage import Cover


def twins_and_an_oddity() -> tuple[np.ndarray, list[str]]:
    """Three pairs of near twins, and one image that is like no other."""
    corners = np.array([[0.0, 0], [4, 0], [0, 4]])
    pairs = np.repeat(corners, 2, axis=0) + np.tile([[0.0, 0], [0.05, 0.02]], (3, 1))
    return np.vstack([pairs, [[30.0, -30]]]).astype(np.float32), ["a0", "a1", "b0", "b1", "c0", "c1", "odd"]


def standardised(points: np.ndarray) -> np.ndarray:
    return (points - points.mean(axis=0)) / points.std(axis=0) / np.sqrt(points.shape[1])


def test_distances_and_gains_are_those_of_the_definition(rng):
    points, known = rng.normal(3, 2, (9, 5)).astype(np.float32), rng.normal(3, 2, (2, 5)).astype(np.float32)
    cover = Cover(points, known)
    every = standardised(np.vstack([points, known]).astype(float))
    between = np.linalg.norm(every[:, None] - every[None], axis=2)
    np.testing.assert_allclose(cover.distance, between[:9, 9:].min(axis=1), rtol=1e-6)
    expected = [np.maximum(cover.distance - between[:9, index], 0).mean() for index in range(9)]
    np.testing.assert_allclose(cover.gains, expected, rtol=1e-6, atol=1e-9)


def test_the_choice_is_the_greedy_one(rng):
    """Old gains are bounds: nobody is computed again who could not win, and the choice is the same."""
    points, weights = rng.normal(size=(30, 4)).astype(np.float32), rng.random(30)
    cover = Cover(points, points[:0])
    every = standardised(points.astype(float))
    between = np.linalg.norm(every[:, None] - every[None], axis=2)
    nearest, expected = np.full(30, 2 * np.linalg.norm(every, axis=1).max()), []
    for _ in range(12):
        gains = [np.maximum(nearest - row, 0) @ weights if index not in expected else -1 for index, row in enumerate(between)]
        expected.append(int(np.argmax(gains)))
        nearest = np.minimum(nearest, between[expected[-1]])
    assert cover.chosen(weights, [""] * 30, [], 12) == expected


def test_twins_are_not_chosen_together_and_what_is_known_counts():
    points, names = twins_and_an_oddity()
    first = Cover(points, points[:0]).chosen(np.ones(7), [""] * 7, [], 4)
    assert {names[index][0] for index in first} == {"a", "b", "c", "o"}
    known = Cover(points, points[:1])  # a twin of a1 is labelled already
    assert "a" not in {names[index][0] for index in known.chosen(np.ones(7), [""] * 7, [], 3)}
    assert known.distance[0] < 1e-6
    weights = np.where(np.arange(7) < 4, 1.0, 0)  # c and the oddity are known well enough
    assert {names[index][0] for index in Cover(points, points[:0]).chosen(weights, [""] * 7, [], 2)} == {"a", "b"}


def test_groups_take_turns():
    points, _ = twins_and_an_oddity()
    groups = ["p", "p", "p", "q", "p", "p", "r"]
    cover = Cover(points, points[:0])
    assert {groups[index] for index in cover.chosen(np.ones(7), groups, [], 3)} == {"p", "q", "r"}
    assert {groups[index] for index in cover.chosen(np.ones(7), groups, ["p"], 2)} == {"q", "r"}
    assert sorted(cover.chosen(np.ones(7), groups, ["p"], 7)) == list(range(7))


def test_what_is_alike_everywhere_tells_nothing():
    points = np.array([[1.0, 5], [2, 5], [4, 5]], np.float32)
    cover = Cover(points, points[:1])
    assert np.isfinite(cover.distance).all()
    np.testing.assert_allclose(cover.distance * np.sqrt(2), np.array([0, 1, 3]) / np.std([1, 2, 4, 1]), rtol=1e-6)
    assert np.isnan(Cover(points[:1], points[:0]).distance).all()
    assert Cover(points[:1], points[:0]).chosen(np.ones(1), [""], [], 1) == [0]


@pytest.mark.parametrize("seed", range(3))
def test_the_greedy_choice_gains_nearly_what_the_best_one_does(seed):
    points = np.random.default_rng(seed).normal(size=(9, 2)).astype(np.float32)
    every = standardised(points.astype(float))
    between = np.linalg.norm(every[:, None] - every[None], axis=2)
    most = 2 * np.linalg.norm(every, axis=1).max()

    def gain(chosen):
        return (most - between[list(chosen)].min(axis=0)).sum()

    greedy = gain(Cover(points, points[:0]).chosen(np.ones(9), [""] * 9, [], 3))
    best = max(gain(three) for three in itertools.combinations(range(9), 3))
    assert (1 - 1 / np.e) * best <= greedy <= best + 1e-9
