"""Whether the masks of a manifest number their colours alike.

The index of a palette is its file's own numbering: red may be 1 here and 2 there, since programs write palettes in the order in
which they meet colours. The same holds for files of which zero is white beside others. Labels are the stored numbers, which
mean the same in all masks only if people see the same colours for them.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .reader import FileLabels

Colour = tuple[float, float, float]
_REMEDY = "save all masks with one palette, or their class values as grey"


class Palettes:
    """The colours of the numbers in masks, noted file by file, from several threads perhaps."""

    def __init__(self) -> None:
        self._palettes: dict[Path, dict[int, Colour]] = {}
        self._inverted: dict[Path, dict[int, Colour]] = {}
        self._greys: dict[Path, dict[int, Colour]] = {}

    def note(self, path: Path, labels: FileLabels) -> NDArray[np.int32]:
        """Note a mask's colours; return its values."""
        if labels.palette is not None:
            self._palettes[path] = {
                number: _colour(labels.palette[number] / 255)
                for number in _numbers(labels.values)
                if number < len(labels.palette)
            }
        elif labels.white:
            shown = {number: number / labels.white for number in _numbers(labels.values)}
            greys = self._inverted if labels.inverted else self._greys
            greys[path] = {number: (3 * (1 - grey if labels.inverted else grey,)) for number, grey in shown.items()}
        return labels.values

    def problems(self, ignore: int | None = None) -> list[str]:
        """Return where two files disagree: a number in two colours, or a colour under two numbers; one line each, both named.

        Grey masks with zero as black are numbers and agree with each other; with a palette, or with zero as white, they
        disagree where one colour is seen for two numbers. Indices of a palette that are `ignore` are not compared.
        """
        return _recoloured(self._palettes, ignore) or _renumbered({**self._palettes, **self._inverted}, self._greys, ignore)


def _numbers(values: NDArray[np.int32]) -> list[int]:
    if values.min() >= 0 and values.max() < 65536:
        return [int(number) for number in np.flatnonzero(np.bincount(values.ravel()))]  # ten times faster than sorting
    return []  # no number of a picture


def _colour(rgb: NDArray[np.float64]) -> Colour:
    red, green, blue = rgb.tolist()
    return red, green, blue


def _recoloured(files: dict[Path, dict[int, Colour]], ignore: int | None) -> list[str]:
    """Find indices that have different colours in different files."""
    first: dict[int, tuple[Colour, Path]] = {}
    problems: dict[int, str] = {}
    for path, colours in sorted(files.items()):
        for number, colour in colours.items():
            seen, where = first.setdefault(number, (colour, path))
            if seen != colour and number != ignore:
                problems.setdefault(
                    number,
                    f"mask {path}: index {number} of its palette is {_rgb(colour)}, and {_rgb(seen)} in {where}; {_REMEDY}",
                )
    return list(problems.values())


def _renumbered(files: dict[Path, dict[int, Colour]], greys: dict[Path, dict[int, Colour]], ignore: int | None) -> list[str]:
    """Find colours that have different numbers in different files, of which one at least is no plain grey."""
    first: dict[Colour, tuple[int, Path]] = {}
    problems: dict[Colour, str] = {}
    alike: set[Colour] = set()  # colours that a file has twice: nobody can mean labels by them
    for colours in files.values():
        times: dict[Colour, int] = defaultdict(int)
        for colour in colours.values():
            times[colour] += 1
        alike |= {colour for colour, count in times.items() if count > 1}
    for path, colours in [*sorted(files.items()), *sorted(greys.items())]:
        for number, colour in colours.items():
            if number == ignore or colour in alike:
                continue
            if path in files:
                seen, where = first.setdefault(colour, (number, path))
            elif colour in first:
                seen, where = first[colour]
            else:
                continue
            if seen != number:
                problems.setdefault(
                    colour, f"mask {path}: {_rgb(colour)} is number {number}, and number {seen} in {where}; {_REMEDY}"
                )
    return list(problems.values())


def _rgb(colour: Colour) -> str:
    red, green, blue = (round(255 * part) for part in colour)
    return f"the colour ({red}, {green}, {blue})"
