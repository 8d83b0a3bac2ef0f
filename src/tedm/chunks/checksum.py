"""CRC-32C of bytes, which lets other threads of Python work meanwhile.

Zarr's package for it is fast, and holds Python's lock for as long as it takes: beside a GPU, whose threads write several
gigabytes a second, all others waited for that. Its library, which it brings along, does not know of the lock; where it can be
found it is called past the package.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

try:
    from google_crc32c import value as locked
except ModuleNotFoundError:  # Zarr before 3.1.4 brings the other one along
    from crc32c import crc32c as locked  # type: ignore[import-not-found, no-redef]

SHORT = 2**18  # bytes, some 40 microseconds: with fewer, getting the lock back takes longer than the sum
# What every implementation of CRC-32C gives for these nine digits.
CHECKED, CHECK = b"123456789", 0xE3069283


def crc32c(content: NDArray[np.uint8]) -> int:
    """Return the CRC-32C of a contiguous array of bytes, from 0 to 2**32 - 1."""
    if _unlocked is None or len(content) < SHORT:
        return int(locked(content))
    return _unlocked(content.ctypes.data, len(content))


def _library() -> Callable[[int, int], int] | None:
    """Return the library's function of an address and a length; None where it cannot be found or says something else."""
    try:
        from google_crc32c import _crc32c

        function = ctypes.CDLL(_crc32c.__file__).crc32c_value
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.c_uint32
    return function if function(ctypes.c_char_p(CHECKED), len(CHECKED)) == CHECK else None


_unlocked = _library()
