"""A table or a figure on its way into the folder: its files, how the report shows them, and a line that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tedm.study.report import ResultFigure, ResultTable


@dataclass(frozen=True)
class Part:
    """What one table or figure adds to the folder; one that is left out has a line alone, which says why.

    Parameters
    ----------
    line : str
        What was written, or left out.
    content : mapping of str to bytes or str
        Files by name.
    figures, tables : tuple
        What the report shows.
    words : tuple of str
        Paragraphs for the report.
    """

    line: str
    content: Mapping[str, bytes | str] = field(default_factory=dict)
    figures: tuple[ResultFigure, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    words: tuple[str, ...] = ()


def left_out(what: str, why: str) -> Part:
    """Return the part of a table or figure that has no data."""
    return Part(f"{what} is left out: {why}")
