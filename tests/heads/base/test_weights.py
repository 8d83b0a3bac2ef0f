"""The arrays of a head are those that its settings ask for, or they are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tedm.heads.base.weights import length_of, read_weights, require_finite, write_weights

SHAPES = {"coef": (1, 3), "intercept": (1,)}


def written(path, **changes):
    arrays = {"coef": np.array([[1.0, 2, 3]]), "intercept": np.array([4.0])} | changes
    save_file({name: array for name, array in arrays.items() if array is not None}, path)
    return path


def test_arrays_come_back_with_those_that_may_be_there(tmp_path):
    path = written(tmp_path / "w", seen=np.array([True, False]))
    read = read_weights(path, SHAPES, flags={"seen": (2,)})
    assert read["coef"].tolist() == [[1, 2, 3]]
    assert read["seen"].tolist() == [True, False]
    assert length_of(path, "coef") == 1
    assert length_of(path, "nothing") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"coef": None}, "has no 'coef'"),
        ({"more": np.zeros(1)}, "holds 'more'"),
        ({"coef": np.zeros((3, 1))}, r"is F64 of \[3, 1\]; it should be F32 or F64 of \[1, 3\]"),
        ({"coef": np.zeros((1, 3), np.int64)}, "is I64"),
        ({"coef": np.zeros((1, 3), bool)}, "is BOOL"),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        read_weights(written(tmp_path / "w", **changes), SHAPES)


def test_a_header_that_does_not_fit_the_file_is_refused(tmp_path):
    whole = written(tmp_path / "w").read_bytes()
    for broken in (b"", whole[:-1], whole[:20], (2**40).to_bytes(8, "little") + whole[8:], b"\x02" + bytes(7) + b"[]"):
        (tmp_path / "w").write_bytes(broken)
        with pytest.raises((SafetensorError, ValueError, OSError)):
            read_weights(tmp_path / "w", SHAPES)


def test_values_that_are_no_numbers_are_refused():
    require_finite({"a": np.array([1.0]), "seen": np.array([True])}, where="w")
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="a in w holds values that are no finite numbers"):
            require_finite({"a": np.array([1.0, value])}, where="w")


def test_a_file_of_weights_may_be_read_by_whoever_may_read_its_neighbours(tmp_path):
    (tmp_path / "neighbour").touch()
    write_weights(tmp_path / "weights", {"a": np.arange(6.0).reshape(2, 3).T})
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "neighbour").stat().st_mode
    np.testing.assert_array_equal(read_weights(tmp_path / "weights", {"a": (3, 2)})["a"], np.arange(6.0).reshape(2, 3).T)
