"""A report as one HTML file that needs nothing else: pictures and styles are inside, and there is no script.

The page is a tree of sections of plain values. Whoever makes them has read the results; here they are only laid out, with the
same rules for all: a table scrolls in a box of its own, a picture has a text for those who cannot see it and its numbers in a
table below, and headings never skip a rank.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tedm.text import shown

from .panels import PANEL, blank, colour_of, draw_mask, foreground_edges, outline, panel

# What a file starts with that tedm-report may replace.
GENERATOR = '<meta name="generator" content="tedm-report'
IGNORE = 255


@dataclass(frozen=True)
class Sheet:
    """A table: rows of entries, each text or (text, whether it is bold); the first of a row names it."""

    caption: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str | tuple[str, bool]]]


@dataclass(frozen=True)
class Picture:
    """A figure as the bytes of a PNG, what it shows in words, and its numbers."""

    png: bytes
    alt: str
    caption: str
    sheet: Sheet

    @property
    def wide(self) -> bool:
        """Whether it is more than twice as wide as high: panels side by side, which want the width of the page."""
        width, height = struct.unpack(">II", self.png[16:24])  # where every PNG says so
        return bool(width > 2 * height)


@dataclass(frozen=True)
class Tile:
    """A small picture and the words below it."""

    png: bytes
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it, in this order; `closed` tables are opened by who wants them.

    `beside` sets the sheets beside the first picture where there is room, which is for narrow ones.
    `legend` is the names of classes, the background first, for the tiles; `striped` says that they show pixels without a label.
    """

    title: str
    words: Sequence[str] = ()
    notes: Sequence[str] = ()
    about: Sequence[tuple[str, str]] = ()
    sheets: Sequence[Sheet] = ()
    beside: bool = False
    pictures: Sequence[Picture] = ()
    closed: Sequence[Sheet] = ()
    legend: Sequence[str] = ()
    striped: bool = False
    tiles: Sequence[Tile] = ()
    sections: Sequence[Section] = ()


def report_html(
    title: str,
    words: Sequence[str],
    sections: Sequence[Section],
    *,
    made_by: str,
    opening: Sequence[tuple[str, str]] = (),
) -> str:
    """Lay out a report; the same values give the same text.

    Parameters
    ----------
    title, words : str and sequence of str
        The heading, and paragraphs below it.
    sections : sequence of Section
        Three ranks deep at most.
    made_by : str
        The version of tedm.
    opening : sequence of (str, str)
        What stands first: paragraphs, each with the words that lead it.

    Examples
    --------
    >>> page = report_html("A & B", [], [Section("Scores", sheets=[Sheet("Dice", ["method"], [["<b>"]])])], made_by="0.1.0")
    >>> "A &amp; B" in page, "&lt;b&gt;" in page
    (True, True)
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_seen)
    environment.filters["data_uri"] = data_uri
    environment.globals["colour_of"] = colour_of
    folder = files("tedm.show")
    template = environment.from_string((folder / "report.html.jinja").read_text(encoding="utf-8"))
    style = (folder / "report.css").read_text(encoding="utf-8")
    return template.render(title=title, words=words, sections=sections, made_by=made_by, opening=opening, style=style) + "\n"


def _seen(value: object) -> object:
    """Return text without characters that turn what stands around them; what is markup already stays."""
    return shown(value, lines=True) if type(value) is str else value


def data_uri(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def tile_figure(
    image: NDArray[Any], mask: NDArray[Any] | None = None, *, truth: NDArray[Any] | None = None, classes: int = 2
) -> Figure:
    """Draw an image, a mask over it in the colours of its classes, and the outline of the truth in white.

    Parameters
    ----------
    image : array of shape (y, x) or (y, x, 3)
        In [0, 1].
    mask, truth : arrays of shape (y, x), or None
        Class indices; what is `IGNORE` in the mask is striped.
    classes : int
        Number of classes, the background included.

    Examples
    --------
    >>> import numpy as np
    >>> tile_figure(np.eye(8), np.eye(8, dtype=np.uint8)).get_size_inches().tolist()
    [1.75, 1.75]
    """
    height = PANEL * image.shape[0] / image.shape[1]
    figure = blank(PANEL, height)
    axes = panel(figure, image, 0, 0, PANEL, height)
    if mask is not None:
        draw_mask(axes, mask, classes, IGNORE)
    if truth is not None:
        outline(axes, foreground_edges(truth, classes), "white", 0.9)
    return figure
