"""The colours of classes."""

from __future__ import annotations

from itertools import pairwise

from tedm.show.colours import COLOURS, class_colours, colour_of


def test_neighbouring_classes_differ_and_the_background_is_black():
    colours = class_colours(20)
    assert (len(colours), colours[0]) == (20, "#000000")
    assert all(one != other for one, other in pairwise(colours))
    assert len(set(colours[1:8])) == len(COLOURS) == 7
    assert colours[8] == colour_of(8).lower() == "#735000"


def test_classes_of_brains_are_told_apart():
    assert len({colour_of(index) for index in range(1, 50)}) == 49


def test_known_colours_are_taken_as_they_are():
    assert class_colours(2, ("#010203", "#ffffff")) == ("#010203", "#ffffff")
