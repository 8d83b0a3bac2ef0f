"""The small store of the tests of heads."""

from __future__ import annotations

import runpy
from pathlib import Path

_HEADS = runpy.run_path(str(Path(__file__).parents[1] / "heads" / "conftest.py"))
_stores, make_store = _HEADS["_stores"], _HEADS["make_store"]
