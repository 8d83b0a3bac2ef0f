"""Settings beside weights as plain values, however they were saved: no more of them, and no deeper, than settings are."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from torch import Tensor

from tedm.errors import TedmError
from tedm.jsons import JsonValue

from .stand_ins import Array

DEEPEST, MOST = 20, 100_000
LONGEST_TEXT = 2_000
LARGEST_NUMBER = 2**63


def plain_settings(value: object, name: str) -> dict[str, JsonValue]:
    """Return settings as JSON values; what is none (a device, a date) is left out.

    Parameters
    ----------
    value : object
        A mapping or a namespace; anything else holds no settings.
    name : str
        The checkpoint's, for messages.

    Raises
    ------
    TedmError
        If there are more, or deeper ones, than settings can be.
    """
    try:
        found = _Reader().read(value, 0)
    except OverflowError:
        raise TedmError(
            f"the settings of checkpoint {name} are deeper than {DEEPEST} levels or more than {MOST} values: they are none; "
            "use the file as its training wrote it"
        ) from None
    return dict(found) if isinstance(found, Mapping) else {}


class _Reader:
    def __init__(self) -> None:
        self.values = 0

    def read(self, value: object, depth: int) -> JsonValue:
        self.values += 1
        if depth > DEEPEST or self.values > MOST:
            raise OverflowError
        if isinstance(value, argparse.Namespace):
            value = vars(value)
        if isinstance(value, Tensor):
            value = value.tolist() if value.device.type == "cpu" and value.numel() <= MOST else None
        if isinstance(value, Array):
            value = value.values
        if isinstance(value, Mapping):
            read = {
                str(key): (inner, self.read(inner, depth + 1)) for key, inner in value.items() if isinstance(key, (str, int))
            }
            return {key: plain for key, (inner, plain) in read.items() if plain is not None or inner is None}
        if isinstance(value, (list, tuple)):
            parts = [self.read(inner, depth + 1) for inner in value]
            return tuple(parts) if isinstance(value, tuple) else parts
        if isinstance(value, str):
            text = str(value) if value.isprintable() else ascii(value)[1:-1]
            return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "..."
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST_NUMBER:
            return f"{value:.3g}" if abs(value) < 1e300 else "a number of hundreds of digits"
        return value if value is None or isinstance(value, (bool, int, float)) else None
