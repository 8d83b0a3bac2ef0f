"""Many pictures side by side on one sheet, small, each with its name: what somebody looks at first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from .lettering import INK, PAPER, Items, font, shortened, with_legend

SIDE, GAP, LETTERS = 240, 8, 13  # pixels
MOST = 60  # pictures
BLANK = "#202020"


def contact_sheet(pictures: Sequence[tuple[str, Callable[[], Image.Image]]], items: Items) -> Image.Image:
    """Lay out pictures in rows, in their order; of many, `MOST` that are spread evenly over them.

    Parameters
    ----------
    pictures : sequence of (name, callable)
        What each is called, and what gives it; one is in memory at a time.
    items : sequence of (name, colour)
        Of the legend at the bottom.

    Returns
    -------
    Image
        RGB.
    """
    shown = [pictures[at * len(pictures) // min(MOST, len(pictures))] for at in range(min(MOST, len(pictures)))]
    across = max(1, math.ceil(math.sqrt(1.4 * len(shown))))
    tall = SIDE + LETTERS + 2 * GAP
    head = 2 * LETTERS if len(shown) < len(pictures) else 0
    sheet = Image.new("RGB", (across * (SIDE + GAP) + GAP, head + GAP + math.ceil(len(shown) / across) * tall), PAPER)
    draw = ImageDraw.Draw(sheet)
    if head:
        draw.text((GAP, GAP), f"{len(shown)} of {len(pictures)} images", fill=INK, font=font(LETTERS))
    for at, (name, picture) in enumerate(shown):
        left, top = GAP + at % across * (SIDE + GAP), head + GAP + at // across * tall
        draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), fill=BLANK)
        small = _small(picture())
        sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
        draw.text((left, top + SIDE + GAP / 2), shortened(name, SIDE, LETTERS), fill=INK, font=font(LETTERS))
    return with_legend(sheet, items, LETTERS)


def _small(picture: Image.Image) -> Image.Image:
    """Return a picture that fills the room of one."""
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
