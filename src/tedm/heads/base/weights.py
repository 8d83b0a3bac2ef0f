"""The arrays of a head in a safetensors file: those that its settings ask for, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from tedm.foreign import require_plain

# The types that heads are written in, by their names in the file.
NUMBERS, FLAGS = ("F32", "F64"), ("BOOL",)
Shape = Sequence[int]
MOST_NAMED = 20


def write_weights(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays of a head. Whoever may read other files may read it; safetensors' own writer keeps it to its owner.

    Parameters
    ----------
    path : Path
    arrays : mapping of str to array
    """
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read_weights(
    path: Path, shapes: Mapping[str, Shape], *, flags: Mapping[str, Shape] | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a head, after a look at their names, types and shapes in the file's header.

    Parameters
    ----------
    path : Path
    shapes : mapping of str to shape
        Arrays of float32 or float64 that must be there.
    flags : mapping of str to shape, or None
        Boolean arrays that may be there.

    Returns
    -------
    dict of str to array

    Raises
    ------
    OSError, ValueError, SafetensorError
        If it is no such file, or its arrays are others. Nothing larger than the file has been made by then.
    """
    require_plain(path)
    flags = flags or {}
    with safe_open(path, "numpy") as file:
        found = set(file.keys())
        strange = sorted((found - {*shapes, *flags}) | (set(shapes) - found))
        if strange:
            what = "has no" if strange[0] in shapes else "holds"
            raise ValueError(f"{path.name} {what} {strange[0]!r}; its arrays should be {_some(list(shapes))}")
        for name in sorted(found):
            types, wanted = (NUMBERS, shapes[name]) if name in shapes else (FLAGS, flags[name])
            about = file.get_slice(name)
            if tuple(about.get_shape()) != tuple(wanted) or about.get_dtype() not in types:
                is_there = f"{about.get_dtype()} of {list(about.get_shape())}"
                raise ValueError(f"{name} in {path.name} is {is_there}; it should be {' or '.join(types)} of {list(wanted)}")
        return {name: file.get_tensor(name) for name in sorted(found)}


def _some(names: list[str]) -> str:
    """Name the first of many."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def length_of(path: Path, name: str) -> int | None:
    """Return how many entries an array has along its first axis, None if there is no such array; only the header is read."""
    require_plain(path)
    with safe_open(path, "numpy") as file:
        shape = file.get_slice(name).get_shape() if name in file.keys() else []  # noqa: SIM118
    return int(shape[0]) if shape else None


def require_finite(arrays: Mapping[str, NDArray[Any]], *, where: str) -> None:
    """Refuse arrays that hold what is no number: every prediction would be none."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} in {where} holds values that are no finite numbers")
