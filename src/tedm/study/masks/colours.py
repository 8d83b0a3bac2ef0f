"""What a head's classes are called, and the colours in which they are seen."""

from __future__ import annotations

from tedm.heads import Segmenter
from tedm.show.colours import class_colours
from tedm.text import called


def colours_of(head: Segmenter) -> tuple[str, ...]:
    """Return the colour of each class as "#rrggbb": those that the masks came with, else colours for any colour vision."""
    return class_colours(len(head.classes), head.class_colours)


def names_of(head: Segmenter) -> tuple[str, ...]:
    """Return what each class is called: by its name, by its value where it has none."""
    return tuple(called(value, head.named_classes.get(value, "")) for value in head.classes)


def legend_rows(head: Segmenter) -> list[tuple[int, str, str]]:
    """Return the value, name and colour of each class, as `classes.csv` has them."""
    return list(zip(head.classes, names_of(head), colours_of(head), strict=True))
