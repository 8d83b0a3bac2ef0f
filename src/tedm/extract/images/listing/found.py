"""What was found where a user's images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .legend import NO_LEGEND, Legend
from .rows import Row


@dataclass(frozen=True)
class Found:
    """Rows, and what else a table or a data set says.

    Parameters
    ----------
    table : Path
        What was read: a CSV, a folder or a file.
    rows : sequence of Row
    problems : sequence of str
        What is wrong with lines or files that are left out.
    channels : tuple of str
        What the channels of an image are called; empty for images of one file.
    remarks : sequence of str
        What is not used, or was assumed.
    legend : Legend
        What the classes are called.
    is_data_set : bool
        Whether it has a layout that says itself what belongs to it.
    """

    table: Path
    rows: Sequence[Row]
    problems: Sequence[str]
    channels: tuple[str, ...] = ()
    remarks: Sequence[str] = ()
    legend: Legend = NO_LEGEND
    is_data_set: bool = False
