"""Harmless values that people save beside weights, and what is put in their place.

A pickle names classes and functions, and reading it calls them. Nothing that is named here is called: each name stands for one
of ours, which makes a plain value (a number, text, a list) or an empty object of what the file has for it. So it does not
matter which version of Python, NumPy or Lightning wrote the file, nor whether it is installed.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable, Sequence

LARGEST = 10_000  # numbers of an array of settings; a larger one is none

# NumPy's kinds and sizes of numbers as `struct` writes them
CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip


class Ignored:
    """What nobody needs: it takes what the file has for it, and keeps nothing."""

    def __new__(cls, *parts: object) -> Ignored:
        """Make an empty object."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Forget the state."""


class Kept(str):
    """Text of a class of its own, as torch's version is."""

    def __new__(cls, text: object = "", *parts: object) -> Kept:
        """Keep text; anything else becomes none."""
        return super().__new__(cls, text if isinstance(text, str) else "")


class NumberType:
    """A NumPy type: the kind and size of its numbers, and their byte order."""

    def __init__(self, name: object = "", *rest: object) -> None:
        self.code = CODES.get(name, "") if isinstance(name, str) else ""
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        """Take the byte order from (version, order, ...)."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"

    def numbers(self, data: object) -> list[bool | int | float]:
        """Return the numbers that bytes hold; none where they are too many, or no whole number of them."""
        raw = data.encode("latin1") if isinstance(data, str) and data.isascii() else data
        if not self.code or not isinstance(raw, bytes):
            return []
        size = struct.calcsize(self.code)
        count = len(raw) // size
        return [] if len(raw) % size or count > LARGEST else list(struct.unpack(f"{self.order}{count}{self.code}", raw))


class Array:
    """A NumPy array: its numbers in a list, where it has one dimension and few of them."""

    def __init__(self, *parts: object) -> None:
        self.values: list[bool | int | float] = []

    def __setstate__(self, state: object) -> None:
        """Take (version, shape, type, order, bytes)."""
        if isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], NumberType):
            shape = state[1]
            if isinstance(shape, tuple) and len(shape) == 1:
                self.values = state[2].numbers(state[4])


def number(kind: object = None, data: object = b"") -> bool | int | float | Ignored:
    """Return a NumPy scalar as a plain number."""
    found = kind.numbers(data) if isinstance(kind, NumberType) else []
    return found[0] if len(found) == 1 else Ignored()


def path(*parts: object) -> str:
    """Return a path of any system as text."""
    return "/".join(part for part in parts if isinstance(part, str))


def mapping(*parts: object) -> dict[object, object]:
    """Return an empty dictionary; the file's entries come after it."""
    return {}


def sequence(*parts: object) -> list[object]:
    """Return a list: of the entries given at once, and those that come after it."""
    return list(parts[0]) if parts and isinstance(parts[0], (list, tuple)) else []


_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_PLAIN = (
    "bool", "int", "float", "str", "list", "tuple", "dict", "frozenset", "slice", "range", "object", "type", "bytes",
)  # fmt: skip
_ATTRIBUTES = (
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)

STAND_INS: dict[str, Callable[..., object]] = {
    "argparse.Namespace": argparse.Namespace,
    "types.SimpleNamespace": argparse.Namespace,
    "collections.defaultdict": mapping,
    "collections.deque": sequence,
    "torch.torch_version.TorchVersion": Kept,
    "uuid.UUID": Ignored,
    "decimal.Decimal": Ignored,
    "fractions.Fraction": Ignored,
    **{f"{module}.{name}": path for module in ("pathlib", "pathlib._local") for name in _PATHS},
    **{f"datetime.{name}": Ignored for name in ("datetime", "date", "time", "timedelta", "timezone")},
    **{f"builtins.{name}": Ignored for name in _PLAIN},
    **dict.fromkeys(_ATTRIBUTES, dict),
    "numpy.dtype": NumberType,
    "numpy.ndarray": Array,
    **{f"numpy.{core}.multiarray.scalar": number for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": Array for core in ("core", "_core")},
}
"""By the full name that a file has for it: what is called in its place."""


def stand_ins(names: Sequence[str]) -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """Return those of some names, as `torch.serialization.safe_globals` takes them."""
    return [(STAND_INS[name], name) for name in names if name in STAND_INS]
