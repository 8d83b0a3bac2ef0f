"""What is wrong with a file of a volume whatever its kind is said in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.reading import naming
from tedm.extract.volumes.checks import (
    channels_of,
    native,
    require_file,
    require_numbers,
    require_shape,
    white_of,
)

PATH = Path("a.nii")


def test_a_file_has_its_size_and_a_pipe_is_refused_at_once(tmp_path):
    (tmp_path / "a").write_bytes(bytes(7))
    assert require_file(tmp_path / "a") == 7
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TedmError, match=r"pipe: cannot be decoded \(pipe is no plain file\)"), naming(tmp_path / "pipe"):
        require_file(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("dtype", "what"),
    [
        ([("R", "u1"), ("G", "u1"), ("B", "u1")], "colours"),
        (np.complex64, "complex numbers"),
        (np.longdouble, "numbers of type"),
        (np.bool_, "numbers of type bool"),
    ],
)
def test_what_is_no_plain_number_is_refused(dtype, what):
    with pytest.raises(TedmError, match=f"a.nii: a volume of {what}.*; save one plain number a voxel"):
        require_numbers(PATH, np.dtype(dtype))


def test_axes_of_length_one_are_no_channels():
    assert channels_of(PATH, [1, 1], wanted=False) == 1
    assert channels_of(PATH, [1, 3], wanted=True) == 3
    with pytest.raises(TedmError, match="a 4D file of 3 volumes; save the one .* with --channels-in-file"):
        channels_of(PATH, [3], wanted=False)
    with pytest.raises(TedmError, match="2 x 3 volumes in one file along 2 axes; save each as a file of its own"):
        channels_of(PATH, [2, 3], wanted=True)
    with pytest.raises(TedmError, match="says that it has 0 volumes; the file is damaged"):
        channels_of(PATH, [1, 0], wanted=True)


def test_sizes_that_no_volume_has_are_refused():
    require_shape(PATH, (2048, 2048, 2048), 1)
    with pytest.raises(TedmError, match="2048 x 2048 x 2048 x 2 voxels; more than 8589934592 are not read"):
        require_shape(PATH, (2048, 2048, 2048), 2)
    with pytest.raises(TedmError, match="says that it has 3 x -1 x 2 voxels; the file is damaged"):
        require_shape(PATH, (3, -1, 2), 1)


def test_numbers_keep_their_values_in_this_machines_order_of_bytes():
    values = np.array([1, 258], ">u2")
    assert native(values).dtype == np.dtype("uint16")
    assert native(values).dtype.isnative
    assert native(values).tolist() == [1, 258]
    assert white_of(values.dtype) == 65535
    assert white_of(np.dtype("int16")) is None
