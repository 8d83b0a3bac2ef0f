"""Affines: what is wrong with one, and how far two are apart."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.extract.volumes.space import affine_problem, apart, in_short, matrix_of, tolerance


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (((0, 3), np.nan), "has numbers that are not finite"),
        (((1, 1), 1e300), "has numbers that are not finite"),
        (((1, 1), 0.0), "is singular: its axes do not span the space"),
        (((0, 0), 1e-9), None),
        (((0, 1), 5.0), None),
        (((0, 1), 1e7), "is singular: its axes do not span the space"),
    ],
)
def test_an_affine_that_gives_no_places_is_known(change, problem):
    affine = np.eye(4)
    affine[change[0]] = change[1]
    assert affine_problem(affine) == problem


def test_two_affines_are_apart_at_the_corner_that_is_farthest():
    other = np.eye(4)
    other[0, 0], other[2, 3] = 1.1, -0.3
    voxels = np.indices((4, 5, 6)).reshape(3, -1)
    expected = np.linalg.norm((np.eye(4) - other)[:3] @ np.vstack([voxels, np.ones(voxels.shape[1])]), axis=0).max()
    assert apart((4, 5, 6), np.eye(4), other) == pytest.approx(expected)


def test_voxels_may_be_apart_by_a_tenth_of_the_smallest_spacing_or_a_hundredth_of_a_millimetre():
    assert tolerance(np.diag([3.0, -0.5, 2.0, 1.0])) == pytest.approx(0.05)
    assert tolerance(np.diag([3.0, 0.02, 2.0, 1.0])) == 0.01


def test_an_affine_becomes_plain_numbers_and_a_part_of_a_line():
    affine = np.array([[0, -2, 0, 90], [1, 0, 0, -126.5], [0, 0, 3, -72.25], [0, 0, 0, 1]], np.float32)
    assert np.array_equal(np.array(matrix_of(affine)), affine)
    assert hash(matrix_of(affine))
    assert in_short(affine) == "axes A-L-S, 1 x 2 x 3 mm, first voxel at 90, -126.5, -72.25"
