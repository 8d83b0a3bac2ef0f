"""Every way in which a file cannot be read is one sentence that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.reading import broken_link, naming, whole_numbers


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (FileNotFoundError(), "no such file"),
        (IsADirectoryError(), "a folder, not a NIfTI file"),
        (PermissionError(), "may not be read (permission denied)"),
        (MemoryError(), "too large for the memory that is free; save a smaller copy, or free some"),
        (ValueError("a\n  b"), "cannot be decoded (a b)"),
        (EOFError(), "cannot be decoded (EOFError)"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(raised, said):
    with pytest.raises(TedmError) as caught, naming(Path("a.nii"), "a NIfTI file"):
        raise raised
    assert str(caught.value) == f"a.nii: {said}"


def test_a_link_to_itself_is_said_to_be_one(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert broken_link(tmp_path / "loop.png") == "a link that leads back to itself; delete it, or let it lead to the file"


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.nii").symlink_to(tmp_path / "gone.nii")
    match = r"a\.nii: a link to .*gone\.nii, which is not there; fetch it"
    with pytest.raises(TedmError, match=match), naming(tmp_path / "a.nii"):
        (tmp_path / "a.nii").read_bytes()


def test_whole_numbers_of_any_type_and_shape_become_integers():
    values = np.array([[[0, 7], [-3, 2]]])
    for dtype in (np.int8, np.int64, np.float32, np.float64):
        read = whole_numbers(Path("a.nii"), values.astype(dtype))
        assert (read.dtype, read.tolist()) == (np.dtype(np.int32), values.tolist())


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 2.0**25])
def test_other_numbers_are_no_labels(value):
    with pytest.raises(TedmError, match=r"a\.nii: a mask with values that are no whole numbers"):
        whole_numbers(Path("a.nii"), np.array([1, value], np.float32))


def test_labels_beyond_32_bits_are_refused():
    with pytest.raises(TedmError, match="beyond 32 bits"):
        whole_numbers(Path("a.nii"), np.array([2**31]))
