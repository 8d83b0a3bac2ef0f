"""What a pickle asks for, told without reading it.

A pickle is a program for a small machine with a stack. Its instructions are walked through and none is carried out: that tells
which classes and functions it names and how much memory its tensors want, before torch's restricted reader gets it. What that
reader would stumble over (long chains of tuples, calls of what is no function) is refused here.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field
from typing import IO

import torch

from .stand_ins import STAND_INS

DEEPEST, LARGEST = 50, 1_000_000  # tuples in tuples, and entries of one with all that is in it

STORAGES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1,
    "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
ITEM_SIZES = {f"torch.{name}Storage": size for name, size in STORAGES.items()} | {
    "torch.storage.UntypedStorage": 1,
    "torch.UntypedStorage": 1,
}
# What torch's reader makes tensors and plain containers of. It would permit more: classes that take memory when called.
OF_TORCH = {
    "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set", "builtins.complex", "torch.Size",
    "torch.device", "torch.nn.parameter.Parameter", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    *ITEM_SIZES, *(str(each) for each in vars(torch).values() if isinstance(each, torch.dtype)),
}  # fmt: skip
ALLOWED = OF_TORCH | STAND_INS.keys()

# How many entries an instruction takes from the stack, and how many it puts there; those that need more thought are in `scan`.
SIMPLE = {
    "NONE": (0, 1), "NEWFALSE": (0, 1), "NEWTRUE": (0, 1), "EMPTY_LIST": (0, 1), "EMPTY_DICT": (0, 1), "EMPTY_SET": (0, 1),
    "BINFLOAT": (0, 1), "SHORT_BINSTRING": (0, 1), "APPEND": (1, 0), "SETITEM": (2, 0), "PROTO": (0, 0),
}  # fmt: skip
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Unreadable(Exception):
    """A pickle that no checkpoint needs; the text says what is in it."""


@dataclass(frozen=True)
class Scan:
    """What a pickle asks for.

    Parameters
    ----------
    names : tuple of str
        Classes and functions that it names, in the order of their first mention.
    storages : mapping of str to int
        The bytes that each of its storages of numbers is to have.
    value : object
        What it holds, where that is a whole number.
    """

    names: tuple[str, ...]
    storages: dict[str, int]
    value: object

    @property
    def strangers(self) -> tuple[str, ...]:
        """Names that no checkpoint needs."""
        return tuple(name for name in self.names if name not in ALLOWED)


@dataclass(frozen=True)
class _Named:
    name: str


@dataclass(frozen=True, eq=False)
class _Tuple:
    entries: tuple[object, ...]
    depth: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        inner = [entry for entry in self.entries if isinstance(entry, _Tuple)]
        object.__setattr__(self, "depth", 1 + max((entry.depth for entry in inner), default=0))
        object.__setattr__(self, "size", len(self.entries) + sum(entry.size for entry in inner))
        if self.depth > DEEPEST or self.size > LARGEST:
            raise Unreadable("it has tuples in tuples without end")


def scan(file: IO[bytes]) -> Scan:
    """Walk through one pickle, and leave the file behind its end.

    Raises
    ------
    Unreadable
        If it is damaged, needs another reader than torch's restricted one, or is made to harm that.
    """
    walk = _Walk()
    try:
        for instruction, argument, _ in pickletools.genops(file):
            if instruction.name == "STOP":
                return Scan(tuple(walk.names), walk.storages, walk.stack[-1])
            walk.step(instruction.name, argument)
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise Unreadable(f"its pickle is damaged ({type(error).__name__})") from error
    raise Unreadable("its pickle has no end")


class _Walk:
    """The stack of the machine, with what is known of each entry: whole numbers, texts, names and tuples of these."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[object, object] = {}
        self.names: dict[str, None] = {}
        self.storages: dict[str, int] = {}

    def step(self, name: str, argument: object) -> None:
        """Follow one instruction."""
        stack = self.stack
        if name == "PROTO" and isinstance(argument, int) and argument > 2:
            raise Unreadable(
                f"it was saved with pickle's protocol {argument}; save it again with torch.save's own, pickle_protocol=2"
            )
        if name in SIMPLE:
            taken, put = SIMPLE[name]
            self._take(taken)
            stack += [None] * put
        elif name in TUPLES:
            stack.append(_Tuple(tuple(self._take(TUPLES[name]))))
        elif name in ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"):
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(_Tuple(tuple(self._since_mark())))
        elif name in ("APPENDS", "SETITEMS"):
            self._since_mark()
        elif name == "GLOBAL":
            stack.append(_Named(self._name(str(argument))))
        elif name in ("REDUCE", "NEWOBJ"):
            called, _ = self._take(2)
            if not isinstance(called, _Named) or called.name in ITEM_SIZES:
                raise Unreadable("it calls what is no function")
            stack.append(None)
        elif name == "BUILD":
            self._take(1)
            if isinstance(stack[-1], _Named):
                raise Unreadable("it would change a class")
        elif name == "BINPERSID":
            self._storage(*self._take(1))
            stack.append(None)
        else:
            raise Unreadable(f"its pickle has an instruction, {name}, that torch.save does not write")

    def _take(self, count: int) -> list[object]:
        if count > len(self.stack) - (self.marks[-1] if self.marks else 0):
            raise IndexError
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _since_mark(self) -> list[object]:
        mark = self.marks.pop()
        taken = self.stack[mark:]
        del self.stack[mark:]
        return taken

    def _name(self, argument: str) -> str:
        """Return the full name of what "module name" is in today's Python."""
        module, _, name = argument.partition(" ")
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f"{module}.{name}"
        self.names[full] = None
        return full

    def _storage(self, asked: object) -> None:
        entries = asked.entries if isinstance(asked, _Tuple) else ()
        kind, key, count = (entries[1], entries[2], entries[4]) if len(entries) in (5, 6) else (None, None, None)
        if (
            not isinstance(kind, _Named)
            or kind.name not in ITEM_SIZES
            or not isinstance(key, str)
            or not isinstance(count, int)
            or count < 0
            or entries[0] != "storage"
        ):
            raise Unreadable("one of its tensors has no memory that can be told")
        self.storages[key] = max(self.storages.get(key, 0), count * ITEM_SIZES[kind.name])
