"""A volume that is cut and put together again is the one of the file."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from tedm.store import Volume

EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 2.0, 0.0, 0.0), (0.0, 0.0, 3.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def volume(axes=(2, 1, 0), flips=(False, False, False), shape=(4, 5, 6)):
    return Volume("sub-1", shape, EYE, axes, flips)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_cutting_and_putting_together_again_changes_no_voxel(axes):
    voxels = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    for flips in product([False, True], repeat=3):
        cut = volume(axes, flips)
        slices = cut.to_slices(voxels)
        assert slices.shape == (voxels.shape[axes[0]], *cut.slice_size)
        np.testing.assert_array_equal(cut.from_slices(slices), voxels)
        for number, index in enumerate(cut.indices):
            np.testing.assert_array_equal(cut.slice_of(voxels, index), slices[number])


def test_a_slice_is_called_after_its_index_in_the_file():
    assert [volume(flips=(True, False, False)).slice_name(at) for at in volume(flips=(True, False, False)).indices][:2] == [
        "sub-1_005",
        "sub-1_004",
    ]
    assert volume(shape=(1, 1, 5000)).slice_name(7) == "sub-1_0007"


def test_spacing_is_the_length_of_a_voxel_along_each_axis_of_the_file():
    assert volume().spacing == (1.0, 2.0, 3.0)


def test_a_volume_comes_back_from_json():
    assert Volume.from_json(volume().to_json()) == volume()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [0, 1, 1]}, "shape"),
        ({"shape": [2**20, 2**20, 1]}, "voxels"),
        ({"axes": [0, 0, 1]}, "axes"),
        ({"affine": [[1.0, 0, 0, 0]] * 3}, "affine"),
        ({"affine": [[float("nan"), 0, 0, 0]] * 4}, "affine"),
        ({"kind": "bmp"}, "kind"),
    ],
)
def test_what_cannot_be_a_volume_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Volume.from_json({**volume().to_json(), **change})
