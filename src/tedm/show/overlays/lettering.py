"""Words under pictures: a legend, and names, in a size that suits the picture."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tedm.text import shown

INK, PAPER = "#000000", "#ffffff"
SMALLEST, LARGEST = 11, 96  # pixels
LETTERS = 45  # of a picture's shorter side, one above the other
Items = Sequence[tuple[str, str]]  # names and colours


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of matplotlib, which has the letters of most languages of Europe, and Greek and Arabic."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def letter_size(width: int, height: int) -> int:
    """Return how large letters are beside a picture, in pixels."""
    return min(LARGEST, max(SMALLEST, min(width, height) // LETTERS))


def with_legend(picture: Image.Image, items: Items, size: int) -> Image.Image:
    """Put a legend under a picture, on white; a picture that is narrower than an entry gets white beside it.

    Parameters
    ----------
    picture : Image
        RGB.
    items : sequence of (name, colour)
    size : int
        Of the letters, in pixels.

    Returns
    -------
    Image
        The picture is at its left and top, pixel for pixel.
    """
    if not items:
        return picture
    letters, gap = font(size), size // 2
    entries = [(shown(name), colour) for name, colour in items]
    widths = [round(letters.getlength(name)) + 2 * size + gap for name, _ in entries]
    width = max(picture.width, max(widths) + gap)
    places, left, row = [], gap, 0
    for each in widths:
        if left > gap and left + each > width:
            left, row = gap, row + 1
        places.append((left, row))
        left += each
    line = round(1.5 * size)
    whole = Image.new("RGB", (width, picture.height + (row + 1) * line + gap), PAPER)
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for (name, colour), (x, at) in zip(entries, places, strict=True):
        top = picture.height + gap + at * line
        draw.rectangle((x, top, x + size, top + size), fill=colour, outline=INK)
        draw.text((x + size + gap, top + size / 2), name, fill=INK, font=letters, anchor="lm")
    return whole


def shortened(text: str, width: int, size: int) -> str:
    """Leave out the middle of what is longer than `width` pixels: names differ at their ends."""
    letters = font(size)
    text = shown(text)
    if letters.getlength(text) <= width:
        return text
    keep = len(text) - 1
    while keep > 2 and letters.getlength(f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}") > width:
        keep -= 1
    return f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
