"""The types of what JSON holds: null, booleans, numbers, text, lists and objects of these.

Whatever is kept as JSON (a store's provenance, a checkpoint's settings) has these types until it is checked and becomes a
dataclass. Tuples count as lists, since that is how they are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]
