"""Which pixels of a square are an image's own, and where those of a stack of slices lie."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.images.slices.grid import grid_of
from tedm.store import Slice, Volume

AFFINE = ((0.0, 2.0, 0.0, 5.0), (-1.0, 0.0, 0.0, 7.0), (0.0, 0.0, 3.0, -9.0), (0.0, 0.0, 0.0, 1.0))
VOLUME = Volume("v", (8, 4, 5), AFFINE, (2, 1, 0), (False, True, False))


def lies(volume: Volume, *voxel: float) -> list[float]:
    return (volume.matrix @ [*voxel, 1])[:3].tolist()


def test_a_picture_is_what_lies_between_its_padding():
    assert (grid_of((2, 4), 8, "pad").rows, grid_of((2, 4), 8, "pad").columns) == (slice(2, 6), slice(0, 8))
    assert grid_of((2, 4), 8, "stretch").rows == slice(0, 8)
    assert grid_of((2, 4), 8, "pad").volume is None


def test_a_voxel_of_the_grid_is_in_the_middle_of_those_that_it_stands_for():
    """Slices of 4 x 8 voxels at 4 x 4: two rows, each of two voxels of either axis; rows against the file's axis."""
    grid = grid_of((4, 8), 4, "pad", volume=VOLUME, slices=[Slice(0, 3), Slice(0, 2)])
    assert (grid.rows, grid.columns) == (slice(1, 3), slice(0, 4))
    assert grid.volume.shape == (4, 2, 2)
    assert lies(grid.volume, 0, 0, 0) == lies(VOLUME, 0.5, 0.5, 2)
    assert lies(grid.volume, 3, 1, 1) == lies(VOLUME, 6.5, 2.5, 3)
    assert (grid.volume.axes, grid.volume.flips, grid.volume.name) == (VOLUME.axes, VOLUME.flips, "v")


def test_a_crop_lies_where_it_was_cut_and_what_is_beyond_the_slice_is_left_out():
    """Of 4 rows and 8 columns those from -1 to 4 and from 6 to 11: five rows too many in all, columns 6 and 7 are there."""
    grid = grid_of((4, 8), 6, "pad", volume=VOLUME, slices=[Slice(0, 1, -1, 6, 6, 6)])
    assert (grid.rows, grid.columns) == (slice(1, 5), slice(0, 2))
    assert lies(grid.volume, 0, 0, 0) == lies(VOLUME, 6, 0, 1)
    assert lies(grid.volume, 1, 3, 0) == lies(VOLUME, 7, 3, 1)


def test_a_crop_that_shows_nothing_of_its_slice_is_refused():
    with pytest.raises(TedmError, match="slice 1 of v: at 6 x 6 pixels nothing of it is left; extract with another crop"):
        grid_of((4, 8), 6, "pad", volume=VOLUME, slices=[Slice(0, 1, 40, 40, 6, 6)])


@pytest.mark.parametrize("slices", [[Slice(0, 1), Slice(0, 3)], [Slice(0, 1), Slice(0, 2, 0, 0, 3, 3)], [Slice(0, 1)] * 2])
def test_slices_that_are_not_neighbours_are_a_defect_of_whoever_asks(slices):
    with pytest.raises(ValueError, match="not neighbours of one crop"):
        grid_of((4, 8), 4, "pad", volume=VOLUME, slices=slices)


def test_all_voxels_together_cover_the_slice():
    """The volume of all voxels is that of the slices, but for rounding at the border by half a voxel of the grid."""
    for size, geometry in ((4, "pad"), (5, "stretch"), (16, "pad"), (3, "pad")):
        grid = grid_of((4, 8), size, geometry, volume=VOLUME, slices=[Slice(0, at) for at in range(5)])
        each = abs(np.linalg.det(grid.volume.matrix[:3, :3])) / abs(np.linalg.det(VOLUME.matrix[:3, :3]))
        assert np.prod(grid.volume.shape) * each == pytest.approx(4 * 8 * 5, rel=0.35)
