"""Notes are said once, with whose they are where not all parts have them."""

from __future__ import annotations

from tedm.study.paper.parts import Part, left_out, notes_together


def test_notes_are_said_once_and_by_whose_they_are() -> None:
    parts = [
        Part("table 1: a", notes=("X.", "Y.")),
        Part("table 2: b", notes=("X.", "Z.")),
        Part("table 4: c", notes=("X.", "Y.")),
    ]
    assert (
        notes_together([*parts, Part("figure 2: d"), left_out("figure 3", "no data")]) == "X. Table 1, table 4: Y. Table 2: Z."
    )
    assert notes_together([]) == ""


def test_what_is_left_out_adds_nothing() -> None:
    part = left_out("table 2", "there are no records")
    assert (part.line, part.content, part.tables) == ("table 2 is left out: there are no records", {}, ())
