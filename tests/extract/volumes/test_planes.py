"""Slices are shown one way whatever the file's axes are: the picture of a head with a nose, a right hand and feet says so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tedm.extract.volumes.planes import oriented
from tedm.store.volumes.volume import Volume, problem_of_volume

# Of a volume in R-A-S order, the coordinate of each voxel along each of the patient's axes.
RIGHT, FRONT, HEAD = np.mgrid[:4, :5, :6]
ORDERS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def filed(order: tuple[int, ...], signs: tuple[int, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """The three coordinates in a file whose axes are those of the patient in some order and direction, and its affine."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[list(order)].T * signs
    turn = tuple(slice(None, None, sign) for sign in signs)
    return [coordinate.transpose(order)[turn] for coordinate in (RIGHT, FRONT, HEAD)], affine


def shown(affine, axis, array):
    """Slices as they are shown."""
    axes, flips = oriented(affine, axis)
    volume = Volume("a", array.shape, tuple(map(tuple, np.asarray(affine).tolist())), axes, flips)
    assert problem_of_volume(volume) is None
    slices = volume.to_slices(array)
    assert np.array_equal(volume.from_slices(slices), array)
    return slices


# Plane: what rises from slice to slice, from row to row and from column to column; a minus where it falls.
LOOKS = {"axial": ("+H", "-F", "-R"), "coronal": ("-F", "-H", "-R"), "sagittal": ("-R", "-H", "-F")}


@pytest.mark.parametrize(("order", "signs"), ORDERS)
@pytest.mark.parametrize("plane", LOOKS)
def test_a_plane_looks_the_same_in_every_order_of_axes(order, signs, plane):
    coordinates, affine = filed(order, signs)
    for axis, (sign, letter) in enumerate(LOOKS[plane]):
        slices = shown(affine, plane, coordinates["RFH".index(letter)])
        steps = np.diff(slices, axis=axis)
        assert (steps == (1 if sign == "+" else -1)).all()


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_an_axis_of_the_file_is_shown_as_the_plane_that_is_nearest(order, signs):
    _, affine = filed(order, signs)
    for axis in range(3):
        plane = ("sagittal", "coronal", "axial")[order[axis]]
        assert oriented(affine, str(axis)) == oriented(affine, plane)
        assert oriented(affine, str(axis))[0][0] == axis


@given(st.sampled_from(ORDERS), st.tuples(*[st.floats(-17, 17)] * 3), st.tuples(*[st.floats(0.3, 7)] * 3))
def test_a_small_turn_and_any_spacing_change_nothing(order, angles, spacing):
    _, affine = filed(*order)
    turned = affine.copy()
    turned[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ (affine[:3, :3] * spacing)
    for plane in (*LOOKS, "0", "1", "2"):
        assert oriented(turned, plane) == oriented(affine, plane)


def test_a_singular_affine_has_no_planes():
    with pytest.raises(ValueError, match="singular"):
        oriented(np.diag([1.0, 0.0, 1.0, 1.0]), "axial")


def test_a_brain_of_axes_l_a_s_is_cut_as_it_should_be(shared):
    from tedm.extract.volumes.nifti import read_header

    header = read_header(sorted((shared / "data" / "subcortical" / "images").iterdir())[0])
    assert oriented(header.affine, "axial") == ((2, 1, 0), (False, True, False))
