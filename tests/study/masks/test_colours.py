"""Names and colours of a head's classes."""

from __future__ import annotations

from dataclasses import replace

from tedm.heads import load_head
from tedm.study.masks.colours import colours_of, legend_rows, names_of


def test_a_legend_has_what_is_known_and_else_values_and_colours_for_any_vision(fitted):
    head = load_head(fitted)
    assert legend_rows(head) == [(0, "class 0", "#000000"), (255, "class 255", "#e69f00")]
    named = replace(head, class_names=("background", "lung"), class_colours=("#000000", "#12ab34"))
    assert (names_of(named), colours_of(named)) == (("background", "lung"), ("#000000", "#12ab34"))
    assert legend_rows(named)[1] == (255, "lung", "#12ab34")
