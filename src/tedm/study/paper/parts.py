"""A table or a figure on its way into the folder: its files, how the report shows them, and a line that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tedm.study.report import ResultFigure, ResultTable
from tedm.text import listed


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
    notes : tuple of str
        What a reader must know of it, sentences; the report says each once.
    """

    line: str
    content: Mapping[str, bytes | str] = field(default_factory=dict)
    figures: tuple[ResultFigure, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def notes_together(parts: Sequence[Part]) -> str:
    """Return the notes of all parts, each once; one that not all parts have begins with whose it is.

    Examples
    --------
    >>> notes_together([Part("table 1: Dice", notes=("Bold: best.",)), Part("table 4", notes=("Bold: best.", "0/0 is 0."))])
    'Bold: best. Table 4: 0/0 is 0.'
    """
    having: dict[str, list[str]] = {}
    told = [part for part in parts if part.notes]
    for part in told:
        for note in part.notes:
            having.setdefault(note, []).append(part.line.split(":")[0])
    common = [note for note, parts_with in having.items() if len(parts_with) == len(told)]
    own = [f"{listed(names).capitalize()}: {note}" for note, names in having.items() if note not in common]
    return " ".join([*common, *own])


def left_out(what: str, why: str) -> Part:
    """Return the part of a table or figure that has no data."""
    return Part(f"{what} is left out: {why}")
