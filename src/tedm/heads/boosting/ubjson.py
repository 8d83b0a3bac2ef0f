"""Reading Universal Binary JSON as XGBoost writes it, and nothing else.

XGBoost's own reader trusts what it reads. This one looks at every length before it makes anything, so that a model can be
checked before XGBoost sees it; what it does not know, or what could be read in two ways, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

DEEPEST = 32
# Numbers by their markers: int8, uint8, int16, int32, int64, float32, float64, big-endian.
NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_STRUCTS = {marker: struct.Struct(f">{code}") for marker, code in zip(NUMBERS, "bBhiqfd", strict=True)}
_CONSTANTS = {"T": True, "F": False}


def read_ubjson(content: bytes) -> Any:
    """Return what the bytes hold: dicts, lists, texts and numbers; arrays of one type become NumPy arrays.

    Raises
    ------
    ValueError
        If they are damaged, of another dialect, nested deeply, or followed by something.

    Examples
    --------
    >>> name = b"L" + (1).to_bytes(8, "big") + b"a"
    >>> read_ubjson(b"{" + name + b"[$U#L" + (2).to_bytes(8, "big") + b"\\x03\\x04}")
    {'a': array([3, 4], dtype=uint8)}
    """
    reader = _Reader(content)
    value = reader.value(reader.marker(), 0)
    if reader.at != len(content):
        raise ValueError(f"something follows its end, at byte {reader.at}")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def marker(self) -> str:
        """Take the byte that says what comes next."""
        return self._take(1).decode("latin-1")

    def value(self, marker: str, depth: int) -> Any:
        """Take the value behind a marker."""
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if marker in NUMBERS:
            (number,) = _STRUCTS[marker].unpack(self._take(_STRUCTS[marker].size))
            return number
        if marker == "S":
            return self._text()
        if marker == "{":
            return self._object(depth)
        if marker == "[":
            return self._array(depth)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise ValueError(f"{marker!r} at byte {self.at - 1} is no value")

    def _object(self, depth: int) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        while self._next() != "}":
            name = self._text()
            if name in found:
                raise ValueError(f"{name[:100]!r} is there twice")
            found[name] = self.value(self.marker(), depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> Any:
        kind = None
        if self._next() == "$":
            self.at += 1
            kind = self.marker()
            if kind not in NUMBERS:
                raise ValueError(f"an array of {kind!r} at byte {self.at - 1}")
        if self._next() != "#":
            if kind is not None:
                raise ValueError(f"an array without a length at byte {self.at}")
            found = []
            while self._next() != "]":
                found.append(self.value(self.marker(), depth + 1))
            self.at += 1
            return found
        self.at += 1
        length = self._length()
        if kind is None:
            return [self.value(self.marker(), depth + 1) for _ in range(self._that_fits(length))]
        numbers = np.frombuffer(self._take(length * np.dtype(NUMBERS[kind]).itemsize), NUMBERS[kind])
        return numbers.astype(numbers.dtype.newbyteorder("="))

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8")

    def _length(self) -> int:
        if self.marker() != "L":
            raise ValueError(f"a length of another type than XGBoost's at byte {self.at - 1}")
        (length,) = _STRUCTS["L"].unpack(self._take(8))
        return int(length)

    def _next(self) -> str:
        return chr(self._content[self.at]) if self.at < len(self._content) else self._take(1).decode()

    def _that_fits(self, length: int) -> int:
        if not 0 <= length <= len(self._content) - self.at:
            raise ValueError(f"it is cut off: {length} entries are said to follow byte {self.at}")
        return length

    def _take(self, size: int) -> bytes:
        self._that_fits(size)
        self.at += size
        return self._content[self.at - size : self.at]
